"""Hosted services that speak OpenAI's embeddings endpoint, each as a record of where it departs from it.

Base64 is asked for only where it is known to be that of float32. A limit in tokens is in the service's own, of which
a text has at most as many as bytes: batches are packed by such bounds, so that another tokenizer seldom matters.
"""

from __future__ import annotations

from typing import Final

from providers.base import FaultKind, Limits, Provider
from providers.dialect import Dialect
from providers.errors_shape import Meaning, oversized

# https://docs.voyageai.com/reference/embeddings-api
# It refuses `encoding_format: float`, and adds a prompt for each role. Keys of MongoDB Atlas have another address.
VOYAGE: Final = Dialect(
    dimensions_field="output_dimension",
    role_field="input_type",
    roles={"query": "query", "document": "document"},
    always={"truncation": False},
    guarded=frozenset({"output_dtype"}),
).provider(
    "voyage",
    "https://api.voyageai.com/v1",
    Meaning(FaultKind.MISCONFIGURED, 400, says="is not supported. Supported models are"),
    oversized(400, says="max allowed tokens per submitted batch"),
    limits=Limits(inputs=1000, request_tokens=120_000),  # the least; some models take 320,000 or 1,000,000
    base64=True,
    overlong="obeys",
    urls_of_keys={"al-": "https://ai.mongodb.com/v1"},
)

# https://api.jina.ai/redoc
JINA: Final = Dialect(
    role_field="task",
    roles={
        "query": "retrieval.query",
        "document": "retrieval.passage",
        "classification": "classification",
        "clustering": "separation",
        "similarity": "text-matching",
    },
    asks_base64={"embedding_type": "base64"},
    always={"truncate": False},
    guarded=frozenset({"normalized", "late_chunking", "return_multivector"}),
).provider(
    "jina",
    "https://api.jina.ai/v1",
    Meaning(FaultKind.EXHAUSTED, 403, says="AUTHZ_INSUFFICIENT_BALANCE"),
    Meaning(FaultKind.EXHAUSTED, 403, code="AUTHZ_INSUFFICIENT_BALANCE"),
    Meaning(FaultKind.MISCONFIGURED, 400, says="INPUT_MODEL_NOT_FOUND"),
    Meaning(FaultKind.MISCONFIGURED, 400, code="INPUT_MODEL_NOT_FOUND"),
    oversized(says="input list can contain at most"),
    oversized(says="larger than the largest allowed size"),
    limits=Limits(inputs=512),  # v4; older models take 2048
    overlong="obeys",
)

# https://docs.mistral.ai/api/endpoint/embeddings
# A closed schema: other fields are a 422. What is behind its base64 follows `output_dtype`. A text that is too long is
# an error: https://github.com/langchain-ai/langchain/issues/20523
MISTRAL: Final = Dialect(
    dimensions_field="output_dimension",
    guarded=frozenset({"output_dtype"}),
).provider(
    "mistral",
    "https://api.mistral.ai/v1",
    oversized(400, says="Too many tokens in batch"),
    limits=Limits(request_tokens=16_384),
    overlong="refuses",
)

# https://docs.nugen.in
NUGEN: Final = Dialect(version="api/v3/inference", asks_base64={}).provider(
    "nugen", "https://api.nugen.in/api/v3/inference"
)

# https://docs.together.ai
# `dimensions` and `user` are a 400. Base64 was ignored before September 2025. Some models report no usage.
TOGETHER: Final = Dialect(dimensions_field=None).provider("together", "https://api.together.xyz/v1")

# https://docs.fireworks.ai/api-reference/creates-an-embedding-vector-representing-the-input-text
# A closed schema. Vectors are not of unit length unless asked for; a route's `normalize` makes them so here.
FIREWORKS: Final = Dialect(
    version="inference/v1",
    asks_base64={},
    guarded=frozenset({"normalize", "prompt_template", "return_logits"}),
).provider("fireworks", "https://api.fireworks.ai/inference/v1", limits=Limits(inputs=2048), unit_length=False)

# https://deepinfra.com/docs/openai_api
DEEPINFRA: Final = Dialect(version="v1/openai").provider(
    "deepinfra", "https://api.deepinfra.com/v1/openai", limits=Limits(inputs=1024)
)

