"""Bearer tokens of identity providers: verified against their public keys, and remembered for a moment.

The issuer is matched before anything is fetched, and the address of its keys is the routing file's: what a token's
header says of keys (`jwk`, `jku`, `x5c`, `x5u`) is never read. https://www.rfc-editor.org/rfc/rfc8725
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Final

from gateway import claims, signatures
from gateway.auth import Caller, Refused
from gateway.claims import Issuer
from gateway.errors import UpstreamUnavailable, retry_headers
from gateway.key_sets import FAILURE_PAUSE, KeySet
from gateway.signatures import Token
from providers.base import Fault

REMEMBERED: Final = 10_000
REMEMBER_SECONDS: Final = 60.0
"""How long a verified token is believed without looking at its signature again: so long a withdrawn key counts on."""
_TYPES: Final = frozenset({"", "jwt", "at+jwt", "jose"})
"""Of access and identity tokens. A logout token of the same issuer is none:
https://www.rfc-editor.org/rfc/rfc8725#section-3.11"""


class TokenVerifier:
    """`clock` is in seconds since the epoch."""

    def __init__(
        self, issuers: Iterable[tuple[Issuer, KeySet]], teams: Collection[str], clock: Callable[[], float]
    ) -> None:
        self._issuers = {issuer.name: (issuer, keys) for issuer, keys in issuers}
        self._teams = teams
        self._clock = clock
        self._recent: OrderedDict[bytes, tuple[Caller, float, float]] = OrderedDict()

    async def caller(self, text: str) -> Caller | Refused:
        """Raises UpstreamUnavailable while the issuer's keys are unknown."""
        name = hashlib.sha256(text.encode()).digest()
        now = self._clock()
        caller, since, until = self._recent.get(name, (None, 0.0, 0.0))
        if caller is not None and since <= now < until:
            return caller
        token = signatures.taken_apart(text)
        if token is None:
            return Refused("it is not a token that can be read")
        issuer, keys = self._issuers.get(str(token.claims.get("iss")), (None, None))
        if issuer is None or keys is None:
            return Refused("its issuer (`iss`) is none of those that this gateway trusts")
        verdict = await unsigned(token, issuer, keys) or claims.caller(token.claims, issuer, self._teams, now)
        if isinstance(verdict, Caller):
            self._remember(name, verdict, now, min(claims.expiry(token.claims, issuer), now + REMEMBER_SECONDS))
        return verdict

    def _remember(self, name: bytes, caller: Caller, now: float, until: float) -> None:
        self._recent[name] = (caller, now, until)
        self._recent.move_to_end(name)
        while len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)


async def unsigned(token: Token, issuer: Issuer, keys: KeySet) -> Refused | None:
    """Why a token's signature does not count, or None where it does. Raises UpstreamUnavailable."""
    algorithm, key_id, kind = (token.header.get(name) for name in ("alg", "kid", "typ"))
    if algorithm not in issuer.algorithms:
        return Refused("its signature's algorithm (`alg`) is not allowed for this issuer")
    if str(kind or "").lower().removeprefix("application/") not in _TYPES:
        return Refused("it is not a token for calling services (`typ`)")
    if not isinstance(key_id, str | None) or "crit" in token.header:
        return Refused("its header cannot be understood")
    key = await keys.find(key_id, algorithm)
    if isinstance(key, Fault):
        raise UpstreamUnavailable(
            "The keys of this token's issuer cannot be fetched right now, so the token cannot be checked. "
            "Try again shortly.",
            headers=retry_headers(FAILURE_PAUSE),
        )
    if key is None:
        return Refused("its issuer has no such key (`kid`)")
    return None if signatures.is_signed(token, key, algorithm) else Refused("its signature is wrong")
