"""Services that pass OpenAI's embeddings endpoint on to others, each as a record of where it departs from it.

What an upstream of theirs takes, they take: so where nothing is documented, no limit is known and no base64 asked for.
"""

from __future__ import annotations

from typing import Final

from providers.base import FaultKind, Limits, Provider
from providers.dialect import Dialect
from providers.errors_shape import Meaning

# https://openrouter.ai/docs/api_reference/embeddings
# Its answers begin with blanks, which keep the connection alive; an error may follow them behind a 200.
OPENROUTER: Final = Dialect(
    version="api/v1",
    user_field="user",
    guarded=frozenset(
        {
            *("models", "provider", "route"),  # another target
            *("transforms", "input_type"),  # other input
        }
    ),
).provider(
    "openrouter",
    "https://openrouter.ai/api/v1",
    Meaning(FaultKind.TIMEOUT, 524),  # the proxy before it waited in vain
    token_ids=True,
)

# https://docs.github.com/en/rest/models/embeddings
# An organisation's base URL is `https://models.github.ai/orgs/{org}/inference`. A day's quota spent is a 429 that
# asks to wait for hours.
GITHUB: Final = Dialect(
    version="inference",
    user_field="user",
    role_field="input_type",
    roles={"query": "query", "document": "document"},
).provider("github", "https://models.github.ai/inference", base64=True)

# https://docs.aihubmix.com
AIHUBMIX: Final = Dialect(user_field="user").provider(
    "aihubmix",
    "https://aihubmix.com/v1",
    limits=Limits(inputs=2048, request_tokens=300_000),  # documented as OpenAI's, token ids too
    token_ids=True,
)

# https://github.com/songquanpeng/one-api and https://docs.newapi.pro
# Its Gemini channel gives every vector the index 0. The order may well be right, but nothing says so: several vectors
# from there are a breach of contract, one alone is none. Token ids are silently dropped by the channels that convert.
ONEAPI: Final = Dialect(user_field="user").provider("oneapi")

RELAYS: Final[tuple[Provider, ...]] = (OPENROUTER, GITHUB, AIHUBMIX, ONEAPI)
