"""Amazon Bedrock: one address for each model, what was billed in a header, the error's name in another.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.fakes.openai_replies import Vector
from tests.fakes.wires.base import TEXTS, Asked, Reason, Sent, Unsound, Wire
from tests.fakes.wires.shapes import fields, list_of, one_of, text

ERRORS: Final[Mapping[Reason, tuple[int, str]]] = {
    Reason.ADDRESS: (404, "UnknownOperationException"),
    Reason.METHOD: (404, "UnknownOperationException"),
    Reason.KEY: (403, "UnrecognizedClientException"),
    Reason.MODEL: (404, "ResourceNotFoundException"),
}


def refuse(unsound: Unsound) -> Sent:
    status, name = ERRORS.get(unsound.reason, (400, "ValidationException"))
    kind = f"{name}:http://internal.amazon.com/coral/com.amazon.coral.service/"
    return Sent(status, {"message": str(unsound)}, {"x-amzn-ErrorType": kind}, words=str(unsound))


def billed(asked: Asked) -> Mapping[str, str]:
    return {"x-amzn-bedrock-input-token-count": str(asked.tokens), "x-amzn-bedrock-invocation-latency": "61"}


def wire(name: str, model: str, native: int, **facts: Any) -> Wire:
    return Wire(
        name=name,
        provider=facts.pop("provider", name),
        base_path="",
        path=f"/model/{urllib.parse.quote(model, safe='')}/invoke",
        model=model,
        native=native,
        refuse=refuse,
        configured={"region": "us-east-1"},
        **facts,
    )


# ── Titan ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read_titan(body: Mapping[str, Any]) -> Asked:
    return Asked([body["inputText"].encode()], body.get("dimensions"))


def _titan_v1(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    return Sent(200, {"embedding": vectors[0], "inputTextTokenCount": asked.tokens}, billed(asked))


def _titan_v2(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    body = {"embedding": vectors[0], "embeddingsByType": {"float": vectors[0]}, "inputTextTokenCount": asked.tokens}
    return Sent(200, body, billed(asked))


TITAN_V1: Final = wire(
    "bedrock-titan-v1",
    "amazon.titan-embed-text-v1",
    1536,
    required={"inputText": text},
    read=_read_titan,
    answer=_titan_v1,
    sample={"inputText": TEXTS[0]},
    max_inputs=1,
)
TITAN: Final = wire(
    "bedrock-titan",
    "amazon.titan-embed-text-v2:0",
    1024,
    required={"inputText": text},
    optional={
        "dimensions": one_of(1024, 512, 256),
        "normalize": one_of(True),
        "embeddingTypes": list_of(one_of("float"), 1),
    },
    read=_read_titan,
    answer=_titan_v2,
    sample={"inputText": TEXTS[0]},
    max_inputs=1,
    lengths=(256, 512),
)

# ── Nova ──────────────────────────────────────────────────────────────────────────────────────────────────────────

NOVA_ROLES: Final = {
    "query": "GENERIC_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def _read_nova(body: Mapping[str, Any]) -> Asked:
    single = body["singleEmbeddingParams"]
    return Asked([single["text"]["value"].encode()], single.get("embeddingDimension"), single["embeddingPurpose"])


def _nova(asked: Asked, vectors: Sequence[Vector]) -> Sent:
    return Sent(200, {"embeddings": [{"embedding": vectors[0], "embeddingType": "TEXT"}]}, billed(asked))


NOVA: Final = wire(
    "bedrock-nova",
    "amazon.nova-2-multimodal-embeddings-v1:0",
    3072,
    required={
        "taskType": one_of("SINGLE_EMBEDDING"),
        "singleEmbeddingParams": fields(
            {
                "embeddingPurpose": one_of(*NOVA_ROLES.values(), "TEXT_RETRIEVAL"),
                "text": fields({"value": text, "truncationMode": one_of("NONE")}),
            },
            {"embeddingDimension": one_of(256, 384, 1024, 3072)},
        ),
    },
    read=_read_nova,
    answer=_nova,
    sample={
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX",
            "text": {"value": TEXTS[0], "truncationMode": "NONE"},
        },
    },
    max_inputs=1,
    lengths=(256, 1024),
    roles=NOVA_ROLES,
    default_role="GENERIC_INDEX",
)
