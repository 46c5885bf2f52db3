"""Nomic Atlas.

https://docs.nomic.ai/reference/api/embed-text-v-1-embedding-text-post

It knows no error for a text that is too long, only two ways to shorten it: its limits have to be kept by the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.base import EmbedCall, Embeddings, Endpoint, Fault, InputType, Limits, Provider, Request, Response
from providers.errors_shape import parser
from providers.native_shape import answer_of, at, embeddings, root
from providers.openai_shape import post, prompt_tokens, versioned

ROLES: Final[Mapping[InputType, str]] = {
    "query": "search_query",
    "document": "search_document",
    "classification": "classification",
    "clustering": "clustering",
}


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    own: dict[str, Any] = {"model": call.model, "texts": list(call.inputs)}
    if call.input_type is not None and call.input_type in ROLES:
        own["task_type"] = ROLES[call.input_type]
    if call.dimensions is not None:
        own["dimensionality"] = call.dimensions
    return post(f"{versioned(root(endpoint))}/embedding/text", own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    return embeddings(answer, response, "embeddings", prompt_tokens=prompt_tokens(at(answer, "usage")))


NOMIC: Final = Provider(
    name="nomic",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(),
    owned=frozenset({"model", "texts", "task_type", "dimensionality", "long_text_mode", "max_tokens_per_text"}),
    base_url="https://api-atlas.nomic.ai/v1",
    limits=Limits(inputs=10),  # what Nomic's own client sends; a cap is not documented
    overlong="cuts",
    roles=frozenset(ROLES),
)
