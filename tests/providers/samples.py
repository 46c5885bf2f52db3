"""For each remote provider: what it answers, what it says when it fails, and the fields that it documents.

Everything here is from the providers' references, not from the code under test.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Wire = Sequence[float] | str
"""A vector as it comes: numbers or base64."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`answer` makes the body with these vectors and this usage, none for None; `error` the body with this message.

    `documented` are the fields at the top of a request's body. `endpoint` is what an endpoint has to have.
    `usage_header` names the header that tells the tokens; `tells_usage` is whether anything that can be trusted does.
    `unit_length` is whether only the direction of a vector is told, and it is handed on in unit length.
    """

    answer: Callable[[Sequence[Wire], int | None], Any]
    error: Callable[[str], Any]
    documented: frozenset[str]
    endpoint: Mapping[str, str] = field(default_factory=dict)
    usage_header: str | None = None
    tells_usage: bool = True
    unit_length: bool = False


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def usage(tokens: int | None, *names: str) -> dict[str, Any]:
    return {} if tokens is None else {"usage": dict.fromkeys(names, tokens)}


def listed(vectors: Sequence[object], tokens: int | None, *names: str, **more: Any) -> dict[str, Any]:
    items = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": items, "model": "m", **usage(tokens, *names), **more}


def openai(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return listed(vectors, tokens, "prompt_tokens", "total_tokens")


def total_only(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return listed(vectors, tokens, "total_tokens")


def with_id(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    names = ("prompt_tokens", "total_tokens", "completion_tokens")
    return listed(vectors, tokens, *names, id="embd-1", created=1717171717)


def nugen(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    items = [{"embedding": vector, "index": index} for index, vector in enumerate(vectors)]
    top = {"id": "nugen-1234", "object": "embedding", "data": items, "model": "nugen-flash-embed"}
    return {**top, "created": 1717171717.5, **usage(tokens, "total_tokens")}


def aihubmix(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    items = [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"data": items, "model": "m", **usage(tokens, "prompt_tokens", "total_tokens")}


def snowflake(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return listed([[vector] for vector in vectors], tokens, "total_tokens")


def cohere(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    meta = (
        {} if tokens is None else {"meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens}}}
    )
    return {"id": "8bd5b608", "embeddings": {"float": vectors}, "texts": [], **meta}


def bedrock_cohere(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return {"embeddings": vectors, "id": "3893ebf7", "response_type": "embeddings_floats", "texts": []}


def bedrock_cohere_v4(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return {"embeddings": {"float": vectors}, "id": "3893ebf7", "response_type": "embeddings_by_type", "texts": []}


def titan(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    counted = {} if tokens is None else {"inputTextTokenCount": tokens}
    return {"embedding": vectors[0] if len(vectors) == 1 else vectors, **counted}


def nova(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return {"embeddings": [{"embedding": vector, "embeddingType": "TEXT"} for vector in vectors]}


def perplexity(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    """Eighths as signed bytes; what is no number, or no text that could hold them, stays what it is."""

    def int8(vector: Wire) -> Wire:
        if isinstance(vector, str) or not all(map(math.isfinite, vector)):
            return vector
        return base64.b64encode(bytes(int(value * 8) % 256 for value in vector)).decode()

    return openai([int8(vector) for vector in vectors], tokens)


def gemini(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    counted = {} if tokens is None else {"usageMetadata": {"promptTokenCount": tokens}}
    return {"embeddings": [{"values": vector} for vector in vectors], **counted}


def vertex(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    told = {} if tokens is None else {"statistics": {"token_count": tokens, "truncated": False}}
    return {"predictions": [{"embeddings": {"values": vector, **told}} for vector in vectors]}


def vertex_single(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    counted = {} if tokens is None else {"usageMetadata": {"promptTokenCount": tokens}}
    return {"embedding": {"values": vectors[0] if len(vectors) == 1 else vectors}, **counted}


def ollama(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    counted = {} if tokens is None else {"prompt_eval_count": tokens}
    return {"model": "m", "embeddings": vectors, "total_duration": 14143917, **counted}


def bare(vectors: Sequence[Wire], tokens: int | None) -> Sequence[Wire]:
    return vectors


def nomic(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    return {"embeddings": vectors, "model": "m", **usage(tokens, "prompt_tokens", "total_tokens")}


def watsonx(vectors: Sequence[Wire], tokens: int | None) -> dict[str, Any]:
    counted = {} if tokens is None else {"input_token_count": tokens}
    return {"model_id": "m", "results": [{"embedding": vector} for vector in vectors], **counted}


# ── errors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def nested(message: str) -> Any:
    return {"error": {"message": message, "type": "some_error", "param": None, "code": None}}


def typeless(message: str) -> Any:
    return {"error": {"code": "SomeCode", "message": message}}


def numbered(message: str) -> Any:
    return {"error": {"message": message, "type": None, "param": None, "code": 418}}


def google(message: str) -> Any:
    return {"error": {"code": 418, "message": message, "status": "SOME_STATUS", "details": []}}


def text(message: str) -> Any:
    return {"error": message}


def detail(message: str) -> Any:
    return {"detail": message}


def flat(message: str) -> Any:
    return {"message": message, "code": 418, "type": "Some"}


def flat_object(message: str) -> Any:
    return {"object": "error", "message": message, "detail": {}, "type": "some_error"}


def error_code(message: str) -> Any:
    return {"error_code": "SOME_CODE", "message": message}


def errors(message: str) -> Any:
    return {"success": False, "errors": [{"code": 10000, "message": message}], "result": None, "messages": []}


def traced(message: str) -> Any:
    return {"errors": [{"code": "some", "message": message}], "trace": "1f", "status_code": 418}


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────


def fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


HOST: Final = {"base_url": "http://10.1.2.3:8000"}
REGION: Final = {"region": "europe-west4", "project": "acme"}
OPENAI: Final = fields("model input encoding_format dimensions user")
COHERE: Final = fields(
    "model input_type texts images inputs embedding_types output_dimension max_tokens truncate priority"
)
BEDROCK_TOKENS: Final = "x-amzn-bedrock-input-token-count"
VLLM: Final = fields("truncate_prompt_tokens truncation_side add_special_tokens embed_dtype endianness priority")

SHAPED: Final[Mapping[str, Sample]] = {
    "openai": Sample(openai, nested, OPENAI),
    "azure": Sample(openai, typeless, OPENAI, {"base_url": "https://acme.openai.azure.com"}),
    "voyage": Sample(
        total_only, detail, fields("input model input_type truncation output_dimension output_dtype encoding_format")
    ),
    "jina": Sample(
        openai,
        detail,
        fields("model input task dimensions embedding_type normalized truncate late_chunking return_multivector"),
    ),
    "mistral": Sample(
        with_id, flat_object, fields("model input metadata output_dimension output_dtype encoding_format")
    ),
    "nugen": Sample(nugen, detail, fields("input model dimensions")),
    "together": Sample(openai, nested, fields("model input")),
    "fireworks": Sample(openai, nested, fields("input model prompt_template dimensions return_logits normalize")),
    "deepinfra": Sample(openai, detail, fields("model input encoding_format dimensions")),
    "nvidia": Sample(
        openai,
        flat_object,
        fields("input model input_type encoding_format embedding_type truncate dimensions user"),
    ),
    "mixedbread": Sample(openai, flat, fields("model input dimensions prompt normalized encoding_format")),
    "siliconflow": Sample(openai, flat, fields("model input encoding_format dimensions")),
    "dashscope": Sample(openai, nested, fields("model input encoding_format dimensions")),
    "zhipu": Sample(with_id, typeless, fields("model input dimensions")),
    "volcengine": Sample(with_id, nested, OPENAI),
    "qianfan": Sample(with_id, nested, fields("model input encoding_format")),
    "cloudflare": Sample(
        openai, errors, fields("model input"), {"base_url": "https://api.cloudflare.com/client/v4/accounts/1f/ai/v1"}
    ),
    "databricks": Sample(
        openai, error_code, fields("model input instruction"), {"base_url": "https://acme.cloud.databricks.com"}
    ),
    "nebius": Sample(openai, nested, fields("model input encoding_format dimensions")),
    "upstage": Sample(openai, nested, fields("model input")),
    "openrouter": Sample(with_id, numbered, OPENAI | fields("provider input_type")),
    "github": Sample(openai, typeless, OPENAI | fields("input_type")),
    "aihubmix": Sample(aihubmix, nested, OPENAI),
    "oneapi": Sample(openai, nested, OPENAI, HOST),
    "tei": Sample(openai, flat, OPENAI, HOST),
    "infinity": Sample(with_id, numbered, OPENAI | fields("modality"), HOST, tells_usage=False),
    "vllm": Sample(with_id, numbered, OPENAI | VLLM, HOST),
    "llamacpp": Sample(openai, numbered, fields("input model encoding_format"), HOST),
    "lmstudio": Sample(openai, text, fields("model input"), HOST),
    "perplexity": Sample(perplexity, typeless, fields("model input encoding_format dimensions"), unit_length=True),
    "snowflake": Sample(snowflake, flat, fields("text model"), {"base_url": "https://acme.snowflakecomputing.com"}),
}
NATIVE: Final[Mapping[str, Sample]] = {
    "cohere": Sample(cohere, flat, COHERE),
    "cohere-v1": Sample(cohere, flat, COHERE),
    "gemini": Sample(gemini, google, fields("requests")),
    "vertex": Sample(vertex, google, fields("instances parameters"), REGION),
    "vertex-embed-content": Sample(vertex_single, google, fields("content embedContentConfig"), REGION),
    "bedrock-titan-v1": Sample(titan, flat, fields("inputText"), REGION),
    "bedrock-titan": Sample(titan, flat, fields("inputText dimensions normalize embeddingTypes"), REGION),
    "bedrock-cohere": Sample(
        bedrock_cohere, flat, fields("texts input_type truncate embedding_types"), REGION, BEDROCK_TOKENS
    ),
    "bedrock-cohere-v4": Sample(
        bedrock_cohere_v4,
        flat,
        fields("texts input_type truncate embedding_types output_dimension max_tokens"),
        REGION,
        BEDROCK_TOKENS,
    ),
    "bedrock-nova": Sample(nova, flat, fields("taskType singleEmbeddingParams"), REGION, BEDROCK_TOKENS),
    "ollama": Sample(ollama, text, fields("model input truncate dimensions keep_alive options")),
    "tei-embed": Sample(
        bare,
        text,
        fields("inputs truncate truncation_direction prompt_name normalize dimensions"),
        HOST,
        "x-compute-tokens",
    ),
    "huggingface": Sample(
        bare, text, fields("inputs normalize prompt_name truncate truncation_direction"), tells_usage=False
    ),
    "nomic": Sample(nomic, detail, fields("texts model task_type dimensionality long_text_mode max_tokens_per_text")),
    "watsonx": Sample(watsonx, traced, fields("model_id inputs project_id space_id parameters"), REGION),
}
SAMPLES: Final[Mapping[str, Sample]] = {**SHAPED, **NATIVE}
