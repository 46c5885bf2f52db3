"""Who is calling: an `Authorization` header and the time become a `Caller`. It stores nothing and counts nothing.

A key is `sk-gateway-`, 43 random base62 characters, and 6 more that are the CRC-32 of those 43: a mistyped key is
refused without a look-up. Only the SHA-256 of a key is ever kept.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import re
import secrets
import string
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.allowances import Grant
from gateway.errors import StateUnavailable, Unauthenticated
from gateway.inputs import quoted

PREFIX: Final = "sk-gateway-"
RANDOM_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")
_REMEMBERED: Final = 10_000
_ONLY_STARS: Final = str.maketrans({"?": "[?]", "[": "[[]"})
"""Of fnmatch's characters only `*` means anything in a key's models."""

Clock = Callable[[], float]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class KeyRecord(Grant):
    """What is known of a client key. Times are seconds since the epoch."""

    id: str
    name: str
    sha256: str = field(repr=False)
    models: tuple[str, ...] = ("*",)
    created: float = 0.0
    expires: float | None = None
    revoked: float | None = None

    def usable_at(self, now: float) -> bool:
        return (self.expires is None or now < self.expires) and (self.revoked is None or now < self.revoked)


@dataclass(frozen=True, slots=True)
class Caller(Grant):
    """A client that has shown a valid key."""

    key_id: str
    name: str
    models: tuple[str, ...]

    @classmethod
    def of(cls, record: KeyRecord) -> Caller:
        granted = {field.name: getattr(record, field.name) for field in dataclasses.fields(Grant)}
        return cls(record.id, record.name, record.models, **granted)

    def may_use(self, alias: str) -> bool:
        return any(fits(alias, pattern) for pattern in self.models)


def fits(alias: str, pattern: str) -> bool:
    """Whether a model's name fits a pattern, in which `*` stands for any characters."""
    return fnmatch.fnmatchcase(alias, pattern.translate(_ONLY_STARS))


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))


def _checksum(random_part: str) -> str:
    return _base62(zlib.crc32(random_part.encode()), CHECKSUM_LENGTH)


def new_key(choose: Callable[[str], str] = secrets.choice) -> str:
    random_part = "".join(choose(_BASE62) for _ in range(RANDOM_LENGTH))
    return f"{PREFIX}{random_part}{_checksum(random_part)}"


def well_formed(key: str) -> bool:
    """Whether prefix, length, alphabet and checksum are right: true of every key that was ever made."""
    match = _KEY.fullmatch(key)
    return match is not None and _checksum(match[1]) == match[2]


def key_hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def bearer(authorization: str | None, api_key: str | None) -> str | None:
    """The key of an `Authorization: Bearer` header, or else of Azure's `api-key`; None where neither holds one."""
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and key.strip():
            return key.strip()
    return (api_key or "").strip() or None


class Authenticator:
    """Finds the record of a key: those of the routing file first, then those of the store, remembered briefly.

    `lookup` reads the store by SHA-256. What it finds is believed for `remember` seconds, so that a revocation
    is seen within that time, and for `believe` seconds while the store cannot be reached.
    """

    def __init__(
        self,
        records: Iterable[KeyRecord],
        lookup: Callable[[str], Awaitable[KeyRecord | None]],
        clock: Clock,
        remember: float = 2.0,
        believe: float = 0.0,
    ) -> None:
        self._fixed = {record.sha256: record for record in records}
        self._lookup = lookup
        self._clock = clock
        self._remember = remember
        self._believe = believe
        self._recent: OrderedDict[str, tuple[KeyRecord, float]] = OrderedDict()

    async def caller(self, key: str | None) -> Caller:
        """Raises Unauthenticated; the message does not tell an unknown key from a revoked or expired one."""
        if key is None:
            raise Unauthenticated(
                "This request has no API key. Send one of this gateway's keys as `Authorization: Bearer sk-gateway-…`."
            )
        record = await self._record(key_hash(key)) if well_formed(key) else None
        if record is None or not record.usable_at(self._clock()):
            raise Unauthenticated(
                f"The API key `{_masked(key)}` is not valid here: it is mistyped, expired, revoked, or not one of this "
                f"gateway's keys, which start with `{PREFIX}`.",
                code="invalid_api_key",
            )
        return Caller.of(record)

    async def _record(self, sha256: str) -> KeyRecord | None:
        fixed = self._fixed.get(sha256)
        if fixed is not None:
            return fixed
        now = self._clock()
        known, found_at = self._recent.get(sha256, (None, now))
        age = now - found_at
        if known is not None and 0 <= age < self._remember:  # a clock set back makes it forget
            return known
        try:
            record = await self._lookup(sha256)
        except StateUnavailable:
            if known is not None and 0 <= age < self._believe:
                return known
            raise
        if record is None:
            self._recent.pop(sha256, None)
        else:  # an unknown key is not remembered: guesses must not push out the keys in use
            self._recent[sha256] = (record, now)
            self._recent.move_to_end(sha256)
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return record


def _masked(key: str) -> str:
    """Enough of a key to recognise it, too little to use it."""
    if len(key) < 20:
        return "…"
    shown = f"{key[:4]}…{key[-4:]}" if not key.startswith(PREFIX) else f"{PREFIX}…{key[-4:]}"
    return quoted(shown) if key.isascii() else "…"
