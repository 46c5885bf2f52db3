"""What a request's headers say: the first of each name, looked through once, and as the bytes that came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

_FOUND: Final = "gateway.headers"


def of(scope: Scope) -> Mapping[bytes, bytes]:
    """By names in lower case."""
    found: Mapping[bytes, bytes] | None = scope.get(_FOUND)
    if found is None:
        found = scope[_FOUND] = dict(reversed(scope["headers"]))
    return found
