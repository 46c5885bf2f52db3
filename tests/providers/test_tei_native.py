"""Text Embeddings Inference by its own endpoint."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.tei_native import TEI_EMBED
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request

BARE = EmbedCall("BAAI/bge-m3", ["hello"])
FULL = EmbedCall("BAAI/bge-m3", ["one", "two"], 256, "query", user="u-1", extra={"prompt_name": "query"})


def test_registered() -> None:
    """The provider is found by its name."""
    assert TEI_EMBED is PROVIDERS["tei-embed"]


def test_bare_request() -> None:
    """Texts are sent with the switch against cutting, and no model: a server has one."""
    assert {"inputs": ["hello"], "truncate": False} == body(TEI_EMBED, BARE)


def test_full_request() -> None:
    """A length is sent, the client's own fields beside it, and no role."""
    expected = {"inputs": ["one", "two"], "truncate": False, "dimensions": 256, "prompt_name": "query"}

    assert expected == body(TEI_EMBED, FULL)


def test_token_ids() -> None:
    """Token ids are sent as they are."""
    assert {"inputs": [[1, 2], [3]], "truncate": False} == body(TEI_EMBED, EmbedCall("m", [[1, 2], [3]]))


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:3000", "http://127.0.0.1:3000/", "http://127.0.0.1:3000/v1"])
def test_address(base_url: str) -> None:
    """Whichever endpoint a base URL was made for, the native one is asked."""
    assert "http://127.0.0.1:3000/embed" == request(TEI_EMBED, BARE, base_url=base_url).url


def test_headers() -> None:
    """A server that was started with a key is sent it as a bearer token."""
    assert f"Bearer {KEY}" == request(TEI_EMBED, BARE, api_key=KEY).headers["authorization"]


def test_limits() -> None:
    """A call holds 32 texts, as servers allow unless told otherwise."""
    assert 32 == TEI_EMBED.limits.inputs


def test_limit_of_body() -> None:
    """A body has at most 2 MB."""
    assert 2_000_000 == TEI_EMBED.limits.request_bytes


@pytest.mark.parametrize("key", ["inputs", "truncate", "dimensions", "normalize"])
def test_owned(key: str) -> None:
    """No client may have texts cut or vectors of another length."""
    assert key in TEI_EMBED.owned


PAIR = [[0.1, 0.2], [0.3, 0.4]]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [({"x-compute-tokens": "8"}, Embeddings([A, B], None, 8)), ({}, Embeddings([A, B]))],
    ids=["usage", "no usage"],
)
def test_answer(headers: dict[str, str], expected: Embeddings) -> None:
    """Vectors are a bare list, tokens stand in a header."""
    assert expected == TEI_EMBED.parse_response(answer(PAIR, headers=headers))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        (b"[[0.1, 0.2], [0.3", "the answer is not JSON"),
        ({"data": PAIR}, "the answer is not a list"),
        ([PAIR], "`[0]` is not a list of numbers"),
        ([[0.1, 0.2], None], "`[1]` is not a list of numbers"),
    ],
    ids=["html", "empty", "cut", "object", "nested", "null"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == TEI_EMBED.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("status", "message", "type_", "kind"),
    [
        (422, "Input validation error: `inputs` must have less than 512 tokens.", "Validation", FaultKind.REJECTED),
        (400, "`inputs` cannot be empty", "Empty", FaultKind.REJECTED),
        (424, "No.", "Backend", FaultKind.OVERLOADED),
        (429, "Model is overloaded", "Overloaded", FaultKind.THROTTLED),
        (503, "No.", "Unhealthy", FaultKind.OVERLOADED),
    ],
)
def test_error(status: int, message: str, type_: str, kind: FaultKind) -> None:
    """An error is a text beside its type."""
    assert Fault(kind, message, status) == fault(TEI_EMBED, {"error": message, "error_type": type_}, status)


def test_statuses() -> None:
    """An error without a body is told by its status."""
    expected = {401: FaultKind.MISCONFIGURED, 413: FaultKind.REJECTED, 500: FaultKind.BROKEN}

    assert expected == kinds(TEI_EMBED, expected)
