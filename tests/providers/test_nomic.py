"""Nomic Atlas."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Limits
from providers.nomic import NOMIC
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, malformed, request, roles_sent

BARE = EmbedCall("nomic-embed-text-v1.5", ["hello"])
FULL = EmbedCall("nomic-embed-text-v1.5", ["one", "two"], 256, "query", user="u-1")


def test_registered() -> None:
    """The provider is found by its name."""
    assert NOMIC is PROVIDERS["nomic"]


def test_bare_request() -> None:
    """A bare call sends the model with its texts alone."""
    assert {"model": "nomic-embed-text-v1.5", "texts": ["hello"]} == body(NOMIC, BARE)


def test_full_request() -> None:
    """Length and role go out under Nomic's names."""
    expected = {
        "model": "nomic-embed-text-v1.5",
        "texts": ["one", "two"],
        "task_type": "search_query",
        "dimensionality": 256,
    }

    assert expected == body(NOMIC, FULL)


@pytest.mark.parametrize("base_url", ["https://api-atlas.nomic.ai", "https://api-atlas.nomic.ai/v1", NOMIC.base_url])
def test_address(base_url: str) -> None:
    """The version is added to the base URL where it has none."""
    assert "https://api-atlas.nomic.ai/v1/embedding/text" == request(NOMIC, BARE, base_url=base_url).url


def test_headers() -> None:
    """The key goes out as a bearer token."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(NOMIC, BARE, api_key=KEY).headers


def test_roles() -> None:
    """Four input types have a name at Nomic."""
    expected = {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }

    assert expected == roles_sent(NOMIC, "task_type")


def test_limits() -> None:
    """A call holds as many texts as Nomic's own client sends."""
    assert Limits(inputs=10) == NOMIC.limits


@pytest.mark.parametrize("key", ["texts", "task_type", "dimensionality", "long_text_mode", "max_tokens_per_text"])
def test_owned(key: str) -> None:
    """No client may have long texts cut or averaged."""
    assert key in NOMIC.owned


PAIR = {"embeddings": [[0.1, 0.2], [0.3, 0.4]], "model": "nomic-embed-text-v1.5"}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({**PAIR, "usage": {"prompt_tokens": 8, "total_tokens": 8}}, Embeddings([A, B], None, 8)),
        (PAIR, Embeddings([A, B])),
    ],
    ids=["usage", "no usage"],
)
def test_answer(payload: object, expected: Embeddings) -> None:
    """Vectors are read in order, tokens where they are told."""
    assert expected == NOMIC.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        ({"detail": "no"}, "the answer has no list `embeddings`"),
        ({"embeddings": [None], "usage": []}, "`embeddings[0]` is not a list of numbers"),
    ],
    ids=["html", "detail", "null"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == NOMIC.parse_response(answer(payload))


def test_error() -> None:
    """An error is a text."""
    assert Fault(FaultKind.MISCONFIGURED, "Invalid", 401) == fault(NOMIC, {"detail": "Invalid"}, 401)


def test_error_of_fields() -> None:
    """A body that was not understood is an error for each field."""
    payload = {"detail": [{"loc": ["body", "texts"], "msg": "field required", "type": "value_error.missing"}]}

    assert Fault(FaultKind.REJECTED, "body.texts: field required", 422) == fault(NOMIC, payload, 422)
