"""Google's Gemini API and Vertex AI.

https://ai.google.dev/api/embeddings
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.fakes.openai_replies import Vector
from tests.fakes.wires.base import TEXTS, Asked, Reason, Sent, Unsound, Wire
from tests.fakes.wires.shapes import fields, list_of, model, one_of, text, whole

ROLES: Final = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}
TASKS: Final = one_of(*ROLES.values(), "QUESTION_ANSWERING", "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY")
CONTENT: Final = fields({"parts": list_of(fields({"text": text}), 1)})
"""Several parts of one content are fused into one vector."""

_STATUSES: Final = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}


def _refusal(status: int, message: str, details: Sequence[Mapping[str, Any]] = ()) -> Sent:
    error = {"code": status, "message": message, "status": _STATUSES[status]}
    return Sent(status, {"error": {**error, "details": list(details)} if details else error}, words=message)


# ── the Gemini API ────────────────────────────────────────────────────────────────────────────────────────────────

_NO_KEY: Final = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
}


def _gemini_refuses(unsound: Unsound) -> Sent:
    """A bad key is a 400 here, told apart by its reason alone."""
    if unsound.reason is Reason.KEY:
        return _refusal(400, f"API key not valid: it {unsound.fault}. Please pass a valid API key.", [_NO_KEY])
    return _refusal(404 if unsound.reason in (Reason.ADDRESS, Reason.METHOD, Reason.MODEL) else 400, str(unsound))


def _read_gemini(body: Mapping[str, Any]) -> Asked:
    first, *others = body["requests"]
    for item in others:
        if (item.get("taskType"), item.get("outputDimensionality")) != (
            first.get("taskType"),
            first.get("outputDimensionality"),
        ):
            raise Unsound(Reason.VALUE, "requests", "differ in what one call of a gateway has in common")
    texts = [item["content"]["parts"][0]["text"].encode() for item in body["requests"]]
    return Asked(texts, first.get("outputDimensionality"), first.get("taskType"))


def _gemini(name: str, of: str, usage: bool, **facts: Any) -> Wire:
    tasks = {"taskType": TASKS} if facts.get("roles") else {}  # embedding-2 passes over one, which nobody would notice

    def answer(asked: Asked, vectors: Sequence[Vector]) -> Sent:
        told = {"usageMetadata": {"promptTokenCount": asked.tokens}} if usage else {}
        return Sent(200, {"embeddings": [{"values": vector} for vector in vectors], **told})

    item = fields(
        {"model": model(f"models/{of}"), "content": CONTENT}, {"outputDimensionality": whole(128, 3072), **tasks}
    )
    return Wire(
        name=name,
        provider="gemini",
        base_path="/v1beta",
        path=f"/v1beta/models/{of}:batchEmbedContents",
        key_header="x-goog-api-key",
        key_scheme="",
        model=of,
        native=3072,
        required={"requests": list_of(item, 100)},
        read=_read_gemini,
        answer=answer,
        refuse=_gemini_refuses,
        sample={"requests": [{"model": f"models/{of}", "content": {"parts": [{"text": text}]}} for text in TEXTS]},
        max_inputs=100,
        max_bytes=4_194_304,
        lengths=(256, 768),
        reports_usage=usage,
        **facts,
    )


GEMINI: Final = _gemini("gemini", "gemini-embedding-001", usage=False, roles=ROLES, unit_length_when_short=False)
GEMINI_2: Final = _gemini("gemini-2", "gemini-embedding-2", usage=True)

# ── Vertex AI ─────────────────────────────────────────────────────────────────────────────────────────────────────

_PLACE: Final = "/v1/projects/acme-1/locations/europe-west4/publishers/google/models"
_CONFIGURED: Final = {"region": "europe-west4", "project": "acme-1"}


def _vertex_refuses(unsound: Unsound) -> Sent:
    status = {Reason.KEY: 401, Reason.ADDRESS: 404, Reason.METHOD: 404, Reason.MODEL: 404}.get(unsound.reason, 400)
    return _refusal(status, str(unsound))


def _read_predict(body: Mapping[str, Any]) -> Asked:
    roles = {item.get("task_type") for item in body["instances"]}
    if len(roles) > 1:
        raise Unsound(Reason.VALUE, "instances", "differ in what one call of a gateway has in common")
    texts = [item["content"].encode() for item in body["instances"]]
    return Asked(texts, body["parameters"].get("outputDimensionality"), roles.pop())


def _predict(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    counts = [Asked([text]).tokens for text in asked.texts]
    predictions = [
        {"embeddings": {"statistics": {"token_count": count, "truncated": False}, "values": vector}}
        for vector, count in zip(vectors, counts, strict=True)
    ]
    return Sent(200, {"predictions": predictions, "metadata": {"billableCharacterCount": 12}})


def _vertex(name: str, of: str, native: int, most: int, **facts: Any) -> Wire:
    return Wire(
        name=name,
        provider="vertex",
        base_path="",
        path=f"{_PLACE}/{of}:predict",
        model=of,
        native=native,
        required={
            "instances": list_of(fields({"content": text}, {"task_type": TASKS}), most),
            "parameters": fields(
                {"autoTruncate": one_of(False)},  # true unless told otherwise
                {"outputDimensionality": whole(1, native)},
            ),
        },
        read=_read_predict,
        answer=_predict,
        refuse=_vertex_refuses,
        sample={
            "instances": [{"content": text} for text in TEXTS[:most]],
            "parameters": {"autoTruncate": False},
        },
        max_inputs=most,
        configured=_CONFIGURED,
        lengths=(256,),
        roles=ROLES,
        **facts,
    )


VERTEX: Final = _vertex("vertex", "text-embedding-005", 768, 250, max_tokens=20_000)
VERTEX_GEMINI: Final = _vertex("vertex-gemini", "gemini-embedding-001", 3072, 1)


def _read_embed_content(body: Mapping[str, Any]) -> Asked:
    length = body["embedContentConfig"].get("outputDimensionality")
    return Asked([body["content"]["parts"][0]["text"].encode()], length)


def _embed_content(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    usage = {"promptTokenCount": asked.tokens}
    return Sent(200, {"embedding": {"values": vectors[0]}, "usageMetadata": usage, "truncated": False})


VERTEX_EMBED_CONTENT: Final = Wire(
    name="vertex-embed-content",
    provider="vertex-embed-content",
    base_path="",
    path=f"{_PLACE}/gemini-embedding-2:embedContent",
    model="gemini-embedding-2",
    native=3072,
    required={
        "content": CONTENT,
        "embedContentConfig": fields({"autoTruncate": one_of(False)}, {"outputDimensionality": whole(128, 3072)}),
    },
    read=_read_embed_content,
    answer=_embed_content,
    refuse=_vertex_refuses,
    sample={"content": {"parts": [{"text": TEXTS[0]}]}, "embedContentConfig": {"autoTruncate": False}},
    max_inputs=1,
    configured=_CONFIGURED,
    lengths=(256,),
)

GOOGLE: Final = (GEMINI, GEMINI_2, VERTEX, VERTEX_GEMINI, VERTEX_EMBED_CONTENT)
