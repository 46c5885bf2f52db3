"""Whole exchanges as providers have them: recorded ones where there are, else those of their references.

Each body stands here as it came, so that a reader can compare it with the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from providers import PROVIDERS
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Provider, Response
from tests.fakes.backends import vector

KEY = "key-of-the-target-0123456789"


def provider(name: str) -> Provider:
    found = PROVIDERS[name]
    assert isinstance(found, Provider)
    return found


# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────

SMALL = EmbedCall("text-embedding-3-small", ["hello", "world"], dimensions=256, user="u-1")
QUERY = EmbedCall("m", ["hello"], dimensions=256, input_type="query", user="u-1")
REQUESTS: Mapping[str, tuple[str, EmbedCall, dict[str, Any], str, str]] = {
    "openai": (
        "openai",
        SMALL,
        {"base64": True},
        "https://api.openai.com/v1/embeddings",
        """{"model":"text-embedding-3-small","input":["hello","world"],"encoding_format":"base64","dimensions":256,
        "user":"u-1"}""",
    ),
    "openai, token ids": (
        "openai",
        EmbedCall("text-embedding-3-small", [[15339, 1917], [11]]),
        {},
        "https://api.openai.com/v1/embeddings",
        '{"model":"text-embedding-3-small","input":[[15339,1917],[11]]}',
    ),
    "azure, deployment": (
        "azure",
        EmbedCall("embed-small", ["hello"], dimensions=256),
        {"base_url": "https://acme.openai.azure.com/", "api_version": "2024-10-21"},
        "https://acme.openai.azure.com/openai/deployments/embed-small/embeddings?api-version=2024-10-21",
        '{"input":["hello"],"dimensions":256}',
    ),
    "azure, v1": (
        "azure",
        EmbedCall("embed-small", ["hello"]),
        {"base_url": "https://acme.services.ai.azure.com/openai/v1/"},
        "https://acme.services.ai.azure.com/openai/v1/embeddings",
        '{"model":"embed-small","input":["hello"]}',
    ),
    "voyage": (
        "voyage",
        QUERY,
        {"base64": True},
        "https://api.voyageai.com/v1/embeddings",
        """{"model":"m","input":["hello"],"truncation":false,"encoding_format":"base64","output_dimension":256,
        "input_type":"query"}""",
    ),
    "voyage, floats": (
        "voyage",
        EmbedCall("voyage-4", ["hello"]),
        {},
        "https://api.voyageai.com/v1/embeddings",
        '{"model":"voyage-4","input":["hello"],"truncation":false}',
    ),
    "jina": (
        "jina",
        QUERY,
        {},
        "https://api.jina.ai/v1/embeddings",
        '{"model":"m","input":["hello"],"truncate":false,"dimensions":256,"task":"retrieval.query"}',
    ),
    "mistral": (
        "mistral",
        QUERY,
        {},
        "https://api.mistral.ai/v1/embeddings",
        '{"model":"m","input":["hello"],"output_dimension":256}',
    ),
    "nvidia": (
        "nvidia",
        EmbedCall("nvidia/nv-embedqa-e5-v5", ["hello"], input_type="document"),
        {"base64": True},
        "https://integrate.api.nvidia.com/v1/embeddings",
        """{"model":"nvidia/nv-embedqa-e5-v5","input":["hello"],"truncate":"NONE","encoding_format":"base64",
        "input_type":"passage"}""",
    ),
    "nugen": (
        "nugen",
        EmbedCall("nugen-flash-embed", ["hello"]),
        {"base64": True},
        "https://api.nugen.in/api/v3/inference/embeddings",
        '{"model":"nugen-flash-embed","input":["hello"]}',
    ),
    "together": (
        "together",
        QUERY,
        {},
        "https://api.together.xyz/v1/embeddings",
        '{"model":"m","input":["hello"]}',
    ),
    "qianfan": (
        "qianfan",
        EmbedCall("embedding-v1", ["hello"]),
        {},
        "https://qianfan.baidubce.com/v2/embeddings",
        '{"model":"embedding-v1","input":["hello"]}',
    ),
    "databricks": (
        "databricks",
        EmbedCall("databricks-gte-large-en", ["hello"]),
        {"base_url": "https://acme.cloud.databricks.com/serving-endpoints"},
        "https://acme.cloud.databricks.com/serving-endpoints/embeddings",
        '{"model":"databricks-gte-large-en","input":["hello"]}',
    ),
    "snowflake": (
        "snowflake",
        EmbedCall("e5-base-v2", ["hello"]),
        {"base_url": "https://acme.snowflakecomputing.com"},
        "https://acme.snowflakecomputing.com/api/v2/cortex/inference:embed",
        '{"model":"e5-base-v2","text":["hello"]}',
    ),
    "tei": (
        "tei",
        EmbedCall("any", ["hello"], user="u-1"),
        {"base_url": "http://tei:80", "base64": True},
        "http://tei:80/v1/embeddings",
        '{"model":"any","input":["hello"],"encoding_format":"base64"}',
    ),
}


@pytest.mark.parametrize(("name", "call", "fields", "url", "body"), REQUESTS.values(), ids=REQUESTS)
def test_request(name: str, call: EmbedCall, fields: dict[str, Any], url: str, body: str) -> None:
    """A call goes out as the provider's reference has it."""
    base_url = provider(name).base_url or ""
    request = provider(name).build_request(call, Endpoint(**{"base_url": base_url, "api_key": KEY, **fields}))
    credentials = {"api-key": KEY} if name == "azure" else {"authorization": f"Bearer {KEY}"}
    headers = {"content-type": "application/json", "accept": "application/json", **credentials}

    assert ("POST", url, headers, json.loads(body)) == (
        request.method,
        request.url,
        request.headers,
        json.loads(request.body),
    )


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────

