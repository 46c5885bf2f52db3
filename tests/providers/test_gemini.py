"""Google's Gemini API: what it is sent, and what is read from its answers."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.gemini import GEMINI
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request, roles_sent

MODEL = "gemini-embedding-001"
BARE = EmbedCall(MODEL, ["hello"])
FULL = EmbedCall(MODEL, ["one", "two"], 768, "query", user="u-1")


def test_registered() -> None:
    """The provider is found by its name."""
    assert GEMINI is PROVIDERS["gemini"]


def test_bare_request() -> None:
    """The model is named with each text, under its prefix."""
    item = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "hello"}]}}

    assert {"requests": [item]} == body(GEMINI, BARE)


def test_full_request() -> None:
    """Role and length are named with each text, and each text is a content of its own."""
    common = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 768}
    items = [{**common, "content": {"parts": [{"text": text}]}} for text in ("one", "two")]

    assert {"requests": items} == body(GEMINI, FULL)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://generativelanguage.googleapis.com",
        "https://generativelanguage.googleapis.com/",
        "https://generativelanguage.googleapis.com/v1beta",
    ],
)
def test_address(base_url: str) -> None:
    """The model stands in the address, below the version."""
    expected = "https://generativelanguage.googleapis.com/v1beta/models/gemini-embedding-001:batchEmbedContents"

    assert expected == request(GEMINI, BARE, base_url=base_url).url


def test_model_cannot_leave_its_segment() -> None:
    """A model's name stays one segment of the address."""
    url = request(GEMINI, EmbedCall("../x?y#z", ["one"])).url

    assert "https://generativelanguage.googleapis.com/v1beta/models/..%2Fx%3Fy%23z:batchEmbedContents" == url


def test_headers() -> None:
    """The key goes out in Google's header, never in the address."""
    expected = {"content-type": "application/json", "accept": "application/json", "x-goog-api-key": KEY}

    assert expected == request(GEMINI, BARE, api_key=KEY).headers


def test_roles() -> None:
    """Each input type has its task type."""
    expected = {
        "query": "RETRIEVAL_QUERY",
        "document": "RETRIEVAL_DOCUMENT",
        "classification": "CLASSIFICATION",
        "clustering": "CLUSTERING",
        "similarity": "SEMANTIC_SIMILARITY",
    }

    assert expected == roles_sent(GEMINI, "taskType")


def test_limits() -> None:
    """A batch holds 100 texts."""
    assert 100 == GEMINI.limits.inputs


def test_limit_of_body() -> None:
    """A body has at most 4 MiB."""
    assert 4_194_304 == GEMINI.limits.request_bytes


PAIR = {"embeddings": [{"values": [0.1, 0.2]}, {"values": [0.3, 0.4]}]}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (PAIR, Embeddings([A, B])),
        ({**PAIR, "usageMetadata": {"promptTokenCount": 7}}, Embeddings([A, B], None, 7)),
        ({"embeddings": [{"values": [0.3, 0.4]}]}, Embeddings([B])),
    ],
    ids=["no usage", "usage", "one"],
)
def test_answer(payload: object, expected: Embeddings) -> None:
    """Vectors are read in order, tokens where they are told."""
    assert expected == GEMINI.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        ({}, "the answer has no list `embeddings`"),
        ({"embedding": {"values": [0.1]}}, "the answer has no list `embeddings`"),
        ({"embeddings": [{"values": [0.1]}, {}]}, "`embeddings[1].values` is not a list of numbers"),
        ({"embeddings": [[0.1]]}, "`embeddings[0].values` is not a list of numbers"),
    ],
    ids=["html", "empty", "nothing", "single", "no values", "bare"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == GEMINI.parse_response(answer(payload))


def error(code: int, message: str, status: str, *details: object) -> dict[str, object]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


INVALID = "API key not valid. Please pass a valid API key."
BAD_KEY = error(
    400,
    INVALID,
    "INVALID_ARGUMENT",
    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"},
    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": INVALID},
)


def test_bad_key() -> None:
    """A bad key is ours to mend, though Google calls it a bad request."""
    assert Fault(FaultKind.MISCONFIGURED, INVALID, 400) == fault(GEMINI, BAD_KEY, 400)


def test_bad_input() -> None:
    """Another bad request is about the input."""
    message = "Value must be a list given an array path requests[]"

    assert Fault(FaultKind.REJECTED, message, 400) == fault(GEMINI, error(400, message, "INVALID_ARGUMENT"), 400)


def test_unknown_model() -> None:
    """A model that is not there is ours to mend."""
    message = "models/x is not found for API version v1beta, or is not supported for embedContent."
    payload = {"error": {"code": 404, "message": message, "status": "NOT_FOUND"}}

    assert Fault(FaultKind.MISCONFIGURED, message, 404) == fault(GEMINI, payload, 404)


@pytest.mark.parametrize(
    ("delay", "expected"),
    [("58s", 58.0), ("0.5s", 0.5), ("58", None), ("s", None), ("-1s", None), ("nans", None), (58, None), (None, None)],
)
def test_wait(delay: object, expected: float | None) -> None:
    """The wait that Google asks for stands among the details."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    payload = error(429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED", {"violations": []}, info)

    assert Fault(FaultKind.THROTTLED, "You exceeded your current quota.", 429, expected) == fault(GEMINI, payload, 429)


@pytest.mark.parametrize(
    "payload",
    [HTML, b"", [], {"error": {"details": {"reason": "x"}}}, {"error": {"details": [None, "x"]}}],
    ids=["html", "empty", "list", "no list of details", "no objects"],
)
def test_other_bodies(payload: object) -> None:
    """An error of no such shape is told by its status."""
    assert Fault(FaultKind.BROKEN, "", 500) == fault(GEMINI, payload, 500)


def test_statuses() -> None:
    """Each status has its kind of fault."""
    expected = {
        400: FaultKind.REJECTED,
        403: FaultKind.MISCONFIGURED,
        404: FaultKind.MISCONFIGURED,
        429: FaultKind.THROTTLED,
        500: FaultKind.BROKEN,
        503: FaultKind.OVERLOADED,
    }

    assert expected == kinds(GEMINI, expected)
