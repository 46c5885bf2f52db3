"""What a client wants of the cache, by the `Cache-Control` of its request.

https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CacheControl:
    """Without a header: found if it is there, kept if it is not."""

    looks_up: bool = True
    keeps: bool = True
    only_if_cached: bool = False

    @classmethod
    def of(cls, header: str | None) -> CacheControl:
        """`no-cache` looks nothing up, `no-store` keeps nothing either, `only-if-cached` asks no backend.

        Every other directive is about answers that a cache may give out late, and is ignored: a text's vector does not
        age. `max-age=0` is what browsers send for `no-cache`.
        """
        if header is None:
            return EVERYTHING
        said = {directive.strip().lower() for directive in header.split(",")}
        return cls(
            looks_up=not said & {"no-cache", "no-store", "max-age=0"},
            keeps="no-store" not in said,
            only_if_cached="only-if-cached" in said,
        )


EVERYTHING: Final = CacheControl()
