"""Makers of models who serve these at OpenAI's endpoint under other names, one record each."""

from __future__ import annotations

from typing import Final

from tests.fakes.wires.base import Reason, Wire
from tests.fakes.wires.openai_like import DTYPES, ENCODING, OPENAI_FACTS, total_only, wire
from tests.fakes.wires.refusals import detail, details, openai_like, refusing
from tests.fakes.wires.shapes import free_object, no_use, one_of, whole

OPENAI: Final = wire(
    "openai",
    "/v1",
    refuse=refusing(openai_like, {Reason.KEY: "Incorrect API key provided: it {fault}."}),
    **OPENAI_FACTS,
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
# https://docs.perplexity.ai/docs/embeddings/quickstart
PERPLEXITY: Final = wire(
    "perplexity",
    "/v1",
    "pplx-embed-v1-0.6b",
    1024,
    dimensions=("dimensions", whole(128, 1024)),
    others={"encoding_format": one_of("base64_int8")},  # and `base64_binary`, which a gateway cannot decode
    max_inputs=512,
    lengths=(256,),
    signs=True,
    envelope={"signed_bytes": True},
)
# https://console.upstage.ai/docs
UPSTAGE: Final = wire("upstage", "/v1", "solar-embedding-2-query", 1024, max_inputs=100)
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

MAKERS: Final[tuple[Wire, ...]] = (OPENAI, JINA, MISTRAL, MIXEDBREAD, NUGEN, NVIDIA, PERPLEXITY, UPSTAGE, VOYAGE, ZHIPU)
