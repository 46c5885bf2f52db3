"""What lengths a route's vectors may have, by declared facts alone: a model's name is never looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.errors import InvalidRequest
from providers.values import frozen

Shorten = Literal["native", "truncate", "never"]


@frozen
class Length:
    """How one request's vectors get their length.

    `upstream` is the length that the upstream answers with, `final` the one that the client gets; where they
    differ, vectors are cut and re-normalised here. `sent` is the value of the provider's own field, if it is used.
    """

    upstream: int
    final: int
    sent: int | None = None


@dataclass(frozen=True, slots=True)
class Dimensions:
    """`native` length, and how others come about: by the provider, by cutting here, or not at all.

    `allowed` names the only others, longer than the native one where the provider makes such; without it, any from
    `min` to `native`.
    """

    native: int
    min: int = 1
    shorten: Shorten = "never"
    allowed: Sequence[int] | None = None

    def resolve(self, requested: int | None) -> Length:
        """Raises InvalidRequest, listing what is possible, when the length asked for is not."""
        if requested is None or requested == self.native:
            return Length(self.native, self.native)
        if not self._offers(requested):
            raise InvalidRequest(f"`dimensions` is {requested}; this model gives {self}.", param="dimensions")
        if self.shorten == "native":
            return Length(requested, requested, sent=requested)
        return Length(self.native, requested)

    def _offers(self, requested: int) -> bool:
        if self.shorten == "never":
            return False
        if self.allowed is not None:
            return requested in self.allowed
        return self.min <= requested <= self.native

    @property
    def supported(self) -> list[int] | None:
        """The finite list of lengths, or None where a whole range is possible."""
        if self.shorten == "never":
            return [self.native]
        if self.allowed is not None:
            return sorted({*self.allowed, self.native})
        return None

    def __str__(self) -> str:
        if self.supported is None:
            return f"{self.min} to {self.native} dimensions"
        *head, last = map(str, self.supported)
        if not head:
            return f"{last} dimensions only"
        return f"{', '.join(head)} or {last} dimensions"
