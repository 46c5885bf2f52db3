"""Servers of one's own: the facts of each, and where they depart from OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Limits, Response
from providers.self_hosted import INFINITY, SELF_HOSTED
from tests.fakes.backends import vector

BY_NAME = {provider.name: provider for provider in SELF_HOSTED}
HOST = "http://10.1.2.3:8000"
FULL = EmbedCall("m", ["one"], dimensions=256, input_type="query", user="u-1")
INPUT = {"model": "m", "input": ["one"]}


@pytest.mark.parametrize("name", BY_NAME)
def test_registered(name: str) -> None:
    """Each provider is found by its name."""
    assert BY_NAME[name] is PROVIDERS[name]


@pytest.mark.parametrize("name", BY_NAME)
def test_no_public_address(name: str) -> None:
    """Where such a server lives, its owner has to say."""
    assert BY_NAME[name].base_url is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("tei", "/v1/embeddings"),
        ("infinity", "/embeddings"),
        ("vllm", "/v1/embeddings"),
        ("llamacpp", "/v1/embeddings"),
        ("lmstudio", "/v1/embeddings"),
    ],
)
def test_address(name: str, path: str) -> None:
    """The server's root is enough of a base URL."""
    assert HOST + path == BY_NAME[name].build_request(FULL, Endpoint(HOST)).url


def test_prefix_of_infinity() -> None:
    """A prefix that Infinity was given is part of its base URL."""
    assert f"{HOST}/v1/embeddings" == INFINITY.build_request(FULL, Endpoint(f"{HOST}/v1")).url


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tei", {**INPUT, "dimensions": 256, "encoding_format": "base64"}),
        ("infinity", {**INPUT, "user": "u-1", "encoding_format": "base64"}),
        ("vllm", {**INPUT, "dimensions": 256, "user": "u-1", "encoding_format": "base64"}),
        ("llamacpp", {**INPUT, "encoding_format": "base64"}),
        ("lmstudio", INPUT),
    ],
)
def test_full_call(name: str, expected: dict[str, Any]) -> None:
    """A full call sends what the server has a field for."""
    assert expected == json.loads(BY_NAME[name].build_request(FULL, Endpoint(HOST, base64=True)).body)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tei", (Limits(inputs=32, request_bytes=2_000_000), True, True)),
        ("infinity", (Limits(inputs=2048, input_chars=122_880), False, True)),
        ("vllm", (Limits(), True, True)),
        ("llamacpp", (Limits(), True, True)),
        ("lmstudio", (Limits(), False, False)),
    ],
)
def test_facts(name: str, expected: tuple[Limits, bool, bool]) -> None:
    """Limits, token ids and base64 are those of the server as it starts."""
    provider = BY_NAME[name]

    assert expected == (provider.limits, provider.token_ids, provider.base64)


@pytest.mark.parametrize(
    "key",
    [
        *("messages", "truncate_prompt_tokens", "truncation_side", "add_special_tokens"),
        *("normalize", "use_activation", "embed_dtype", "endianness"),
    ],
)
def test_guarded(key: str) -> None:
    """No client may have vLLM cut texts, or make other vectors or bytes."""
    assert key in BY_NAME["vllm"].owned


def test_characters_are_no_tokens() -> None:
    """What Infinity counts is not what a route counts."""
    body = b'{"data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 40, "total_tokens": 40}}'

    assert Embeddings([vector(0.5)], [0], None) == INFINITY.parse_response(Response(200, {}, body))


def error(message: str, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


TOO_LARGE = "input (992 tokens) is too large to process. increase the physical batch size (current batch size: 512)"


@pytest.mark.parametrize(
    ("name", "status", "payload", "expected"),
    [
        ("tei", 422, {"message": "`inputs` must have less than 512 tokens.", "type": "Validation"}, "rejected"),
        ("tei", 424, {"message": "Backend failed.", "code": 424, "type": "Backend"}, "overloaded"),
        ("tei", 429, {"message": "Model is overloaded", "code": 429, "type": "Overloaded"}, "throttled"),
        ("infinity", 401, {"detail": "Unauthorized"}, "misconfigured"),
        ("vllm", 400, error("base64 encoding is not currently supported", code=400), "misconfigured"),
        ("vllm", 400, {"object": "error", "message": "This model's maximum context length is 512."}, "rejected"),
        ("vllm", 401, {"error": "Unauthorized"}, "misconfigured"),
        ("llamacpp", 500, error(TOO_LARGE, code=500, type="server_error"), "rejected"),
        ("llamacpp", 500, error("Something else.", code=500, type="server_error"), "broken"),
        ("llamacpp", 501, error("No.", code=501, type="not_supported_error"), "misconfigured"),
        ("llamacpp", 503, error("Loading model", code=503, type="unavailable_error"), "overloaded"),
        ("lmstudio", 400, {"error": "'input' field must be a string or an array of strings"}, "rejected"),
        ("lmstudio", 400, error("'input' field must be a string"), "rejected"),
    ],
)
def test_errors(name: str, status: int, payload: object, expected: str) -> None:
    """Failures are told by their status, and by their words where the status misleads."""
    found = BY_NAME[name].parse_error(Response(status, {}, json.dumps(payload).encode()))

    assert expected == found.kind


def test_plain_text() -> None:
    """A body too large for TEI is refused in plain words."""
    expected = Fault(FaultKind.REJECTED, "length limit exceeded", 413, divisible=True)

    assert expected == BY_NAME["tei"].parse_error(Response(413, {}, b"length limit exceeded"))


def test_llamacpp_keeps_its_vectors() -> None:
    """What would make llama.cpp normalise otherwise, or read another input, is not the client's to set."""
    assert {"embd_normalize", "content"} <= PROVIDERS["llamacpp"].owned  # type: ignore[union-attr]
