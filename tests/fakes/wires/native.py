"""Services with a wire of their own: Ollama, Text Embeddings Inference, Hugging Face's router, Nomic, watsonx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.fakes.openai_replies import Vector
from tests.fakes.wires import shapes
from tests.fakes.wires.base import TEXTS, Asked, Reason, Sent, Unsound, Wire
from tests.fakes.wires.refusals import bare, details, refusing
from tests.fakes.wires.shapes import free_object, list_of, no_use, one_of, text, whole

# ── Ollama: https://docs.ollama.com/api/embed ─────────────────────────────────────────────────────────────────────


def _read_ollama(body: Mapping[str, Any]) -> Asked:
    return Asked(shapes.spelled(body["input"]), body.get("dimensions"))


def _ollama(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    times = {"total_duration": 14143917, "load_duration": 1019500}
    return Sent(
        200,
        {"model": "nomic-embed-text", "embeddings": list(vectors), **times, "prompt_eval_count": asked.tokens},
    )


OLLAMA: Final = Wire(
    name="ollama",
    provider="ollama",
    base_path="",
    path="/api/embed",
    model="nomic-embed-text",
    native=768,
    required={
        "model": shapes.model("nomic-embed-text"),
        "input": shapes.TEXTS,
        "truncate": one_of(False),  # true unless told otherwise
    },
    optional={"dimensions": whole(1, 768), "keep_alive": text, "options": free_object},
    read=_read_ollama,
    answer=_ollama,
    refuse=refusing(bare, {Reason.MODEL: "model {fault}"}),
    sample={"model": "nomic-embed-text", "input": list(TEXTS), "truncate": False},
    lengths=(256,),
    extra={"keep_alive": "5m", "options": {"num_ctx": 2048}},
)

# ── TEI: https://huggingface.github.io/text-embeddings-inference/ ─────────────────────────────────────────────────

_SIDES: Final = one_of("Left", "Right", "left", "right")


def _read_tei(body: Mapping[str, Any]) -> Asked:
    return Asked(shapes.spelled(body["inputs"]), body.get("dimensions"), body.get("prompt_name"))


def _tei(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    return Sent(200, list(vectors), {"x-compute-tokens": str(asked.tokens), "x-compute-type": "cpu"})


TEI_EMBED: Final = Wire(
    name="tei-embed",
    provider="tei-embed",
    base_path="",
    path="/embed",
    model="BAAI/bge-base-en-v1.5",
    native=768,
    required={"inputs": list_of(shapes.text_or_ids), "truncate": one_of(False)},  # true unless started otherwise
    optional={
        "dimensions": whole(1, 768),
        "normalize": one_of(True),
        "prompt_name": text,
        "truncation_direction": _SIDES,
    },
    read=_read_tei,
    answer=_tei,
    refuse=refusing(
        lambda status, message: {"error": message, "error_type": "Validation"}, field=422, value=422, number=422
    ),
    sample={"inputs": list(TEXTS), "truncate": False},
    max_inputs=32,
    max_bytes=2_000_000,
    token_ids=True,
    lengths=(256,),
    extra={"prompt_name": "query", "truncation_direction": "right"},
)

# ── Hugging Face: https://huggingface.co/docs/inference-providers/tasks/feature-extraction ────────────────────────


def _router(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    return Sent(200, list(vectors))


HUGGINGFACE: Final = Wire(
    name="huggingface",
    provider="huggingface",
    base_path="/hf-inference",
    path="/hf-inference/models/BAAI/bge-small-en-v1.5/pipeline/feature-extraction",
    model="BAAI/bge-small-en-v1.5",
    native=384,
    required={"inputs": shapes.TEXTS, "truncate": one_of(False)},
    optional={"normalize": one_of(True), "prompt_name": text, "truncation_direction": _SIDES},
    read=_read_tei,
    answer=_router,
    refuse=refusing(bare),
    sample={"inputs": list(TEXTS), "truncate": False},
    reports_usage=False,
    extra={"prompt_name": "query", "truncation_direction": "right"},
)

# ── Nomic: https://docs.nomic.ai ──────────────────────────────────────────────────────────────────────────────────

_NOMIC_ROLES: Final = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


def _read_nomic(body: Mapping[str, Any]) -> Asked:
    role = body.get("task_type", "search_document")
    return Asked(shapes.spelled(body["texts"]), body.get("dimensionality"), role)


def _nomic(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    usage = {"prompt_tokens": asked.tokens, "total_tokens": asked.tokens}
    return Sent(200, {"embeddings": list(vectors), "usage": usage, "model": "nomic-embed-text-v1.5"})


NOMIC: Final = Wire(
    name="nomic",
    provider="nomic",
    base_path="/v1",
    path="/v1/embedding/text",
    model="nomic-embed-text-v1.5",
    native=768,
    required={"model": shapes.model("nomic-embed-text-v1.5"), "texts": shapes.TEXTS},
    optional={
        "task_type": one_of(*_NOMIC_ROLES.values()),
        "dimensionality": whole(64, 768),
        "long_text_mode": no_use,  # to cut a text, or to average its parts
        "max_tokens_per_text": no_use,
    },
    read=_read_nomic,
    answer=_nomic,
    refuse=refusing(details, field=422, value=422),
    sample={"model": "nomic-embed-text-v1.5", "texts": list(TEXTS)},
    lengths=(64, 256),
    roles=_NOMIC_ROLES,
    default_role="search_document",  # its own
)

# ── watsonx: https://cloud.ibm.com/apidocs/watsonx-ai#text-embeddings ─────────────────────────────────────────────


def _read_watsonx(body: Mapping[str, Any]) -> Asked:
    return Asked(shapes.spelled(body["inputs"]))


def _watsonx(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    results = [{"embedding": vector} for vector in vectors]
    named = {"model_id": "ibm/granite-embedding-107m-multilingual", "created_at": "2025-01-02T03:04:05.006Z"}
    return Sent(200, {**named, "results": results, "input_token_count": asked.tokens})


def _watsonx_refuses(unsound: Unsound) -> Sent:
    status = {Reason.KEY: 401, Reason.ADDRESS: 404, Reason.METHOD: 405, Reason.MODEL: 404}.get(unsound.reason, 400)
    error = {"code": "invalid_request_entity", "message": str(unsound), "more_info": "https://cloud.ibm.com/apidocs"}
    return Sent(status, {"errors": [error], "trace": "9b1f", "status_code": status}, words=str(unsound))


WATSONX: Final = Wire(
    name="watsonx",
    provider="watsonx",
    base_path="",
    path="/ml/v1/text/embeddings",
    query={"version": "2024-05-31"},
    model="ibm/granite-embedding-107m-multilingual",
    native=384,
    required={
        "model_id": shapes.model("ibm/granite-embedding-107m-multilingual"),
        "inputs": list_of(text, 1000),
        "project_id": one_of("acme-1"),
    },
    optional={"space_id": no_use, "parameters": no_use},  # the only of these that is of use cuts texts
    read=_read_watsonx,
    answer=_watsonx,
    refuse=_watsonx_refuses,
    sample={
        "model_id": "ibm/granite-embedding-107m-multilingual",
        "inputs": list(TEXTS),
        "project_id": "acme-1",
    },
    max_inputs=1000,
    configured={"project": "acme-1"},
)

NATIVE: Final = (OLLAMA, TEI_EMBED, HUGGINGFACE, NOMIC, WATSONX)
