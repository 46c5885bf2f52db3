"""Cohere's models on Bedrock: the fourth generation, and the third, which cannot shorten its vectors.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html

The third refuses a text of more than 2048 characters, however few tokens it has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from providers import bedrock_shape, cohere_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.native_shape import answer_of


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    return bedrock_shape.invoke(cohere_shape.body(call), call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    return cohere_shape.parse(answer_of(response), response, bedrock_shape.billed(response))


BEDROCK_COHERE_V4: Final = Provider(
    name="bedrock-cohere-v4",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=bedrock_shape.parse_error,
    owned=cohere_shape.OWNED,
    base_url=bedrock_shape.BASE_URL,
    limits=Limits(inputs=cohere_shape.ITEMS),
    overlong="obeys",
    roles=frozenset(cohere_shape.ROLES),
    needs_role=True,
    needs=bedrock_shape.NEEDS,
    credentials=bedrock_shape.CREDENTIALS,
)
BEDROCK_COHERE: Final = replace(
    BEDROCK_COHERE_V4,
    name="bedrock-cohere",
    limits=replace(BEDROCK_COHERE_V4.limits, input_chars=2048),
    shortens=False,
)