PAIR = vector(0.1, 0.2)
ANSWERS: Mapping[str, tuple[str, str, Embeddings]] = {
    "openai": (
        "openai",
        """{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.0023,-0.0093]}],
        "model":"text-embedding-3-small","usage":{"prompt_tokens":4,"total_tokens":4}}""",
        Embeddings([vector(0.0023, -0.0093)], [0], 4),
    ),
    "azure, a model of cohere": (
        "azure",
        """{"id":"8bd5b608","object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],
        "model":"embed-english-v3.0","usage":{"prompt_tokens":4,"completion_tokens":0,"total_tokens":4}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "voyage": (
        "voyage",
        """{"object":"list","data":[{"object":"embedding","embedding":"zczMPQ==","index":0}],"model":"voyage-4",
        "usage":{"total_tokens":4}}""",
        Embeddings([vector(0.1)], [0], 4),
    ),
    "mistral": (
        "mistral",
        """{"id":"1f","object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}],
        "model":"mistral-embed","usage":{"prompt_audio_seconds":null,"prompt_tokens":4,"total_tokens":4,
        "completion_tokens":0,"request_count":null,"prompt_token_details":null}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "nugen": (
        "nugen",
        """{"id":"nugen-1234","object":"embedding","data":[{"embedding":[0.1,0.2],"index":0}],
        "model":"nugen-flash-embed","created":1717171717,"usage":{"total_tokens":4}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "vllm": (
        "vllm",
        """{"id":"embd-1f","object":"list","created":1717171717,"model":"m","data":[{"index":0,"object":"embedding",
        "embedding":"zczMPc3MTD4="}],"usage":{"prompt_tokens":4,"total_tokens":4,"completion_tokens":0,
        "prompt_tokens_details":null}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "infinity": (
        "infinity",
        """{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}],"model":"m",
        "usage":{"prompt_tokens":11,"total_tokens":11},"id":"infinity-1f","created":1717171717}""",
        Embeddings([PAIR], [0], None),
    ),
    "lmstudio": (
        "lmstudio",
        """{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}],"model":"m",
        "usage":{"prompt_tokens":0,"total_tokens":0}}""",
        Embeddings([PAIR], [0], None),
    ),
    "together, no usage": (
        "together",
        """{"object":"list","model":"m","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}]}""",
        Embeddings([PAIR], [0], None),
    ),
    "openrouter": (
        "openrouter",
        """
        \n   \n{"object":"list","data":[{"object":"embedding","embedding":[0.1,0.2],"index":0}],
        "model":"text-embedding-3-small","id":"gen-emb-1717171717-1f","provider":"OpenAI",
        "usage":{"prompt_tokens":4,"total_tokens":4,"cost":8e-8,"is_byok":false,"cost_details":{}}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "oneapi, one vector": (
        "oneapi",
        """{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],
        "model":"gemini-embedding","usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}""",
        Embeddings([PAIR], [0], None),
    ),
    "aihubmix": (
        "aihubmix",
        """{"data":[{"index":0,"embedding":[0.1,0.2]}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "snowflake": (
        "snowflake",
        """{"object":"list","data":[{"object":"embedding","embedding":[[0.1,0.2]],"index":0}],"model":"e5-base-v2",
        "usage":{"total_tokens":4}}""",
        Embeddings([PAIR], [0], 4),
    ),
    "cohere": (
        "cohere",
        """{"id":"8bd5b608","embeddings":{"float":[[0.1,0.2]]},"texts":["hello"],"meta":{"api_version":{"version":"2"},
        "billed_units":{"input_tokens":4}},"response_type":"embeddings_by_type"}""",
        Embeddings([PAIR], None, 4),
    ),
    "gemini": (
        "gemini",
        '{"embeddings":[{"values":[0.1,0.2]},{"values":[0.3,0.4]}]}',
        Embeddings([PAIR, vector(0.3, 0.4)]),
    ),
    "vertex": (
        "vertex",
        """{"predictions":[{"embeddings":{"statistics":{"token_count":4,"truncated":false},"values":[0.1,0.2]}}],
        "metadata":{"billableCharacterCount":12}}""",
        Embeddings([PAIR], None, 4),
    ),
    "bedrock-titan": (
        "bedrock-titan",
        '{"embedding":[0.1,0.2],"embeddingsByType":{"float":[0.1,0.2]},"inputTextTokenCount":5}',
        Embeddings([PAIR], None, 5),
    ),
}


@pytest.mark.parametrize(("name", "body", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answer(name: str, body: str, expected: Embeddings) -> None:
    """An answer is read as what it says, and no more."""
    assert expected == provider(name).parse_response(Response(200, {}, body.encode()))


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────

REJECTED, MISCONFIGURED, THROTTLED = FaultKind.REJECTED, FaultKind.MISCONFIGURED, FaultKind.THROTTLED
ERRORS: Mapping[str, tuple[str, int, dict[str, str], str, FaultKind, str, float | None]] = {
    "openai 404": (
        "openai",
        404,
        {},
        """{"error":{"message":"The model `x` does not exist or you do not have access to it.",
        "type":"invalid_request_error","param":null,"code":"model_not_found"}}""",
        MISCONFIGURED,
        "The model `x` does not exist or you do not have access to it.",
        None,
    ),
    "openai 400": (
        "openai",
        400,
        {},
        """{"error":{"code":null,"message":"-1 is less than the minimum of 1 - 'dimensions'","param":null,
        "type":"invalid_request_error"}}""",
        REJECTED,
        "-1 is less than the minimum of 1 - 'dimensions'",
        None,
    ),
    "openai 400, too many tokens": (
        "openai",
        400,
        {},
        """{"error":{"message":"Requested 416735 tokens, max 300000 tokens per request",
        "type":"max_tokens_per_request","param":null,"code":"max_tokens_per_request"}}""",
        REJECTED,
        "Requested 416735 tokens, max 300000 tokens per request",
        None,
    ),
    "openai 429": (
        "openai",
        429,
        {},
        """{"error":{"message":"Rate limit reached for m. Please try again in 2.812s. Visit the page.",
        "type":"tokens","param":null,"code":"rate_limit_exceeded"}}""",
        THROTTLED,
        "Rate limit reached for m. Please try again in 2.812s. Visit the page.",
        2.812,
    ),
    "openai 429, no credit": (
        "openai",
        429,
        {},
        """{"error":{"message":"You exceeded your current quota, please check your plan.",
        "type":"insufficient_quota","param":null,"code":"insufficient_quota"}}""",
        FaultKind.EXHAUSTED,
        "You exceeded your current quota, please check your plan.",
        None,
    ),
    "azure 401": (
        "azure",
        401,
        {},
        """{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}""",
        MISCONFIGURED,
        "Access denied due to invalid subscription key or wrong API endpoint.",
        None,
    ),
    "azure 429": (
        "azure",
        429,
        {"retry-after": "1", "retry-after-ms": "0"},
        """{"error":{"code":"RateLimitReached","message":"Your requests to m for m in westeurope have exceeded rate
 limit.","details":"Your requests to m for m in westeurope have exceeded rate limit."}}""".replace("\n", ""),
        THROTTLED,
        "Your requests to m for m in westeurope have exceeded rate limit.",
        1.0,
    ),
    "voyage 400, model": (
        "voyage",
        400,
        {},
        """{"detail":"Model nonexistent is not supported. Supported models are ['voyage-2', 'voyage-large-2']."}""",
        MISCONFIGURED,
        "Model nonexistent is not supported. Supported models are ['voyage-2', 'voyage-large-2'].",
        None,
    ),
    "voyage 400, tokens": (
        "voyage",
        400,
        {},
        """{"detail":"Request to model 'voyage-4' failed. The max allowed tokens per submitted batch is 120000."}""",
        REJECTED,
        "Request to model 'voyage-4' failed. The max allowed tokens per submitted batch is 120000.",
        None,
    ),
    "mistral 401": ("mistral", 401, {}, '{"detail":"Invalid API Key"}', MISCONFIGURED, "Invalid API Key", None),
    "mistral 400": (
        "mistral",
        400,
        {},
        """{"object":"error","message":"Too many tokens in batch. Max is 16384 got 17555",
        "type":"invalid_request_error","param":null,"code":null}""",
        REJECTED,
        "Too many tokens in batch. Max is 16384 got 17555",
        None,
    ),
    "mistral 422": (
        "mistral",
        422,
        {},
        """{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":"Extra inputs are not permitted",
        "input":"u-1"}]}""",
        REJECTED,
        "body.user: Extra inputs are not permitted",
        None,
    ),
    "nvidia 400": (
        "nvidia",
        400,
        {},
        """{"object":"error","message":"Input length 548 exceeds maximum allowed token size 512","detail":{},
        "type":"invalid_request_error"}""",
        REJECTED,
        "Input length 548 exceeds maximum allowed token size 512",
        None,
    ),
    "nvidia 403": (
        "nvidia",
        403,
        {},
        '{"status":403,"title":"Forbidden","detail":"Authorization failed"}',
        MISCONFIGURED,
        "Authorization failed",
        None,
    ),
    "tei 422": (
        "tei",
        422,
        {},
        '{"message":"batch size 100 > maximum allowed batch size 32","code":422,"type":"Validation"}',
        REJECTED,
        "batch size 100 > maximum allowed batch size 32",
        None,
    ),
    "infinity 400": (
        "infinity",
        400,
        {},
        '{"error":{"message":"Invalid model: x","type":null,"param":null,"code":400}}',
        MISCONFIGURED,
        "Invalid model: x",
        None,
    ),
    "vllm 400": (
        "vllm",
        400,
        {},
        """{"error":{"message":"This model's maximum context length is 512 tokens.","type":"BadRequestError",
        "param":null,"code":400}}""",
        REJECTED,
        "This model's maximum context length is 512 tokens.",
        None,
    ),
    "llamacpp 500": (
        "llamacpp",
        500,
        {},
        """{"error":{"code":500,"message":"input (992 tokens) is too large to process. increase the batch size",
        "type":"server_error"}}""",
        REJECTED,
        "input (992 tokens) is too large to process. increase the batch size",
        None,
    ),
    "nugen 422": (
        "nugen",
        422,
        {},
        '{"detail":[{"loc":["body","input"],"msg":"field required","type":"value_error.missing"}]}',
        REJECTED,
        "body.input: field required",
        None,
    ),
    "openrouter 401": (
        "openrouter",
        401,
        {},
        '{"error":{"message":"Missing Authentication header","code":401}}',
        MISCONFIGURED,
        "Missing Authentication header",
        None,
    ),
    "dashscope 400": (
        "dashscope",
        400,
        {},
        """{"error":{"message":"<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid",
        "type":"InvalidParameter","param":null,"code":"InvalidParameter"},"id":"318cff27","request_id":"318cff27"}""",
        REJECTED,
        "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid",
        None,
    ),
    "siliconflow 400": (
        "siliconflow",
        400,
        {},
        '{"code":20015,"message":"The parameter is invalid. Please check again.","data":null}',
        REJECTED,
        "The parameter is invalid. Please check again.",
        None,
    ),
    "siliconflow 401": ("siliconflow", 401, {}, '"Invalid token"', MISCONFIGURED, "Invalid token", None),
    "databricks 400": (
        "databricks",
        400,
        {},
        r"""{"error_code":"BAD_REQUEST","message":"Bad request: json: unknown field \"dimensions\"\n"}""",
        REJECTED,
        'Bad request: json: unknown field "dimensions"\n',
        None,
    ),
    "cloudflare 403": (
        "cloudflare",
        403,
        {},
        """{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"result":null,
        "messages":[]}""",
        MISCONFIGURED,
        "Authentication error",
        None,
    ),
    "volcengine 401": (
        "volcengine",
        401,
        {},
        """{"error":{"code":"AuthenticationError","message":"The API key is missing.","param":"",
        "type":"Unauthorized"}}""",
        MISCONFIGURED,
        "The API key is missing.",
        None,
    ),
    "oneapi 429": (
        "oneapi",
        429,
        {},
        """{"error":{"message":"当前分组上游负载已饱和，请稍后再试 (request id: 20)","type":"one_api_error","param":"",
        "code":null}}""",
        THROTTLED,
        "当前分组上游负载已饱和，请稍后再试 (request id: 20)",
        None,
    ),
    "cohere 404": (
        "cohere",
        404,
        {},
        """{"id":"8bd5b608","message":"model 'nonexistent' not found, make sure the correct model ID was used."}""",
        MISCONFIGURED,
        "model 'nonexistent' not found, make sure the correct model ID was used.",
        None,
    ),
    "gemini 400, key": (
        "gemini",
        400,
        {},
        """{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT",
        "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID",
        "domain":"googleapis.com"}]}}""",
        MISCONFIGURED,
        "API key not valid. Please pass a valid API key.",
        None,
    ),
    "gemini 429": (
        "gemini",
        429,
        {},
        """{"error":{"code":429,"message":"You exceeded your current quota. Please retry in 58.82s.",
        "status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay":"58s"}]}}""",
        THROTTLED,
        "You exceeded your current quota. Please retry in 58.82s.",
        58.82,
    ),
    "ollama 404": (
        "ollama",
        404,
        {},
        """{"error":"model 'x' not found"}""",
        MISCONFIGURED,
        "model 'x' not found",
        None,
    ),
    "tei-embed 429": (
        "tei-embed",
        429,
        {},
        '{"error":"Model is overloaded","error_type":"Overloaded"}',
        THROTTLED,
        "Model is overloaded",
        None,
    ),
}


OVERSIZED = {
    "openai 400, too many tokens",
    "voyage 400, tokens",
    "mistral 400",
    "tei 422",
    "dashscope 400",
}
"""Failures of all inputs of a call together."""


@pytest.mark.parametrize("case", ERRORS)
def test_error(case: str) -> None:
    """A failure is told by its status and the provider's words, and whether smaller batches may pass."""
    name, status, headers, body, kind, message, wait = ERRORS[case]
    expected = Fault(kind, message, status, wait, divisible=case in OVERSIZED)

    assert expected == provider(name).parse_error(Response(status, headers, body.encode()))


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("openai", 400, "Invalid 'input': array length must be 2048 or less."),
        ("openrouter", 400, "Invalid 'input': array length must be 2048 or less."),
        ("cohere", 400, "invalid request: total number of texts must be at most 96 - received 104"),
        ("jina", 422, "[RID: 1] Validation error: 'body -> x' Each input list can contain at most 512 items"),
        ("jina", 400, "input length is larger than the largest allowed size 2048"),
        ("gemini", 400, "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch"),
        ("gemini", 400, "Request payload size exceeds the limit: 4194304 bytes"),
        ("vertex", 400, "5 instance(s) is allowed per prediction. Actual: 6"),
        ("tei-embed", 422, "batch size 33 > maximum allowed batch size 32"),
        ("siliconflow", 413, "input batch size 473 > maximum allowed batch size 64"),
    ],
)
def test_oversized(name: str, status: int, message: str) -> None:
    """A batch refused for its size is told from one refused for an input."""
    body = json.dumps({"error": {"message": message}}).encode()

    assert Fault(REJECTED, message, status, divisible=True) == provider(name).parse_error(Response(status, {}, body))
