"""What Cohere's models speak, at Cohere itself and on Bedrock.

https://docs.cohere.com/reference/embed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.base import EmbedCall, Embeddings, Fault, InputType, Response
from providers.native_shape import at, embeddings

ROLES: Final[Mapping[InputType, str]] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}
ITEMS: Final = 96
OWNED: Final = frozenset(
    {
        *("model", "texts", "input_type", "embedding_types", "output_dimension", "truncate"),
        *("images", "inputs"),  # would stand in for the texts
        "max_tokens",  # would cut them
    }
)


def body(call: EmbedCall) -> dict[str, Any]:
    """What every version knows. Only models that shorten are asked to."""
    own: dict[str, Any] = {"texts": list(call.inputs), "truncate": "NONE"}
    if call.input_type is not None and call.input_type in ROLES:
        own["input_type"] = ROLES[call.input_type]
    if call.dimensions is not None:
        own["output_dimension"] = call.dimensions
    return own


def parse(answer: object, response: Response, prompt_tokens: int | None) -> Embeddings | Fault:
    """Vectors are listed by type, or bare where no types were asked for and none are the default."""
    by_type = isinstance(at(answer, "embeddings"), dict)
    return embeddings(answer, response, "embeddings.float" if by_type else "embeddings", prompt_tokens=prompt_tokens)
