"""What Google's two embedding services share: their task types and their errors.

https://cloud.google.com/apis/design/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.base import FaultKind, InputType
from providers.errors_shape import Meaning, oversized, parser

ROLES: Final[Mapping[InputType, str]] = {
    "query": "RETRIEVAL_QUERY",
    "document": "RETRIEVAL_DOCUMENT",
    "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
    "similarity": "SEMANTIC_SIMILARITY",
}

parse_error: Final = parser(
    Meaning(FaultKind.MISCONFIGURED, 400, code="API_KEY_INVALID"),
    oversized(400, says="requests can be in one batch"),
    oversized(400, says="Request payload size exceeds the limit"),
    oversized(400, says="allowed per prediction"),
)
