"""Google's Gemini API, always in batches.

https://ai.google.dev/api/embeddings

Models that pass over a task type say so in the catalogue, as nobody would notice: their roles are prompts in the texts.
There is no switch against cutting what is too long, so limits have to be kept by the gateway.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, Final

from providers import google_shape
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.native_shape import answer_of, at, embeddings, root, tokens
from providers.openai_shape import posted, versioned


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    """One content for each text: parts of one content would be fused into one vector."""
    common: dict[str, Any] = {"model": f"models/{call.model}"}
    if call.input_type is not None:
        common["taskType"] = google_shape.ROLES[call.input_type]
    if call.dimensions is not None:
        common["outputDimensionality"] = call.dimensions
    own = {"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in call.inputs]}
    model = urllib.parse.quote(call.model, safe="")
    url = f"{versioned(root(endpoint), 'v1beta')}/models/{model}:batchEmbedContents"
    return posted(url, own, call, endpoint, {} if endpoint.api_key is None else {"x-goog-api-key": endpoint.api_key})


def parse_response(response: Response) -> Embeddings | Fault:
    answer = answer_of(response)
    billed = tokens(at(answer, "usageMetadata", "promptTokenCount"))
    return embeddings(answer, response, "embeddings", "values", prompt_tokens=billed)


GEMINI: Final = Provider(
    name="gemini",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=google_shape.parse_error,
    owned=frozenset({"model", "requests"}),
    base_url="https://generativelanguage.googleapis.com",
    limits=Limits(inputs=100, request_bytes=4_194_304),
    overlong="cuts",  # unverified, and no error is documented
    roles=frozenset(google_shape.ROLES),
    key_header="x-goog-api-key",
)
