"""Amazon's Nova embeddings on Bedrock, one text in a call.

https://docs.aws.amazon.com/nova/latest/userguide/embeddings-schema.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers import bedrock_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, InputType, Limits, Provider, Request, Response
from providers.native_shape import answer_of, embeddings

ROLES: Final[Mapping[InputType, str]] = {
    "query": "GENERIC_RETRIEVAL",
    "document": "GENERIC_INDEX",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    (text,) = call.inputs
    single: dict[str, Any] = {"text": {"value": text, "truncationMode": "NONE"}}
    if call.input_type is not None and call.input_type in ROLES:
        single["embeddingPurpose"] = ROLES[call.input_type]
    if call.dimensions is not None:
        single["embeddingDimension"] = call.dimensions
    own = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": single}
    return bedrock_shape.invoke(own, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    billed = bedrock_shape.billed(response)
    return embeddings(answer_of(response), response, "embeddings", "embedding", prompt_tokens=billed)


BEDROCK_NOVA: Final = Provider(
    name="bedrock-nova",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=bedrock_shape.parse_error,
    owned=frozenset({"taskType", "singleEmbeddingParams"}),
    base_url=bedrock_shape.BASE_URL,
    limits=Limits(inputs=1),
    overlong="obeys",
    roles=frozenset(ROLES),
    needs_role=True,
    needs=bedrock_shape.NEEDS,
    credentials=bedrock_shape.CREDENTIALS,
)
