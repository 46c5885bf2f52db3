"""Minted keys: short-lived, signed by the gateway itself, worth no more than the key that they are minted from.

Nothing is kept of a minted key. It names its parent, whose record decides: while that works, so does the minted key
until its end, for those of the parent's models that it was narrowed to, and on the parent's limits and budget.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.auth import PREFIX, Caller, KeyRecord, Refused
from gateway.signatures import Seal

MINTED_PREFIX: Final = f"{PREFIX}minted-"
"""No other key begins so: they have no dash behind their own prefix."""
LEAST_SECRET: Final = 32
"""Bytes, as HMAC with SHA-256 wants them: https://www.rfc-editor.org/rfc/rfc7518#section-3.2"""
LONGEST_SECONDS: Final = 86_400.0
_PURPOSE: Final = "gateway-minted-key"


@dataclass(frozen=True, slots=True)
class Minted:
    """What a minted key says. `expires` is in seconds since the epoch."""

    parent: str
    """The id of the key that it was minted from."""
    expires: float
    models: tuple[str, ...] = ("*",)
    """Those of the parent's models that fit these patterns."""

    def caller(self, parent: KeyRecord) -> Caller:
        return dataclasses.replace(Caller.of(parent), narrowed=self.models)


class Mint:
    """`secret` is the gateway's signing key; `clock` is in seconds since the epoch."""

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._seal = Seal(secret, _PURPOSE)
        self._clock = clock

    def mint(self, parent: KeyRecord, seconds: float, models: Sequence[str] = ("*",)) -> str:
        """A key that ends after so many seconds, or with its parent if that is sooner."""
        expires = min(self._clock() + seconds, parent.expires if parent.expires is not None else float("inf"))
        claims = {"aud": _PURPOSE, "sub": parent.id, "exp": expires, "models": list(models)}
        return MINTED_PREFIX + self._seal.sealed(claims)

    def read(self, key: str) -> Minted | Refused:
        claims = self._seal.claims(key.removeprefix(MINTED_PREFIX))
        if claims is None or claims.get("aud") != _PURPOSE:
            return Refused("this gateway did not sign it")
        minted = Minted(claims["sub"], claims["exp"], tuple(claims["models"]))
        return minted if self._clock() < minted.expires else Refused("it has expired; have a new one minted")
