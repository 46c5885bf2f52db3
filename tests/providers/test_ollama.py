"""Ollama by its own endpoint."""

from __future__ import annotations

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Limits
from providers.ollama import OLLAMA
from tests.providers.exchange import HTML, KEY, A, B, answer, body, fault, kinds, malformed, request

BARE = EmbedCall("nomic-embed-text", ["hello"])
FULL = EmbedCall("nomic-embed-text", ["one", "two"], 256, "query", user="u-1", extra={"keep_alive": "5m"})


def test_registered() -> None:
    """The provider is found by its name."""
    assert OLLAMA is PROVIDERS["ollama"]


def test_bare_request() -> None:
    """A call is sent with the switch against cutting."""
    assert {"model": "nomic-embed-text", "input": ["hello"], "truncate": False} == body(OLLAMA, BARE)


def test_full_request() -> None:
    """A length is sent, the client's own fields beside it, and no role."""
    expected = {
        "model": "nomic-embed-text",
        "input": ["one", "two"],
        "truncate": False,
        "dimensions": 256,
        "keep_alive": "5m",
    }

    assert expected == body(OLLAMA, FULL)


@pytest.mark.parametrize(
    "base_url",
    [
        "http://localhost:11434",
        "http://localhost:11434/",
        "http://localhost:11434/api",
        "http://localhost:11434/v1/",
    ],
)
def test_address(base_url: str) -> None:
    """Whichever endpoint a base URL was made for, the native one is asked."""
    assert "http://localhost:11434/api/embed" == request(OLLAMA, BARE, base_url=base_url).url


def test_own_address() -> None:
    """It is looked for on this machine."""
    assert "http://localhost:11434" == OLLAMA.base_url


def test_headers() -> None:
    """A server of one's own is sent no key."""
    assert {"content-type": "application/json", "accept": "application/json"} == request(OLLAMA, BARE).headers


def test_headers_of_cloud() -> None:
    """The cloud is sent its key as a bearer token."""
    sent = request(OLLAMA, BARE, base_url="https://ollama.com", api_key=KEY)

    assert f"Bearer {KEY}" == sent.headers["authorization"]


def test_facts() -> None:
    """It knows no cap on texts, and neither roles nor token ids."""
    assert (Limits(), frozenset(), False) == (OLLAMA.limits, OLLAMA.roles, OLLAMA.token_ids)


def test_owned() -> None:
    """No client may set what the adapter builds."""
    assert {"model", "input", "truncate", "dimensions"} == OLLAMA.owned


PAIR = {"model": "x", "embeddings": [[0.1, 0.2], [0.3, 0.4]], "total_duration": 14143917, "load_duration": 1019500}


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({**PAIR, "prompt_eval_count": 8}, Embeddings([A, B], None, 8)),
        (PAIR, Embeddings([A, B])),
        ({**PAIR, "prompt_eval_count": 0}, Embeddings([A, B])),
        ({"model": "x", "embeddings": []}, Embeddings([])),
    ],
    ids=["usage", "no usage", "zero", "none"],
)
def test_answer(payload: object, expected: Embeddings) -> None:
    """Vectors are read in order, tokens where they are told."""
    assert expected == OLLAMA.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (HTML, "the answer is not JSON"),
        (b"", "the answer is not JSON"),
        ({"embedding": [0.1]}, "the answer has no list `embeddings`"),
        ({"error": "model 'x' not found"}, "the answer has no list `embeddings`"),
        ({"embeddings": [[0.1, "0.2"]]}, "`embeddings[0]` is not a list of numbers"),
    ],
    ids=["html", "empty", "legacy", "error", "text"],
)
def test_malformed(payload: object, message: str) -> None:
    """An answer without vectors is malformed."""
    assert malformed(message) == OLLAMA.parse_response(answer(payload))


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "the input length exceeds the context length", FaultKind.REJECTED),
        (404, "model 'x' not found", FaultKind.MISCONFIGURED),
        (404, 'model "x" not found, try pulling it first', FaultKind.MISCONFIGURED),
        (503, "server busy, please try again. maximum pending requests exceeded", FaultKind.OVERLOADED),
    ],
)
def test_error(status: int, message: str, kind: FaultKind) -> None:
    """An error is a text."""
    assert Fault(kind, message, status) == fault(OLLAMA, {"error": message}, status)


def test_error_of_cloud() -> None:
    """Its cloud answers in OpenAI's envelope."""
    payload = {"error": {"message": "Unauthorized", "type": "api_error", "param": None, "code": None}}

    assert Fault(FaultKind.MISCONFIGURED, "Unauthorized", 401) == fault(OLLAMA, payload, 401)


@pytest.mark.parametrize("payload", [HTML, b"", [], {"error": {}}, {"error": None}], ids=str)
def test_other_bodies(payload: object) -> None:
    """An error of no such shape is told by its status."""
    assert Fault(FaultKind.BROKEN, "", 500) == fault(OLLAMA, payload, 500)


def test_statuses() -> None:
    """Each status has its kind of fault, that of a call given up too."""
    expected = {
        400: FaultKind.REJECTED,
        401: FaultKind.MISCONFIGURED,
        404: FaultKind.MISCONFIGURED,
        499: FaultKind.TIMEOUT,
        500: FaultKind.BROKEN,
        503: FaultKind.OVERLOADED,
    }

    assert expected == kinds(OLLAMA, expected)
