"""Cohere, by its current version and the one before.

https://docs.cohere.com/reference/embed
https://docs.cohere.com/v1/reference/embed
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from providers import cohere_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Limits, Provider, Request, Response
from providers.errors_shape import Meaning, oversized, parser
from providers.native_shape import answer_of, at, root, tokens
from providers.openai_shape import post, versioned


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    own = {"model": call.model, **cohere_shape.body(call), "embedding_types": ["float"]}
    return post(f"{versioned(root(endpoint), 'v2')}/embed", own, call, endpoint)


def build_v1_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    """No type is asked for; the answer lists its vectors bare then."""
    own = {"model": call.model, **cohere_shape.body(call)}
    return post(f"{versioned(root(endpoint), 'v1')}/embed", own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    return cohere_shape.parse(answer, response, tokens(at(answer, "meta", "billed_units", "input_tokens")))


COHERE: Final = Provider(
    name="cohere",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(
        Meaning(FaultKind.MISCONFIGURED, 498),  # a blocked or invalid token
        Meaning(FaultKind.TIMEOUT, 499),  # given up before it was answered
        oversized(400, says="total number of texts must be at most"),
    ),
    owned=cohere_shape.OWNED,
    base_url="https://api.cohere.com",
    limits=Limits(inputs=cohere_shape.ITEMS),
    overlong="obeys",
    roles=frozenset(cohere_shape.ROLES),
    needs_role=True,
)
COHERE_V1: Final = replace(COHERE, name="cohere-v1", build_request=build_v1_request)
