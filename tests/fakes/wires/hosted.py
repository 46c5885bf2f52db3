"""Hosted services with OpenAI's endpoint under other names, one record each. Facts: the reference of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.fakes.wires.base import Reason, Sent, Unsound, Wire
from tests.fakes.wires.openai_like import ENCODING, no_usage, total_only, wire
from tests.fakes.wires.refusals import detail, details, openai_like, refusing, without_type
from tests.fakes.wires.shapes import (
    free_object,
    no_use,
    one_of,
    text,
    text_up_to,
    whole,
)

FLOAT: Final = one_of("float")
DTYPES: Final = one_of("float")  # of float, int8, uint8, binary, ubinary the only one that a gateway can decode

# ── OpenAI and Azure ──────────────────────────────────────────────────────────────────────────────────────────────

_OPENAI: Final[Mapping[str, Any]] = {
    "model": "text-embedding-3-small",
    "native": 1536,
    "dimensions": ("dimensions", whole(1, 1536)),
    "encodings": ("encoding_format", ENCODING),
    "others": {"user": text},
    "token_ids": True,
    "max_inputs": 2048,
    "max_tokens": 300_000,
    "lengths": (1, 256),
    "extra": {"user": "user-1"},
}
_AZURE_REFUSES: Final = refusing(
    without_type,
    {
        Reason.KEY: "Access denied due to invalid subscription key or wrong API endpoint. The {place} {fault}.",
        Reason.ADDRESS: "Resource not found",
    },
)

OPENAI: Final = wire(
    "openai",
    "/v1",
    refuse=refusing(openai_like, {Reason.KEY: "Incorrect API key provided: it {fault}."}),
    **_OPENAI,
)
# https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
AZURE: Final = wire(
    "azure",
    "",
    path="/openai/deployments/text-embedding-3-small/embeddings",
    query={"api-version": "2024-10-21"},
    names_model=False,  # ignored, as the path names it
    key_header="api-key",
    key_scheme="",
    refuse=_AZURE_REFUSES,
    configured={"api_version": "2024-10-21"},
    **_OPENAI,
)
AZURE_V1: Final = wire(
    "azure-v1",
    "/openai/v1",
    provider="azure",
    key_header="api-key",
    key_scheme="",
    refuse=_AZURE_REFUSES,
    **_OPENAI,
)

# ── by name ───────────────────────────────────────────────────────────────────────────────────────────────────────

# https://www.alibabacloud.com/help/en/model-studio/embedding-interfaces-compatible-with-openai
DASHSCOPE: Final = wire(
    "dashscope",
    "/compatible-mode/v1",
    "text-embedding-v4",
    1024,
    dimensions=("dimensions", one_of(2048, 1536, 1024, 768, 512, 256, 128, 64)),
    encodings=("encoding_format", FLOAT),  # base64 is not verified
    max_inputs=10,
    lengths=(64, 256),
    refuse=refusing(
        lambda status, message: {
            "error": {"message": message, "type": "InvalidParameter", "param": None, "code": "InvalidParameter"},
            "id": "318cff27",
            "request_id": "318cff27",
        },
        {Reason.NUMBER: "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid: {fault}"},
    ),
)
# https://deepinfra.com/docs/openai_api
DEEPINFRA: Final = wire(
    "deepinfra",
    "/v1/openai",
    "Qwen/Qwen3-Embedding-0.6B",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", FLOAT),  # base64 is not verified
    max_inputs=1024,
    lengths=(256,),
    refuse=refusing(details, number=422, value=422),
)
# https://docs.fireworks.ai
FIREWORKS: Final = wire(
    "fireworks",
    "/inference/v1",
    "nomic-ai/nomic-embed-text-v1.5",
    768,
    dimensions=("dimensions", whole(64, 768)),
    others={"prompt_template": no_use, "return_logits": no_use, "normalize": no_use},
    max_inputs=2048,
    unit_length=False,  # `normalize` is false unless asked for
    lengths=(64,),
)
# https://api.jina.ai/redoc
JINA: Final = wire(
    "jina",
    "/v1",
    "jina-embeddings-v3",
    1024,
    dimensions=("dimensions", whole(32, 1024)),
    encodings=("embedding_type", ENCODING),
    role=(
        "task",
        one_of("retrieval.query", "retrieval.passage", "text-matching", "classification", "separation"),
    ),
    others={
        "truncate": one_of(False),  # the default
        "normalized": no_use,
        "late_chunking": no_use,
        "return_multivector": no_use,
    },
    max_inputs=2048,
    lengths=(32, 256),
    roles={
        "query": "retrieval.query",
        "document": "retrieval.passage",
        "classification": "classification",
        "clustering": "separation",
        "similarity": "text-matching",
    },
    refuse=refusing(detail, field=422),
)
# https://docs.mistral.ai/api/endpoint/embeddings
MISTRAL: Final = wire(
    "mistral",
    "/v1",
    "codestral-embed",
    1536,
    dimensions=("output_dimension", whole(1, 3072)),
    encodings=("encoding_format", ENCODING),
    others={"metadata": free_object, "output_dtype": DTYPES},
    max_tokens=16_384,
    lengths=(256,),
    refuse=refusing(details, {Reason.KEY: "Invalid API Key"}, field=422, value=422),
    envelope={
        "top": {"id": "emb-1", "object": "list"},
        "usage": lambda tokens: {
            "prompt_tokens": tokens,
            "total_tokens": tokens,
            "completion_tokens": 0,
            "prompt_audio_seconds": None,
            "num_cached_tokens": None,
        },
    },
)
# https://www.mixedbread.com/api-reference/endpoints/embeddings
MIXEDBREAD: Final = wire(
    "mixedbread",
    "/v1",
    "mxbai-embed-large-v1",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", ENCODING),
    others={"prompt": no_use, "normalized": no_use},
    max_inputs=256,
    lengths=(256,),
    refuse=refusing(details, field=422, value=422),
    envelope={"top": {"object": "list", "normalized": True, "encoding_format": "float", "dimensions": 1024}},
)
# https://docs.tokenfactory.nebius.com
NEBIUS: Final = wire(
    "nebius",
    "/v1",
    "Qwen/Qwen3-Embedding-8B",
    4096,
    dimensions=("dimensions", whole(1, 4096)),
    lengths=(256,),
)
# https://docs.nugen.in
NUGEN: Final = wire(
    "nugen",
    "/api/v3/inference",
    "nugen-flash-embed",
    768,
    dimensions=("dimensions", whole(1, 768)),
    lengths=(256,),
    refuse=refusing(details, field=422, value=422),
    envelope={
        "top": {"id": "nugen-1234", "object": "embedding", "created": 1717171717},
        "item": {},
        "usage": total_only,
    },
)
# https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html
NVIDIA: Final = wire(
    "nvidia",
    "/v1",
    "nvidia/llama-3.2-nv-embedqa-1b-v2",
    2048,
    always={"input_type": (one_of("query", "passage"), "passage")},
    role=("input_type", one_of("query", "passage")),
    dimensions=("dimensions", one_of(384, 512, 768, 1024, 2048)),
    encodings=("encoding_format", ENCODING),
    others={"truncate": one_of("NONE"), "embedding_type": DTYPES},
    max_inputs=50,
    lengths=(384,),
    roles={"query": "query", "document": "passage"},
    default_role="passage",
    refuse=refusing(
        lambda status, message: {
            "object": "error",
            "message": message,
            "detail": {},
            "type": "invalid_request_error",
        },
        {
            Reason.FIELD: "Your request cannot be validated, it is incorrect. detail={{'type':'extra_forbidden',"
            "'loc':('body','{place}')}}"
        },
    ),
)
# https://cloud.baidu.com/doc/qianfan-api
QIANFAN: Final = wire(
    "qianfan",
    "/v2",
    "embedding-v1",
    384,
    text=text_up_to(1000),
    encodings=("encoding_format", FLOAT),
    max_inputs=16,
    refuse=refusing(
        lambda status, message: {
            "error": {"code": "invalid_argument", "message": message, "type": "invalid_request_error"},
            "id": "as-1",
        }
    ),
)
# https://docs.siliconflow.cn
SILICONFLOW: Final = wire(
    "siliconflow",
    "/v1",
    "Qwen/Qwen3-Embedding-0.6B",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", ENCODING),
    max_inputs=32,
    lengths=(256,),
    refuse=refusing(
        lambda status, message: {"code": 20015, "message": message, "data": None},
        {
            Reason.FIELD: "The parameter is invalid. Please check again.",
            Reason.NUMBER: "input batch size > maximum allowed batch size 32",
        },
        number=413,
    ),
)
# https://docs.together.ai
TOGETHER: Final = wire(
    "together",
    "/v1",
    "BAAI/bge-base-en-v1.5",
    768,
    encodings=("encoding_format", ENCODING),
    refuse=refusing(openai_like, {Reason.FIELD: "Unrecognized request arguments supplied: {place}"}),
    envelope={"usage": no_usage},  # as some of its models do
)
# https://console.upstage.ai/docs
UPSTAGE: Final = wire("upstage", "/v1", "solar-embedding-2-query", 1024, max_inputs=100)
# https://www.volcengine.com/docs/82379
VOLCENGINE: Final = wire(
    "volcengine",
    "/api/v3",
    "doubao-embedding-text",
    2560,
    dimensions=("dimensions", whole(1, 2560)),
    encodings=("encoding_format", ENCODING),
    others={"user": text},
    max_inputs=32,
    lengths=(256,),
    extra={"user": "user-1"},
    envelope={"top": {"id": "0217", "created": 1717171717, "object": "list"}},
)
# https://docs.voyageai.com/reference/embeddings-api
VOYAGE: Final = wire(
    "voyage",
    "/v1",
    "voyage-3-large",
    1024,
    always={"truncation": (one_of(False), False)},
    dimensions=("output_dimension", one_of(256, 512, 1024, 2048)),
    encodings=("encoding_format", one_of("base64")),
    role=("input_type", one_of("query", "document")),
    others={"output_dtype": DTYPES},
    max_inputs=1000,
    max_tokens=120_000,
    lengths=(256, 2048),
    roles={"query": "query", "document": "document"},
    refuse=refusing(
        detail,
        {
            Reason.VALUE: "The request body is not valid JSON, or some arguments were not specified properly. "
            "In particular, argument '{place}' {fault}",
            Reason.MODEL: "Model {fault}. Supported models are ['voyage-3-large'].",
        },
        model=400,
    ),
    envelope={"usage": total_only},
)
# https://docs.bigmodel.cn
ZHIPU: Final = wire(
    "zhipu",
    "/api/paas/v4",
    "embedding-3",
    2048,
    dimensions=("dimensions", one_of(256, 512, 1024, 2048)),
    max_inputs=64,
    lengths=(256,),
    refuse=refusing(lambda status, message: {"error": {"code": "1113", "message": message}}),
    envelope={
        "usage": lambda tokens: {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
    },
)

# ── by an account's or a workspace's own address ──────────────────────────────────────────────────────────────────

# https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/
CLOUDFLARE: Final = wire(
    "cloudflare",
    "/client/v4/accounts/4cc0un7/ai/v1",
    "@cf/baai/bge-small-en-v1.5",
    384,
    max_inputs=100,
    refuse=refusing(
        lambda status, message: {
            "success": False,
            "errors": [{"code": 10000, "message": message}],
            "result": None,
            "messages": [],
        }
    ),
    envelope={"usage": no_usage},  # none is documented
)
# https://docs.databricks.com/aws/machine-learning/model-serving/query-embedding-models
DATABRICKS: Final = wire(
    "databricks",
    "/serving-endpoints",
    "databricks-gte-large-en",
    1024,
    others={"instruction": no_use},
    max_inputs=150,
    unit_length=False,
    refuse=refusing(
        lambda status, message: {"error_code": "BAD_REQUEST", "message": message},
        {Reason.FIELD: 'Bad request: json: unknown field "{place}"\n'},
    ),
)


def _snowflake_refuses(unsound: Unsound) -> Sent:
    body = {"message": str(unsound), "code": "390104", "request_id": "9b1f"}
    return Sent(403 if unsound.reason is Reason.KEY else 400, body, words=str(unsound))


# https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api/embed-api
SNOWFLAKE: Final = wire(
    "snowflake",
    "",
    "e5-base-v2",
    768,
    path="/api/v2/cortex/inference:embed",
    inputs="text",
    headers={"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"},
    configured={"headers": {"X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN"}},
    refuse=_snowflake_refuses,
    envelope={"nested": True, "usage": total_only},
)

HOSTED: Final[tuple[Wire, ...]] = (
    *(OPENAI, AZURE, AZURE_V1, DASHSCOPE, DEEPINFRA, FIREWORKS, JINA, MISTRAL, MIXEDBREAD, NEBIUS, NUGEN, NVIDIA),
    *(QIANFAN, SILICONFLOW, TOGETHER, UPSTAGE, VOLCENGINE, VOYAGE, ZHIPU, CLOUDFLARE, DATABRICKS, SNOWFLAKE),
)
