"""Hugging Face's own inference provider, behind its router.

https://huggingface.co/docs/inference-providers/tasks/feature-extraction

It tells no usage. A model without pooling answers with a vector for each token; how to pool those is no one's to guess.
"""

from __future__ import annotations

import urllib.parse
from typing import Final

from providers.base import EmbedCall, Embeddings, Endpoint, Fault, Limits, Provider, Request, Response
from providers.errors_shape import parser
from providers.native_shape import answer_of, embeddings, root
from providers.openai_shape import post


def build_request(call: EmbedCall, endpoint: Endpoint) -> Request:
    repository = urllib.parse.quote(call.model)
    url = f"{root(endpoint)}/models/{repository}/pipeline/feature-extraction"
    return post(url, {"inputs": list(call.inputs), "truncate": False}, call, endpoint)


def parse_response(response: Response) -> Embeddings | Fault:
    return embeddings(answer_of(response), response, "")


HUGGINGFACE: Final = Provider(
    name="huggingface",
    build_request=build_request,
    parse_response=parse_response,
    parse_error=parser(),
    owned=frozenset({"inputs", "truncate", "normalize", "parameters"}),
    base_url="https://router.huggingface.co/hf-inference",
    limits=Limits(inputs=32),  # small, as no cap is documented
    overlong="obeys",
    shortens=False,
)
