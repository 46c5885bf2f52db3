"""Hosted services that speak OpenAI's endpoint: the facts of each, and where they depart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Endpoint, FaultKind, InputType, Limits, Provider, Response
from providers.compatible import COMPATIBLE

BY_NAME = {provider.name: provider for provider in COMPATIBLE}
EVERY = pytest.mark.parametrize("name", BY_NAME)
FULL = EmbedCall("m", ["one"], dimensions=256, input_type="query", user="u-1")
INPUT = {"model": "m", "input": ["one"]}


def body_of(name: str, call: EmbedCall = FULL, **fields: Any) -> Any:
    provider = BY_NAME[name]
    return json.loads(provider.build_request(call, Endpoint(provider.base_url or "https://host", **fields)).body)


def kind(name: str, payload: object, status: int) -> FaultKind:
    return BY_NAME[name].parse_error(Response(status, {}, json.dumps(payload).encode())).kind


@EVERY
def test_registered(name: str) -> None:
    """Each provider is found by its name."""
    assert BY_NAME[name] is PROVIDERS[name]


ADDRESSES = [
    ("voyage", "https://api.voyageai.com", "/v1/embeddings"),
    ("jina", "https://api.jina.ai", "/v1/embeddings"),
    ("mistral", "https://api.mistral.ai", "/v1/embeddings"),
    ("nugen", "https://api.nugen.in", "/api/v3/inference/embeddings"),
    ("together", "https://api.together.xyz", "/v1/embeddings"),
    ("fireworks", "https://api.fireworks.ai", "/inference/v1/embeddings"),
    ("deepinfra", "https://api.deepinfra.com", "/v1/openai/embeddings"),
    ("nvidia", "https://integrate.api.nvidia.com", "/v1/embeddings"),
    ("mixedbread", "https://api.mixedbread.com", "/v1/embeddings"),
    ("siliconflow", "https://api.siliconflow.cn", "/v1/embeddings"),
    ("dashscope", "https://dashscope.aliyuncs.com", "/compatible-mode/v1/embeddings"),
    ("zhipu", "https://open.bigmodel.cn", "/api/paas/v4/embeddings"),
    ("volcengine", "https://ark.cn-beijing.volces.com", "/api/v3/embeddings"),
    ("qianfan", "https://qianfan.baidubce.com", "/v2/embeddings"),
    ("nebius", "https://api.tokenfactory.nebius.com", "/v1/embeddings"),
    ("upstage", "https://api.upstage.ai", "/v1/embeddings"),
]


@pytest.mark.parametrize(("name", "host", "path"), ADDRESSES)
def test_public_address(name: str, host: str, path: str) -> None:
    """A provider with a public address is called there."""
    provider = BY_NAME[name]

    assert host + path == provider.build_request(FULL, Endpoint(provider.base_url or "")).url


@pytest.mark.parametrize(("name", "host", "path"), ADDRESSES)
def test_host_alone(name: str, host: str, path: str) -> None:
    """The host alone is enough of a base URL."""
    assert host + path == BY_NAME[name].build_request(FULL, Endpoint(host)).url


@pytest.mark.parametrize(
    ("name", "base_url", "expected"),
    [
        ("cloudflare", "https://c.com/client/v4/accounts/1f/ai/v1", "https://c.com/client/v4/accounts/1f/ai/v1"),
        ("cloudflare", "https://c.com/client/v4/accounts/1f/ai", "https://c.com/client/v4/accounts/1f/ai/v1"),
        ("databricks", "https://acme.databricks.com", "https://acme.databricks.com/serving-endpoints"),
        (
            "databricks",
            "https://acme.databricks.com/serving-endpoints/",
            "https://acme.databricks.com/serving-endpoints",
        ),
    ],
)
def test_private_address(name: str, base_url: str, expected: str) -> None:
    """The others live below an address of each customer's own."""
    url = BY_NAME[name].build_request(FULL, Endpoint(base_url)).url

    assert (None, f"{expected}/embeddings") == (BY_NAME[name].base_url, url)


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("voyage", Limits(inputs=1000, request_tokens=120_000)),
        ("jina", Limits(inputs=512)),
        ("mistral", Limits(request_tokens=16_384)),
        ("nugen", Limits()),
        ("together", Limits()),
        ("fireworks", Limits(inputs=2048)),
        ("deepinfra", Limits(inputs=1024)),
        ("nvidia", Limits(inputs=50)),
        ("mixedbread", Limits(inputs=256)),
        ("siliconflow", Limits(inputs=32)),
        ("dashscope", Limits(inputs=10)),
        ("zhipu", Limits(inputs=64)),
        ("volcengine", Limits(inputs=32)),
        ("qianfan", Limits(inputs=16)),
        ("cloudflare", Limits(inputs=100)),
        ("databricks", Limits(inputs=150)),
        ("nebius", Limits()),
        ("upstage", Limits(inputs=100)),
    ],
)
def test_limits(name: str, limits: Limits) -> None:
    """A call holds as much as every model of the provider takes."""
    assert limits == BY_NAME[name].limits


