"""Hugging Face's own inference provider, behind its router."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.huggingface import HUGGINGFACE
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request

BARE = EmbedCall("intfloat/multilingual-e5-large", ["hello"], input_type="query", user="u-1")


def test_registered() -> None:
    """The provider is found by its name."""
    assert HUGGINGFACE is PROVIDERS["huggingface"]


def test_request() -> None:
    """Texts are sent with the switch against cutting; the model stands in the address."""
    assert {"inputs": ["hello"], "truncate": False} == body(HUGGINGFACE, BARE)


def test_address() -> None:
    """A repository's name keeps its slash."""
    expected = (
        "https://router.huggingface.co/hf-inference/models/intfloat/multilingual-e5-large/pipeline/feature-extraction"
    )

    assert expected == request(HUGGINGFACE, BARE).url


def test_headers() -> None:
    """The key goes out as a bearer token."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(HUGGINGFACE, BARE, api_key=KEY).headers


def test_shortens() -> None:
    """It has no field for shorter vectors."""
    assert not HUGGINGFACE.shortens


@pytest.mark.parametrize("key", ["inputs", "truncate", "normalize", "parameters"])
def test_owned(key: str) -> None:
    """No client may have texts cut or vectors of another length."""
    assert key in HUGGINGFACE.owned


PAIR = [[0.1, 0.2], [0.3, 0.4]]


def test_answer() -> None:
    """Vectors are a bare list, and tokens are not told."""
    assert Embeddings([A, B]) == HUGGINGFACE.parse_response(answer(PAIR))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        ({"error": "no"}, "the answer is not a list"),
        ([0.1, 0.2], "`[0]` is not a list of numbers"),
        ([PAIR, PAIR], "`[0]` is not a list of numbers"),
    ],
    ids=["html", "empty", "object", "one vector", "a vector for each token"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without a vector for each text is malformed; nothing is pooled by guess."""
    assert malformed(message) == HUGGINGFACE.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FaultKind.MISCONFIGURED),
        (402, FaultKind.EXHAUSTED),
        (404, FaultKind.MISCONFIGURED),
        (429, FaultKind.THROTTLED),
        (503, FaultKind.OVERLOADED),
    ],
)
def test_error(status: int, kind: FaultKind) -> None:
    """An error is a text."""
    payload = {"error": "Model x is currently loading", "estimated_time": 20.0}

    assert Fault(kind, "Model x is currently loading", status) == fault(HUGGINGFACE, payload, status)


def test_statuses() -> None:
    """An error without a body is told by its status."""
    expected = {400: FaultKind.REJECTED, 500: FaultKind.BROKEN, 503: FaultKind.OVERLOADED}

    assert expected == kinds(HUGGINGFACE, expected)
