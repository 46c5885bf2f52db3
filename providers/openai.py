"""OpenAI, and any service that speaks exactly its embeddings endpoint under another base URL.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from typing import Final

from providers import openai_shape
from providers.base import Limits, Provider

OPENAI: Final = Provider(
    name="openai",
    build_request=openai_shape.build_request,
    parse_response=openai_shape.parse_response,
    parse_error=openai_shape.parse_error,
    owned=openai_shape.OWNED,
    base_url="https://api.openai.com/v1",
    limits=Limits(inputs=2048, input_tokens=8192, request_tokens=300_000),
    token_ids=True,
)
