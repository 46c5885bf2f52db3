"""The public keys of one identity provider: fetched when first needed, kept for a while, fetched anew with restraint.

One task fetches, which no caller owns; whoever needs its outcome waits for it. A flood of unknown key ids costs one
fetch in half a minute. While the provider cannot be reached, the last keys that it published go on counting.
https://www.rfc-editor.org/rfc/rfc7517#section-5, https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable
from typing import Final

from gateway import signatures
from gateway.logs import GATEWAY
from gateway.signatures import PublicKey
from providers import codec
from providers.base import Fault, FaultKind, Response

FETCH_SECONDS: Final = 5.0
LARGEST_SET: Final = 2**18
"""Bytes; the sets of large providers have some ten thousand."""
MOST_KEYS: Final = 100
LEAST_AGE: Final = 60.0
USUAL_AGE: Final = 600.0
GREATEST_AGE: Final = 3600.0
"""Seconds for which a set is believed: what `cache-control` says, within bounds. A key that was withdrawn counts on."""
UNKNOWN_KEY_PAUSE: Final = 30.0
"""Seconds between fetches for keys that a set which is still believed does not have."""
FAILURE_PAUSE: Final = 5.0
"""Seconds without a fetch after one that failed."""
KEPT_SECONDS: Final = 86_400.0
"""How long the last set counts while no newer one can be fetched."""

Fetch = Callable[[], Awaitable[Response | Fault]]


class KeySet:
    """`fetch` asks for the set, in bounded time; `clock` is monotonic, in seconds; `issuer` is for the log."""

    def __init__(self, issuer: str, fetch: Fetch, clock: Callable[[], float]) -> None:
        self._issuer = issuer
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._failure: Fault | None = Fault(FaultKind.OVERLOADED, "nothing was fetched yet")
        self._fresh_until = -math.inf
        self._kept_until = -math.inf
        self._not_before = -math.inf
        self._fetching: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> PublicKey | Fault | None:
        """The one key that is meant; None where the provider has none, or, without an id, several that fit."""
        now = self._clock()
        found = self._known(key_id, algorithm, now)
        if found is not None and now < self._fresh_until:
            return found
        fetching = self._fetching or self._begin(now)
        if fetching is not None and (found is None or self._failure is None):
            await asyncio.wait({fetching})
            found = self._known(key_id, algorithm, self._clock())
        if found is None and self._clock() >= self._kept_until:
            return self._failure
        return found

    def _known(self, key_id: str | None, algorithm: str, now: float) -> PublicKey | None:
        if now >= self._kept_until:
            return None
        fitting = [key for key in self._keys if key.fits(algorithm) and key_id in (None, key.id)]
        return fitting[0] if len(fitting) == 1 else None

    def _begin(self, now: float) -> asyncio.Task[None] | None:
        """A fetch; None while it is too soon for another."""
        if now < self._not_before:
            return None
        if now < self._fresh_until:
            self._not_before = now + UNKNOWN_KEY_PAUSE
        self._fetching = asyncio.get_running_loop().create_task(self._refresh())
        return self._fetching

    async def _refresh(self) -> None:
        try:
            outcome = _read(await self._fetch())
        finally:
            self._fetching = None
        now = self._clock()
        if isinstance(outcome, Fault):
            self._failure = outcome
            self._not_before = max(self._not_before, now + FAILURE_PAUSE)
            GATEWAY.warning(
                "the keys of an issuer could not be fetched",
                extra={"fields": {"issuer": self._issuer, "fault": outcome.kind, "status": outcome.status}},
            )
            return
        self._keys, age = outcome
        self._failure = None
        self._fresh_until, self._kept_until = now + age, now + KEPT_SECONDS


def _read(answer: Response | Fault) -> tuple[tuple[PublicKey, ...], float] | Fault:
    """The keys of a set that can be used here, and for how many seconds it is believed."""
    if isinstance(answer, Fault):
        return answer
    if answer.status != 200:
        return Fault(FaultKind.BROKEN, "it answered no key set", answer.status)
    try:
        told = codec.parse_json(answer.body)
    except ValueError:
        told = None
    keys = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        return Fault(FaultKind.MALFORMED, "its answer is no key set", answer.status)
    jwks = [jwk for jwk in keys if isinstance(jwk, dict)]
    if any("use" in jwk for jwk in jwks):  # a set that says of some what they are for must say so of all
        jwks = [jwk for jwk in jwks if "use" in jwk]
    found = tuple(key for key in map(signatures.public_key, jwks) if key is not None)
    return found, _age(answer.headers.get("cache-control", ""))


def _age(cache_control: str) -> float:
    match = re.search(r"max-age=([0-9]{1,9})", cache_control)
    wished = float(match[1]) if match else USUAL_AGE
    return min(max(wished, LEAST_AGE), GREATEST_AGE)
