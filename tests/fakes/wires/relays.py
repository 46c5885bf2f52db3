"""Services that pass OpenAI's endpoint on to others, and servers of one's own that speak it, one record each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.fakes.wires.base import Reason, Wire
from tests.fakes.wires.openai_like import ENCODING, prompt_and_total, wire
from tests.fakes.wires.refusals import details, refusing, with_number, without_type
from tests.fakes.wires.shapes import no_use, one_of, text, text_up_to, whole

_SMALL: Final[Mapping[str, Any]] = {
    "native": 1536,
    "dimensions": ("dimensions", whole(1, 1536)),
    "encodings": ("encoding_format", ENCODING),
    "lengths": (256,),
    "extra": {"user": "user-1"},
}

# ── relays ────────────────────────────────────────────────────────────────────────────────────────────────────────

# https://docs.aihubmix.com
AIHUBMIX: Final = wire(
    "aihubmix",
    "/v1",
    "text-embedding-3-small",
    others={"user": text},
    max_inputs=2048,
    max_tokens=300_000,
    envelope={"top": {}, "item": {}},
    **_SMALL,
)
# https://docs.github.com/en/rest/models/embeddings
GITHUB: Final = wire(
    "github",
    "/inference",
    "openai/text-embedding-3-small",
    role=("input_type", one_of("text", "query", "document")),
    others={"user": text},
    roles={"query": "query", "document": "document"},
    refuse=refusing(without_type),
    **_SMALL,
)
# https://github.com/songquanpeng/one-api
ONEAPI: Final = wire(
    "oneapi",
    "/v1",
    "text-embedding-3-small",
    others={"user": text},
    refuse=refusing(
        lambda status, message: {
            "error": {"message": message, "type": "one_api_error", "param": "", "code": "invalid_request"}
        },
        {Reason.FIELD: "{place} {fault} (request id: 2025010203040506)"},
    ),
    **_SMALL,
)
# https://openrouter.ai/docs/api_reference/embeddings
OPENROUTER: Final = wire(
    "openrouter",
    "/api/v1",
    "openai/text-embedding-3-small",
    token_ids=True,
    others={"user": text, "provider": no_use, "input_type": no_use},
    refuse=refusing(
        lambda status, message: {"error": {"message": message, "code": status}},
        {Reason.KEY: "User not found: the key {fault}"},
    ),
    envelope={
        "model": "text-embedding-3-small",
        "top": {"id": "gen-emb-1", "object": "list", "provider": "OpenAI"},
        "usage": lambda tokens: {**prompt_and_total(tokens), "cost": 0.0000001, "cost_details": {}, "is_byok": False},
        "padding": b"\n         \n         \n",
    },
    **_SMALL,
)

# ── servers of one's own ──────────────────────────────────────────────────────────────────────────────────────────

# https://michaelfeil.eu/infinity/
INFINITY: Final = wire(
    "infinity",
    "",
    "BAAI/bge-small-en-v1.5",
    384,
    text=text_up_to(122_880),
    dimensions=("dimensions", whole(0, 384)),  # cut, and not made unit length again
    encodings=("encoding_format", ENCODING),
    others={"modality": no_use, "user": text},
    max_inputs=2048,
    refuse=refusing(
        lambda status, message: details(status, message) if status in (401, 422) else with_number(status, message),
        field=422,
        value=422,
        number=422,
        model=400,
    ),
    reports_usage=False,  # it counts characters
    envelope={
        "top": {"id": "infinity-1", "object": "list", "created": 1717171717},
        "usage": lambda tokens: prompt_and_total(3 * tokens),
    },
)
# https://github.com/ggml-org/llama.cpp/tree/master/tools/server
LLAMACPP: Final = wire(
    "llamacpp",
    "/v1",
    "bge-small",
    384,
    encodings=("encoding_format", ENCODING),
    token_ids=True,
    refuse=refusing(
        lambda status, message: {"error": {"code": status, "message": message, "type": "invalid_request_error"}}
    ),
)
# https://lmstudio.ai/docs/developer/openai-compat
LMSTUDIO: Final = wire(
    "lmstudio",
    "/v1",
    "text-embedding-nomic-embed-text-v1.5",
    768,
    reports_usage=False,
    refuse=refusing(lambda status, message: {"error": message}),
    envelope={"usage": lambda tokens: prompt_and_total(0)},
)
# https://huggingface.github.io/text-embeddings-inference/
TEI: Final = wire(
    "tei",
    "/v1",
    "BAAI/bge-base-en-v1.5",
    768,
    dimensions=("dimensions", whole(1, 768)),
    encodings=("encoding_format", ENCODING),
    token_ids=True,
    max_inputs=32,
    max_bytes=2_000_000,
    lengths=(256,),
    refuse=refusing(
        lambda status, message: {"message": message, "code": status, "type": "Validation"},
        {Reason.NUMBER: "batch size {fault}"},
        field=422,
        value=422,
        number=422,
    ),
)
# https://docs.vllm.ai/en/latest/models/pooling_models/
VLLM: Final = wire(
    "vllm",
    "/v1",
    "Qwen/Qwen3-Embedding-0.6B",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", ENCODING),
    others={
        **dict.fromkeys(("messages", "truncate_prompt_tokens", "truncation_side", "add_special_tokens"), no_use),
        **dict.fromkeys(("embed_dtype", "endianness", "normalize", "use_activation"), no_use),
        "priority": whole(-100, 100),
        "user": text,
    },
    token_ids=True,
    lengths=(256,),
    extra={"priority": 1, "user": "user-1"},
    refuse=refusing(
        lambda status, message: {
            "error": {"message": message, "type": "BadRequestError", "param": None, "code": status}
        }
    ),
    envelope={
        "top": {"id": "embd-1", "object": "list", "created": 1717171717},
        "usage": lambda tokens: {
            **prompt_and_total(tokens),
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    },
)

RELAYS: Final[tuple[Wire, ...]] = (AIHUBMIX, GITHUB, ONEAPI, OPENROUTER)
SELF_HOSTED: Final[tuple[Wire, ...]] = (INFINITY, LLAMACPP, LMSTUDIO, TEI, VLLM)
