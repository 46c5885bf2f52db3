"""Amazon's Titan text models on Bedrock, one text in a call.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from providers import bedrock_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.native_shape import answer_of, at, one_embedding, tokens


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    (text,) = call.inputs
    own: dict[str, Any] = {"inputText": text}
    if call.dimensions is not None:
        own["dimensions"] = call.dimensions
    return bedrock_shape.invoke(own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    billed = tokens(at(answer, "inputTextTokenCount")) or bedrock_shape.billed(response)
    return one_embedding(answer, response, "embedding", prompt_tokens=billed)


BEDROCK_TITAN: Final = Provider(
    name="bedrock-titan",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=bedrock_shape.parse_error,
    owned=frozenset({"inputText", "dimensions", "normalize", "embeddingTypes"}),
    base_url=bedrock_shape.BASE_URL,
    limits=Limits(inputs=1),
    overlong="refuses",
    needs=bedrock_shape.NEEDS,
    credentials=bedrock_shape.CREDENTIALS,
)
BEDROCK_TITAN_V1: Final = replace(BEDROCK_TITAN, name="bedrock-titan-v1", shortens=False)
