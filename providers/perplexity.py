"""Perplexity: OpenAI's endpoint, but its vectors come as signed bytes behind base64, and never as floats.

https://docs.perplexity.ai/docs/embeddings/quickstart

The bytes have no scale: only their direction means anything. They are handed on as vectors of unit length, so that a
dot product or a distance says the same as a cosine.
"""

from __future__ import annotations

from typing import Any, Final

from providers import codec, openai_shape
from providers.base import Embeddings, Fault, Limits, Response
from providers.dialect import Dialect


def vector_of(embedding: str | list[Any]) -> bytes:
    if not isinstance(embedding, str):
        raise ValueError("numbers, where bytes were to come")
    return codec.direction_of_int8(embedding)


def parse_response(response: Response) -> Embeddings | Fault:
    return openai_shape.parse_whole(response, vector_of)


# `encoding_format` is left out: what it means then is `base64_int8`, and its only other value are single bits.
PERPLEXITY: Final = Dialect(asks_base64={}).provider(
    "perplexity",
    "https://api.perplexity.ai/v1",
    parse_response=parse_response,
    limits=Limits(inputs=512),
    unit_length=True,
)
