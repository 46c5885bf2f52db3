"""Who is logged in: a signed cookie that ends by itself, when it lies idle, and at once when its owner logs out.

Its key comes from `auth.signing_key_file`, or else from a secret that the first process puts into the state, so that
all workers and replicas know each other's sessions. The admin key is part of it: a new admin key ends them all.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.signatures import Seal
from gateway.store import ValueStore

LONGEST_SECONDS: Final = 8 * 3600.0
IDLE_SECONDS: Final = 30 * 60.0
RENEW_SECONDS: Final = 60.0
"""A cookie older than this is renewed by the next page, so that not every answer sets one."""
SECRET_BYTES: Final = 32
PURPOSE: Final = "console-session"
_FAMILY: Final = "console"
_SECRET: Final = "secret"  # noqa: S105 (the name of it)
_ENDED: Final = "console:ended"


@dataclass(frozen=True, slots=True)
class Session:
    """Times are seconds since the epoch. `token` is in each of its forms, and nowhere else."""

    id: str
    who: str
    began: float
    seen: float
    token: str = field(repr=False)


class Sessions:
    """`secret` is the configured one; `clock` is in seconds since the epoch. All raise StateUnavailable."""

    def __init__(self, store: ValueStore, secret: bytes | None, admin_key: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._secret = secret
        self._admin_key = hashlib.sha256(admin_key.encode()).digest()
        self._clock = clock
        self._seals: dict[str, Seal] = {}

    async def begin(self, who: str) -> Session:
        now = self._clock()
        return Session(secrets.token_urlsafe(16), who, now, now, secrets.token_urlsafe(24))

    async def find(self, cookie: str) -> Session | None:
        """The session of a cookie, as long as it lasts."""
        claims = (await self.seal(PURPOSE)).claims(cookie)
        try:
            session = None if claims is None else Session(**claims)
        except TypeError:  # of another version of the gateway
            session = None
        if session is None:
            return None
        now = self._clock()
        ended = now >= session.began + LONGEST_SECONDS or now >= session.seen + IDLE_SECONDS
        return None if ended or await self._store.value(_ENDED, session.id) is not None else session

    async def written(self, session: Session) -> str:
        """As a cookie, which is idle from now on."""
        seen = dataclasses.replace(session, seen=self._clock())
        return (await self.seal(PURPOSE)).sealed(dataclasses.asdict(seen))

    def is_stale(self, session: Session) -> bool:
        return self._clock() - session.seen > RENEW_SECONDS

    async def end(self, session: Session) -> None:
        """Whoever has copied the cookie is out as well."""
        left = max(1.0, session.began + LONGEST_SECONDS - self._clock())
        await self._store.put_value(_ENDED, session.id, b"", left)

    async def seal(self, purpose: str) -> Seal:
        """The same one in every process."""
        if purpose not in self._seals:
            secret = self._secret or await self._shared()
            self._seals[purpose] = Seal(secret + self._admin_key, purpose)
        return self._seals[purpose]

    async def _shared(self) -> bytes:
        await self._store.put_value(_FAMILY, _SECRET, secrets.token_bytes(SECRET_BYTES), only_if_absent=True)
        found = await self._store.value(_FAMILY, _SECRET)
        assert found is not None  # noqa: S101 (it has no end)
        return found
