"""Cohere's models, by both versions of its own endpoint and on Bedrock.

https://docs.cohere.com/reference/embed
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.fakes.openai_replies import Vector
from tests.fakes.wires import bedrock, shapes
from tests.fakes.wires.base import TEXTS, Asked, Reason, Sent, Shape, Wire
from tests.fakes.wires.refusals import refusing
from tests.fakes.wires.shapes import list_of, no_use, one_of, text, text_up_to, whole

ROLES: Final = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
DIMENSIONS: Final = one_of(256, 512, 1024, 1536)
REQUIRED: Final[Mapping[str, Shape]] = {"texts": list_of(text, 96), "input_type": one_of(*ROLES.values())}
UNCUT: Final[Mapping[str, Shape]] = {"truncate": one_of("NONE")}
TYPES: Final = list_of(one_of("float"), 1)
"""Of the types of vectors the one that is float32 for sure."""

SAMPLE: Final = {"texts": list(TEXTS), "input_type": "search_document"}


def read(body: Mapping[str, Any]) -> Asked:
    return Asked(shapes.spelled(body["texts"]), body.get("output_dimension"), body["input_type"])


def _of_cohere(name: str, model: str, native: int, by_type: bool, optional: Mapping[str, Shape], **facts: Any) -> Wire:
    """Its own endpoint cuts texts at the end unless told not to."""
    version = name.rpartition("-")[2] if "-" in name else "v2"

    def answer(asked: Asked, vectors: Sequence[Vector]) -> Sent:
        billed = {"api_version": {"version": version[1:]}, "billed_units": {"input_tokens": asked.tokens}}
        return Sent(200, {**_answer(asked, vectors, by_type), "meta": billed})

    return Wire(
        name=name,
        provider=name,
        base_path="",
        path=f"/{version}/embed",
        model=model,
        native=native,
        required={"model": shapes.model(model), **REQUIRED, **UNCUT},
        optional={
            "embedding_types": TYPES,
            "priority": whole(0, 999),
            **dict.fromkeys(("images", "inputs", "max_tokens"), no_use),
            **optional,
        },
        read=read,
        answer=answer,
        refuse=refusing(
            lambda status, message: {"id": "8bd5b608-887c-49f7-a6b3-d3bd5830c3de", "message": message},
            {
                Reason.KEY: "Incorrect API key provided: it {fault}",
                Reason.MODEL: "model {fault}, make sure the correct model ID was used.",
                Reason.VALUE: "invalid request: {place} {fault}",
                Reason.NUMBER: "invalid request: total number of texts must be at most 96: {fault}",
            },
        ),
        sample={"model": model, **SAMPLE, "truncate": "NONE"},
        max_inputs=96,
        roles=ROLES,
        default_role="search_document",
        extra={"priority": 1},
        **facts,
    )


def _answer(asked: Asked, vectors: Sequence[Vector], by_type: bool) -> dict[str, Any]:
    return {
        "id": "8bd5b608",
        "embeddings": {"float": list(vectors)} if by_type else list(vectors),
        "texts": [text.decode().lower() for text in asked.texts],  # as the third generation echoes them
        "response_type": "embeddings_by_type" if by_type else "embeddings_floats",
    }


COHERE: Final = _of_cohere("cohere", "embed-v4.0", 1536, True, {"output_dimension": DIMENSIONS}, lengths=(256, 1024))
COHERE_V1: Final = _of_cohere("cohere-v1", "embed-english-light-v3.0", 384, False, {})


def _on_bedrock(by_type: bool) -> Callable[[Asked, Sequence[Vector]], Sent]:
    """It tells what it billed in a header only."""

    def answer(asked: Asked, vectors: Sequence[Vector]) -> Sent:
        return Sent(200, _answer(asked, vectors, by_type), bedrock.billed(asked))

    return answer


BEDROCK_COHERE_V4: Final = bedrock.wire(
    "bedrock-cohere-v4",
    "cohere.embed-v4:0",
    1536,
    required=REQUIRED,
    optional={
        "embedding_types": TYPES,
        "output_dimension": DIMENSIONS,
        **dict.fromkeys(("images", "inputs", "max_tokens"), no_use),
        **UNCUT,
    },
    read=read,
    answer=_on_bedrock(by_type=True),
    sample=SAMPLE,
    max_inputs=96,
    lengths=(256, 1024),
    roles=ROLES,
    default_role="search_document",
)
BEDROCK_COHERE: Final = bedrock.wire(
    "bedrock-cohere",
    "cohere.embed-english-v3",
    1024,
    required={**REQUIRED, "texts": list_of(text_up_to(2048), 96)},
    optional={"embedding_types": TYPES, **UNCUT},
    read=read,
    answer=_on_bedrock(by_type=False),
    sample=SAMPLE,
    max_inputs=96,
    roles=ROLES,
    default_role="search_document",
)
