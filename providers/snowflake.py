"""Snowflake Cortex: OpenAI's answer but for the vectors, each the only one of a list of its own.

https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api/embed-api
Of its three kinds of token a target's `headers` name the one in use: `X-Snowflake-Authorization-Token-Type`.
"""

from __future__ import annotations

from typing import Any, Final

from providers import openai_shape
from providers.base import Embeddings, Fault, Response
from providers.dialect import Dialect


def vector_of(embedding: str | list[Any]) -> bytes:
    nested = len(embedding) == 1 and isinstance(embedding[0], list)
    return openai_shape.vector_of(embedding[0] if nested else embedding)


def parse_response(response: Response) -> Embeddings | Fault:
    return openai_shape.parse_whole(response, vector_of)


SNOWFLAKE: Final = Dialect(
    version="api/v2/cortex",
    path="inference:embed",
    input_field="text",
    dimensions_field=None,
    asks_base64={},
).provider(
    "snowflake",
    None,  # every account has a host of its own
    parse_response=parse_response,
)
