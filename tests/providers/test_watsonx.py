"""IBM watsonx.ai."""

from __future__ import annotations

from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.watsonx import WATSONX
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, malformed, request

MODEL = "ibm/slate-125m-english-rtrvr-v2"
BARE = EmbedCall(MODEL, ["one", "two"], input_type="query", user="u-1")
PLACE: dict[str, Any] = {"region": "us-south", "project": "p-1"}


def test_registered() -> None:
    """The provider is found by its name."""
    assert WATSONX is PROVIDERS["watsonx"]


def test_request() -> None:
    """Texts are sent with the model and the project."""
    assert {"model_id": MODEL, "inputs": ["one", "two"], "project_id": "p-1"} == body(WATSONX, BARE, **PLACE)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "https://us-south.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2024-05-31"),
        ({"api_version": "2025-01-01"}, "https://us-south.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2025-01-01"),
        ({"base_url": "https://cpd.example.com/"}, "https://cpd.example.com/ml/v1/text/embeddings?version=2024-05-31"),
    ],
    ids=["region", "version", "base URL"],
)
def test_address(fields: dict[str, str], expected: str) -> None:
    """The region makes up the address, and the version stands in its query."""
    assert expected == request(WATSONX, BARE, **{**PLACE, **fields}).url


def test_headers() -> None:
    """A token goes out as a bearer."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(WATSONX, BARE, api_key=KEY, **PLACE).headers


def test_deployment_space() -> None:
    """A deployment space may stand in for the project."""
    sent = body(WATSONX, BARE, region="us-south", space_id="s-1")

    assert {"model_id": MODEL, "inputs": ["one", "two"], "space_id": "s-1"} == sent


def test_needs() -> None:
    """A call has to name one of them."""
    assert {"project or space_id"} == WATSONX.needs


def test_shortens() -> None:
    """It has no field for shorter vectors."""
    assert not WATSONX.shortens


@pytest.mark.parametrize("key", ["model_id", "inputs", "project_id", "space_id", "parameters"])
def test_owned(key: str) -> None:
    """No client may have texts cut or another project pay."""
    assert key in WATSONX.owned


PAIR = {
    "model_id": MODEL,
    "created_at": "2026-01-01",
    "results": [{"embedding": [0.1, 0.2]}, {"embedding": [0.3, 0.4]}],
}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [({**PAIR, "input_token_count": 10}, Embeddings([A, B], None, 10)), (PAIR, Embeddings([A, B]))],
    ids=["usage", "no usage"],
)
def test_answer(payload: object, expected: Embeddings) -> None:
    """Vectors are read in order, tokens where they are told."""
    assert expected == WATSONX.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        ({"errors": []}, "the answer has no list `results`"),
        ({"results": [[0.1]]}, "`results[0].embedding` is not a list of numbers"),
    ],
    ids=["html", "errors", "bare"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == WATSONX.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, FaultKind.REJECTED), (401, FaultKind.MISCONFIGURED), (429, FaultKind.THROTTLED), (500, FaultKind.BROKEN)],
)
def test_error(status: int, kind: FaultKind) -> None:
    """An error is a list with one entry or more."""
    payload = {"errors": [{"code": "x", "message": "No.", "more_info": "…"}], "trace": "t", "status_code": status}

    assert Fault(kind, "No.", status) == fault(WATSONX, payload, status)
