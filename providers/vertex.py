"""Google's Vertex AI, whose bearer tokens are bought with a service account's key, or come as a key.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api

One text in a call, as Google asks for Gemini models, and which is right for every model; the catalogue knows those that
take more. Models that are reached by the method `embedContent` have a provider of their own. It has no roles: the only
such models are known to pass over a task type, so that theirs are prompts in the texts.
"""

from __future__ import annotations

import urllib.parse
from dataclasses import replace
from typing import Any, Final

from providers import google_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Limits, Provider, Request, Response
from providers.native_shape import answer_of, at, embeddings, one_embedding, root, tokens
from providers.openai_shape import post, versioned


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    role = {} if call.input_type is None else {"task_type": google_shape.ROLES[call.input_type]}
    own = {
        "instances": [{"content": text, **role} for text in call.inputs],
        "parameters": _parameters(call),
    }
    return post(_url(call, endpoint, "predict"), own, call, endpoint)


def build_single_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    (text,) = call.inputs
    own = {"content": {"parts": [{"text": text}]}, "embedContentConfig": _parameters(call)}
    return post(_url(call, endpoint, "embedContent"), own, call, endpoint)


def _parameters(call: EmbedCall) -> dict[str, Any]:
    return {"autoTruncate": False} | ({} if call.dimensions is None else {"outputDimensionality": call.dimensions})


def _url(call: EmbedCall, endpoint: Endpoint, method: str) -> str:
    """The location `global` has a host without its name."""
    base = versioned(root(endpoint).replace("//global-aiplatform.", "//aiplatform."), "v1")
    model = urllib.parse.quote(call.model, safe="@")
    place = f"projects/{endpoint.project}/locations/{endpoint.region}"
    return f"{base}/{place}/publishers/google/models/{model}:{method}"


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    predictions = at(answer, "predictions")
    statistics = [at(item, "embeddings", "statistics") for item in predictions] if isinstance(predictions, list) else []
    for item, said in enumerate(statistics):
        if at(said, "truncated") is True:
            return _cut(response, item)
    counts = [tokens(at(said, "token_count")) for said in statistics]
    billed = None if None in counts else sum(filter(None, counts)) or None
    return embeddings(answer, response, "predictions", "embeddings", "values", prompt_tokens=billed)


def parse_single_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    if at(answer, "truncated") is True:
        return _cut(response, 0)
    billed = tokens(at(answer, "usageMetadata", "promptTokenCount"))
    return one_embedding(answer, response, "embedding", "values", prompt_tokens=billed)


def _cut(response: Response, item: int) -> Fault:
    return Fault(FaultKind.MALFORMED, "the text was cut, though this was forbidden", response.status, item=item)


VERTEX: Final = Provider(
    name="vertex",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=google_shape.parse_error,
    owned=frozenset({"instances", "parameters"}),
    base_url="https://{region}-aiplatform.googleapis.com",
    limits=Limits(inputs=1),
    overlong="obeys",
    roles=frozenset(google_shape.ROLES),
    needs=frozenset({"region", "project"}),
    credentials=frozenset({"google"}),
)
VERTEX_EMBED_CONTENT: Final = replace(
    VERTEX,
    name="vertex-embed-content",
    build_request=build_single_request,
    parse_response=parse_single_response,
    owned=frozenset({"content", "embedContentConfig", "embed_content_config"}),
    roles=frozenset(),
)
