"""Cohere: what its two versions are sent, and what is read from their answers."""

from __future__ import annotations

from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Limits, Provider
from providers.cohere import COHERE, COHERE_V1
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request, roles_sent

BARE = EmbedCall("embed-v4.0", ["hello"], input_type="document")
FULL = EmbedCall("embed-v4.0", ["one", "two"], 512, "query", user="u-1", extra={"priority": 3})
BOTH = pytest.mark.parametrize("provider", [COHERE, COHERE_V1], ids=lambda provider: provider.name)


@BOTH
def test_registered(provider: Provider) -> None:
    """The provider is found by its name."""
    assert provider is PROVIDERS[provider.name]


def test_bare_request() -> None:
    """A call is sent with its role, the type of its vectors, and the switch against cutting."""
    expected = {
        "model": "embed-v4.0",
        "texts": ["hello"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "NONE",
    }

    assert expected == body(COHERE, BARE)


def test_bare_v1_request() -> None:
    """The version before is not asked for a type."""
    expected = {"model": "embed-v4.0", "texts": ["hello"], "input_type": "search_document", "truncate": "NONE"}

    assert expected == body(COHERE_V1, BARE)


def test_full_request() -> None:
    """A length goes out under Cohere's name, the client's own fields beside it, and no user."""
    expected = {
        "model": "embed-v4.0",
        "texts": ["one", "two"],
        "input_type": "search_query",
        "embedding_types": ["float"],
        "output_dimension": 512,
        "truncate": "NONE",
        "priority": 3,
    }

    assert expected == body(COHERE, FULL)


@pytest.mark.parametrize(
    ("provider", "base_url", "expected"),
    [
        (COHERE, "https://api.cohere.com", "https://api.cohere.com/v2/embed"),
        (COHERE, "https://api.cohere.com/v2/", "https://api.cohere.com/v2/embed"),
        (COHERE_V1, "https://api.cohere.com", "https://api.cohere.com/v1/embed"),
        (COHERE_V1, "http://127.0.0.1:9000/v1", "http://127.0.0.1:9000/v1/embed"),
    ],
)
def test_address(provider: Provider, base_url: str, expected: str) -> None:
    """The version is added to the base URL where it has none."""
    assert expected == request(provider, BARE, base_url=base_url).url


@BOTH
def test_headers(provider: Provider) -> None:
    """The key goes out as a bearer token."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(provider, BARE, api_key=KEY).headers


@BOTH
def test_roles(provider: Provider) -> None:
    """Four input types have a name at Cohere."""
    expected = {
        "query": "search_query",
        "document": "search_document",
        "classification": "classification",
        "clustering": "clustering",
    }

    assert expected == roles_sent(provider, "input_type")


@BOTH
def test_needs_role(provider: Provider) -> None:
    """A call without an input type is one that Cohere refuses."""
    assert provider.needs_role


@BOTH
def test_limits(provider: Provider) -> None:
    """A call holds 96 texts."""
    assert Limits(inputs=96) == provider.limits


@BOTH
@pytest.mark.parametrize("key", ["images", "inputs", "max_tokens", "truncate", "embedding_types", "output_dimension"])
def test_owned(provider: Provider, key: str) -> None:
    """No client may set what would change the texts, cut them, or change the vectors' kind."""
    assert key in provider.owned


V2: dict[str, Any] = {
    "id": "8bd5b608",
    "embeddings": {"float": [[0.1, 0.2]]},
    "texts": ["hello"],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
    "response_type": "embeddings_by_type",
}
V1 = {**V2, "embeddings": [[0.1, 0.2]], "response_type": "embeddings_floats"}


@BOTH
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (V2, Embeddings([A], None, 4)),
        (V1, Embeddings([A], None, 4)),
        ({**V2, "embeddings": {"float": [[0.1, 0.2], [0.3, 0.4]]}}, Embeddings([A, B], None, 4)),
        ({**V2, "meta": {"api_version": {"version": "2"}}}, Embeddings([A])),
        ({**V2, "meta": None}, Embeddings([A])),
        ({**V2, "embeddings": {"float": []}}, Embeddings([], None, 4)),
    ],
    ids=["by type", "bare", "two", "no usage", "no meta", "none"],
)
def test_answer(provider: Provider, payload: object, expected: Embeddings) -> None:
    """Vectors are read from either form of answer, tokens from what was billed."""
    assert expected == provider.parse_response(answer(payload))


@BOTH
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        (b'{"embeddings":{"float":[[0.1,', "the answer is not JSON"),
        ({"message": "no"}, "the answer has no list `embeddings`"),
        ({"embeddings": {"int8": [[1, 2]]}}, "the answer has no list `embeddings.float`"),
        ({"embeddings": {"float": [[0.1], None]}}, "`embeddings.float[1]` is not a list of numbers"),
    ],
    ids=["html", "empty", "cut", "message", "another type", "null"],
)
def test_malformed(provider: Provider, payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == provider.parse_response(answer(payload))


@BOTH
@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "invalid request: valid input_type must be provided with the provided model", FaultKind.REJECTED),
        (400, "too many tokens: 600, maximum 512", FaultKind.REJECTED),
        (401, "Incorrect API key provided: ***********.", FaultKind.MISCONFIGURED),
        (404, "model 'nonexistent' not found, make sure the correct model ID was used", FaultKind.MISCONFIGURED),
    ],
)
def test_error(provider: Provider, status: int, message: str, kind: FaultKind) -> None:
    """The message of an error is read from its flat body."""
    payload = {"id": "8bd5b608-887c-49f7-a6b3-d3bd5830c3de", "message": message}

    assert Fault(kind, message, status) == fault(provider, payload, status)


@BOTH
def test_statuses(provider: Provider) -> None:
    """Each status that Cohere documents has its kind of fault, those of its own too."""
    expected = {
        400: FaultKind.REJECTED,
        401: FaultKind.MISCONFIGURED,
        402: FaultKind.EXHAUSTED,
        403: FaultKind.MISCONFIGURED,
        404: FaultKind.MISCONFIGURED,
        422: FaultKind.REJECTED,
        429: FaultKind.THROTTLED,
        498: FaultKind.MISCONFIGURED,
        499: FaultKind.TIMEOUT,
        500: FaultKind.BROKEN,
        501: FaultKind.BROKEN,
        503: FaultKind.OVERLOADED,
        504: FaultKind.OVERLOADED,
    }

    assert expected == kinds(provider, expected)