# https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html
# A closed schema. Asymmetric models refuse a call without a role, unless their name ends in it.
NVIDIA: Final = Dialect(
    role_field="input_type",
    roles={"query": "query", "document": "passage"},
    always={"truncate": "NONE"},
    guarded=frozenset({"embedding_type"}),
).provider(
    "nvidia",
    "https://integrate.api.nvidia.com/v1",
    limits=Limits(inputs=50),  # what clients use; each model has its own, not all documented
    base64=True,
    overlong="obeys",
    needs_role=True,
    role_endings=("-query", "-passage"),
)

# https://www.mixedbread.com/api-reference/endpoints/embeddings
MIXEDBREAD: Final = Dialect(guarded=frozenset({"normalized", "prompt"})).provider(
    "mixedbread",
    "https://api.mixedbread.com/v1",
    limits=Limits(inputs=256),  # unverified
)

# https://docs.siliconflow.cn
SILICONFLOW: Final = Dialect().provider(
    "siliconflow",
    "https://api.siliconflow.cn/v1",
    limits=Limits(inputs=32),  # documented; messages of some models say 64
)

# https://help.aliyun.com/en/model-studio/embedding-interfaces-compatible-with-openai
# Roles exist only at its native endpoint. Outside China: `https://dashscope-intl.aliyuncs.com/compatible-mode/v1`.
DASHSCOPE: Final = Dialect(version="compatible-mode/v1").provider(
    "dashscope",
    "https://dashscope.aliyuncs.com/compatible-mode/v1",
    oversized(400, says="batch size is invalid"),
    limits=Limits(inputs=10),  # v3 and v4; v1 and v2 take 25
)

# https://docs.bigmodel.cn
ZHIPU: Final = Dialect(version="api/paas/v4", asks_base64={}).provider(
    "zhipu",
    "https://open.bigmodel.cn/api/paas/v4",
    limits=Limits(inputs=64),  # embedding-2 takes 8,000 tokens in all
)

# https://www.volcengine.com/docs/82379
VOLCENGINE: Final = Dialect(version="api/v3", user_field="user").provider(
    "volcengine",
    "https://ark.cn-beijing.volces.com/api/v3",
    limits=Limits(inputs=32),  # what clients use; not documented
    base64=True,
)

# https://cloud.baidu.com/doc/qianfan-api
# It takes no bare text, and none is ever sent: the input is a list always. It takes no encoding but floats.
QIANFAN: Final = Dialect(version="v2", dimensions_field=None, asks_base64={}).provider(
    "qianfan",
    "https://qianfan.baidubce.com/v2",
    limits=Limits(inputs=16),  # tao-8k takes one
)

# https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/
# The base URL carries the account: `https://api.cloudflare.com/client/v4/accounts/{account}/ai/v1`. The poolings that
# some of its models offer are different spaces.
CLOUDFLARE: Final = Dialect(
    version="ai/v1",
    dimensions_field=None,
    asks_base64={},
    guarded=frozenset({"pooling"}),
).provider("cloudflare", limits=Limits(inputs=100))

# https://docs.databricks.com/aws/machine-learning/model-serving/query-embedding-models
# The base URL is `https://{workspace}/serving-endpoints`, the model an endpoint's name. `dimensions` is a 400,
# `encoding_format` ignored.
DATABRICKS: Final = Dialect(
    version="serving-endpoints",
    dimensions_field=None,
    asks_base64={},
    guarded=frozenset({"instruction"}),
).provider(
    "databricks",
    limits=Limits(inputs=150),  # unverified
)

# https://docs.tokenfactory.nebius.com
NEBIUS: Final = Dialect().provider("nebius", "https://api.tokenfactory.nebius.com/v1")

# https://console.upstage.ai/docs
# Its roles are models of their own, `…-query` and `…-passage`.
UPSTAGE: Final = Dialect(dimensions_field=None, asks_base64={}).provider(
    "upstage",
    "https://api.upstage.ai/v1",
    limits=Limits(inputs=100),  # unverified
)

COMPATIBLE: Final[tuple[Provider, ...]] = (
    *(VOYAGE, JINA, MISTRAL, NUGEN, TOGETHER, FIREWORKS, DEEPINFRA, NVIDIA, MIXEDBREAD, SILICONFLOW, DASHSCOPE, ZHIPU),
    *(VOLCENGINE, QIANFAN, CLOUDFLARE, DATABRICKS, NEBIUS, UPSTAGE),
)
