"""Ollama by its own endpoint, which unlike its OpenAI-compatible one can be told not to cut a text that is too long.

https://docs.ollama.com/api/embed
"""

from __future__ import annotations

from typing import Any, Final

from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Provider, Request, Response
from providers.errors_shape import Meaning, parser
from providers.native_shape import answer_of, at, embeddings, root, tokens
from providers.openai_shape import post


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    """A base URL may end in the segment of either of its endpoints."""
    own: dict[str, Any] = {"model": call.model, "input": list(call.inputs), "truncate": False}
    if call.dimensions is not None:
        own["dimensions"] = call.dimensions
    return post(f"{root(endpoint).removesuffix('/v1').removesuffix('/api')}/api/embed", own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    return embeddings(answer, response, "embeddings", prompt_tokens=tokens(at(answer, "prompt_eval_count")))


OLLAMA: Final = Provider(
    name="ollama",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(Meaning(FaultKind.TIMEOUT, 499)),  # given up before it was answered
    owned=frozenset({"model", "input", "truncate", "dimensions"}),
    base_url="http://localhost:11434",
    overlong="obeys",
    unit_length=True,
)
