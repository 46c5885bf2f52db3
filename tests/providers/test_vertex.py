"""Google's Vertex AI: what its two methods are sent, and what is read from their answers."""

from __future__ import annotations

from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Limits, Provider
from providers.vertex import VERTEX, VERTEX_EMBED_CONTENT
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request, roles_sent

BARE = EmbedCall("text-embedding-005", ["hello"])
FULL = EmbedCall("text-embedding-005", ["one", "two"], 256, "query", user="u-1")
PLACE: dict[str, Any] = {"region": "us-central1", "project": "p-1"}
BOTH = pytest.mark.parametrize("provider", [VERTEX, VERTEX_EMBED_CONTENT], ids=lambda provider: provider.name)


@BOTH
def test_registered(provider: Provider) -> None:
    """The provider is found by its name."""
    assert provider is PROVIDERS[provider.name]


def test_bare_request() -> None:
    """A text is sent with the switch against cutting."""
    assert {"instances": [{"content": "hello"}], "parameters": {"autoTruncate": False}} == body(VERTEX, BARE, **PLACE)


def test_full_request() -> None:
    """The role is named with each text, the length once."""
    expected = {
        "instances": [
            {"content": "one", "task_type": "RETRIEVAL_QUERY"},
            {"content": "two", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"autoTruncate": False, "outputDimensionality": 256},
    }

    assert expected == body(VERTEX, FULL, **PLACE)


def test_bare_content() -> None:
    """The other method is sent one content of one part, with the same switch."""
    expected = {"content": {"parts": [{"text": "hello"}]}, "embedContentConfig": {"autoTruncate": False}}

    assert expected == body(VERTEX_EMBED_CONTENT, BARE, **PLACE)


def test_full_content() -> None:
    """The other method is sent a length, and no role."""
    expected = {
        "content": {"parts": [{"text": "one"}]},
        "embedContentConfig": {"autoTruncate": False, "outputDimensionality": 768},
    }

    assert expected == body(VERTEX_EMBED_CONTENT, EmbedCall("gemini-embedding-2", ["one"], 768, "query"), **PLACE)


ROOT = "/v1/projects/p-1/locations"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, f"https://us-central1-aiplatform.googleapis.com{ROOT}/us-central1"),
        ({"region": "global"}, f"https://aiplatform.googleapis.com{ROOT}/global"),
        ({"base_url": "https://proxy.example.com/"}, f"https://proxy.example.com{ROOT}/us-central1"),
        ({"base_url": "https://proxy.example.com/v1"}, f"https://proxy.example.com{ROOT}/us-central1"),
    ],
    ids=["region", "global", "root", "versioned"],
)
@pytest.mark.parametrize(("provider", "method"), [(VERTEX, "predict"), (VERTEX_EMBED_CONTENT, "embedContent")])
def test_address(provider: Provider, method: str, fields: dict[str, str], expected: str) -> None:
    """Region and project make up the address; the location `global` has a host without its name."""
    url = request(provider, BARE, **{**PLACE, **fields}).url

    assert f"{expected}/publishers/google/models/text-embedding-005:{method}" == url


@BOTH
def test_needs(provider: Provider) -> None:
    """There is no address without region and project."""
    assert {"region", "project"} == provider.needs


@BOTH
def test_headers(provider: Provider) -> None:
    """A token goes out as a bearer."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(provider, BARE, api_key=KEY, **PLACE).headers


def test_roles() -> None:
    """Each input type has its task type."""
    expected = {
        "query": "RETRIEVAL_QUERY",
        "document": "RETRIEVAL_DOCUMENT",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "SEMANTIC_SIMILARITY",
    }

    assert expected == roles_sent(VERTEX, "task_type")


@BOTH
def test_limits(provider: Provider) -> None:
    """A call holds one text, which is right for every model."""
    assert Limits(inputs=1) == provider.limits


def prediction(values: object, tokens: object = 4, truncated: bool = False) -> dict[str, Any]:
    return {"embeddings": {"statistics": {"token_count": tokens, "truncated": truncated}, "values": values}}


ONE, TWO = prediction([0.1, 0.2]), prediction([0.3, 0.4], 3)


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        ([ONE], Embeddings([A], None, 4)),
        ([ONE, TWO], Embeddings([A, B], None, 7)),
        ([ONE, {"embeddings": {"values": [0.3, 0.4]}}], Embeddings([A, B])),
        ([prediction([0.1, 0.2], None)], Embeddings([A])),
        ([], Embeddings([])),
    ],
    ids=["one", "two", "a count is missing", "null count", "none"],
)
def test_answer(predictions: object, expected: Embeddings) -> None:
    """Vectors are read in order; tokens are the sum of the counts, not said where one is missing."""
    payload = {"predictions": predictions, "metadata": {"billableCharacterCount": 12}}

    assert expected == VERTEX.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": 4}}, Embeddings([A], None, 4)),
        ({"embedding": {"values": [0.1, 0.2]}, "truncated": False}, Embeddings([A])),
    ],
    ids=["usage", "no usage"],
)
def test_answer_of_content(payload: object, expected: Embeddings) -> None:
    """The other method answers with one vector."""
    assert expected == VERTEX_EMBED_CONTENT.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("provider", "payload", "item"),
    [
        (VERTEX, {"predictions": [ONE, prediction([0.3, 0.4], 3, truncated=True)]}, 1),
        (VERTEX_EMBED_CONTENT, {"embedding": {"values": [0.1, 0.2]}, "truncated": True}, 0),
    ],
    ids=["predict", "embedContent"],
)
def test_cut(provider: Provider, payload: object, item: int) -> None:
    """The vector of a text that was cut is none that anybody asked for."""
    expected = Fault(FaultKind.MALFORMED, "the text was cut, though this was forbidden", 200, item=item)

    assert expected == provider.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        ({"error": {"code": 500}}, "the answer has no list `predictions`"),
        ({"predictions": [ONE, None]}, "`predictions[1].embeddings.values` is not a list of numbers"),
    ],
    ids=["html", "empty", "error", "null"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == VERTEX.parse_response(answer(payload))


@BOTH
def test_error(provider: Provider) -> None:
    """An error is read from Google's shape."""
    message = "The text content is empty."
    payload = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}

    assert Fault(FaultKind.REJECTED, message, 400) == fault(provider, payload, 400)


@BOTH
def test_statuses(provider: Provider) -> None:
    """Each status has its kind of fault."""
    expected = {
        400: FaultKind.REJECTED,
        401: FaultKind.MISCONFIGURED,
        403: FaultKind.MISCONFIGURED,
        404: FaultKind.MISCONFIGURED,
        429: FaultKind.THROTTLED,
        500: FaultKind.BROKEN,
        503: FaultKind.OVERLOADED,
    }

    assert expected == kinds(provider, expected)