OPENAI_LIKE = {**INPUT, "dimensions": 256}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("voyage", {**INPUT, "output_dimension": 256, "input_type": "query", "truncation": False}),
        ("jina", {**OPENAI_LIKE, "task": "retrieval.query", "truncate": False}),
        ("mistral", {**INPUT, "output_dimension": 256}),
        ("nugen", OPENAI_LIKE),
        ("together", INPUT),
        ("fireworks", OPENAI_LIKE),
        ("deepinfra", OPENAI_LIKE),
        ("nvidia", {**OPENAI_LIKE, "input_type": "query", "truncate": "NONE"}),
        ("mixedbread", OPENAI_LIKE),
        ("siliconflow", OPENAI_LIKE),
        ("dashscope", OPENAI_LIKE),
        ("zhipu", OPENAI_LIKE),
        ("volcengine", {**OPENAI_LIKE, "user": "u-1"}),
        ("qianfan", INPUT),
        ("cloudflare", INPUT),
        ("databricks", INPUT),
        ("nebius", OPENAI_LIKE),
        ("upstage", INPUT),
    ],
)
def test_full_call(name: str, expected: dict[str, Any]) -> None:
    """A full call sends what the provider has a field for, under its name."""
    assert expected == body_of(name)


def test_base64() -> None:
    """Base64 is known to be float32 at some."""
    assert ["voyage", "nvidia", "volcengine"] == [name for name in BY_NAME if BY_NAME[name].base64]


def test_no_encoding_field() -> None:
    """Some have no field to ask for it."""
    expected = ["nugen", "fireworks", "zhipu", "qianfan", "cloudflare", "databricks", "upstage"]

    assert expected == [name for name in BY_NAME if body_of(name, base64=True) == body_of(name)]


def test_token_ids() -> None:
    """None is known to take token ids."""
    assert [] == [name for name in BY_NAME if BY_NAME[name].token_ids]


@pytest.mark.parametrize(
    ("name", "field", "expected"),
    [
        ("voyage", "input_type", {"query": "query", "document": "document"}),
        (
            "jina",
            "task",
            {
                "query": "retrieval.query",
                "document": "retrieval.passage",
                "classification": "classification",
                "clustering": "separation",
                "similarity": "text-matching",
            },
        ),
        ("nvidia", "input_type", {"query": "query", "document": "passage"}),
    ],
)
def test_roles(name: str, field: str, expected: dict[InputType, str]) -> None:
    """Each input type goes out under the provider's word."""
    roles = BY_NAME[name].roles

    assert expected == {role: body_of(name, EmbedCall("m", ["one"], input_type=role))[field] for role in roles}


def test_without_roles() -> None:
    """The others tell no input types apart, and one that needs one says so."""
    with_roles = [name for name in BY_NAME if BY_NAME[name].roles]
    needing = [name for name in BY_NAME if BY_NAME[name].needs_role]

    assert (["voyage", "jina", "nvidia"], ["nvidia"]) == (with_roles, needing)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("voyage", ["output_dtype", "truncation", "encoding_format"]),
        ("jina", ["embedding_type", "normalized", "late_chunking", "return_multivector", "truncate"]),
        ("mistral", ["output_dtype", "encoding_format"]),
        ("fireworks", ["normalize", "prompt_template", "return_logits"]),
        ("nvidia", ["embedding_type", "truncate", "input_type"]),
        ("mixedbread", ["prompt", "normalized", "encoding_format"]),
        ("cloudflare", ["pooling"]),
        ("databricks", ["instruction", "dimensions", "encoding_format"]),
    ],
)
def test_guarded(name: str, keys: list[str]) -> None:
    """No client may set what changes the space or the vectors' kind."""
    assert [] == [key for key in keys if key not in BY_NAME[name].owned]


@pytest.mark.parametrize(
    ("name", "status", "payload", "expected"),
    [
        ("voyage", 400, {"detail": "Model x is not supported. Supported models are ['voyage-2']."}, "misconfigured"),
        ("voyage", 400, {"detail": "The request body is not valid JSON."}, "rejected"),
        ("jina", 402, {"detail": "[AUTHZ_INSUFFICIENT_BALANCE] No."}, "exhausted"),
        ("jina", 403, {"detail": "[AUTHZ_INSUFFICIENT_BALANCE] No."}, "exhausted"),
        ("jina", 403, {"detail": {"code": "AUTHZ_INSUFFICIENT_BALANCE", "message": "No."}}, "exhausted"),
        ("jina", 403, {"detail": "No."}, "misconfigured"),
        ("jina", 400, {"detail": "'AUTHZ_INSUFFICIENT_BALANCE' is too long"}, "rejected"),
        ("jina", 400, {"detail": "[INPUT_MODEL_NOT_FOUND] No."}, "misconfigured"),
        ("jina", 400, {"detail": {"code": "INPUT_MODEL_NOT_FOUND", "message": "No."}}, "misconfigured"),
        ("jina", 400, {"detail": "input length is larger than the largest allowed size 2048"}, "rejected"),
    ],
)
def test_own_meanings(name: str, status: int, payload: object, expected: str) -> None:
    """Some failures are told by their words."""
    assert expected == kind(name, payload, status)


def test_table_is_whole() -> None:
    """No two providers share a name."""
    assert len(COMPATIBLE) == len(BY_NAME)


def test_all_are_providers() -> None:
    """The table holds providers alone."""
    assert all(isinstance(provider, Provider) for provider in COMPATIBLE)
