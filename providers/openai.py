"""OpenAI, and any service that speaks exactly its embeddings endpoint under another base URL.

https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

from typing import Final

from providers.base import Limits
from providers.dialect import Dialect

OPENAI: Final = Dialect(user_field="user").provider(
    "openai",
    "https://api.openai.com/v1",
    limits=Limits(inputs=2048, request_tokens=300_000),
    overlong="refuses",
    token_ids=True,
    base64=True,
)
