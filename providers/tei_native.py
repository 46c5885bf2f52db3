"""Text Embeddings Inference by its own endpoint, which unlike its OpenAI-compatible one can be told not to cut.

https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

from typing import Any, Final

from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.errors_shape import parser
from providers.native_shape import answer_of, embeddings, header_tokens, root
from providers.openai_shape import post


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    """A server has one model. A base URL may end in the segment of its other endpoint."""
    own: dict[str, Any] = {"inputs": list(call.inputs), "truncate": False}
    if call.dimensions is not None:
        own["dimensions"] = call.dimensions
    return post(f"{root(endpoint).removesuffix('/v1')}/embed", own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    return embeddings(answer_of(response), response, "", prompt_tokens=header_tokens(response, "x-compute-tokens"))


TEI_EMBED: Final = Provider(
    name="tei-embed",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(),
    owned=frozenset({"inputs", "truncate", "dimensions", "normalize"}),
    limits=Limits(inputs=32, request_bytes=2_000_000),  # as it starts without flags
    overlong="obeys",
    token_ids=True,
    unit_length=True,
)
