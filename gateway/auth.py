"""Keys and callers as values: what a key looks like, what is known of it, what its caller may do. It finds nothing.

A key is `sk-gateway-`, 43 random base62 characters, and 6 more that are the CRC-32 of those 43: a mistyped key is
refused without a look-up. Only the SHA-256 of a key is ever kept.
"""

from __future__ import annotations

import base64
import dataclasses
import fnmatch
import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.allowances import Grant
from gateway.inputs import quoted

SHORTEST_ADMIN_KEY: Final = 16
PREFIX: Final = "sk-gateway-"
RANDOM_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
_BASE62: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_KEY: Final = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{RANDOM_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")
_ONLY_STARS: Final = str.maketrans({"?": "[?]", "[": "[[]"})
"""Of fnmatch's characters only `*` means anything in a key's models."""


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
    narrowed: tuple[str, ...] = ("*",)
    """What a minted key leaves of its parent's models."""

    @classmethod
    def of(cls, record: KeyRecord) -> Caller:
        granted = {field.name: getattr(record, field.name) for field in dataclasses.fields(Grant)}
        return cls(record.id, record.name, record.models, **granted)

    def may_use(self, alias: str) -> bool:
        return all(any(fits(alias, pattern) for pattern in patterns) for patterns in (self.models, self.narrowed))


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a token does not count, in words that complete "it is not valid here: …"."""

    reason: str


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
    """The key of an `Authorization` header, or else of Azure's `api-key`; None where neither holds one.

    As with OpenAI, the key may also be the password of HTTP Basic, with any user or none.
    """
    scheme, _, shown = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        key = shown.strip()
    elif scheme.lower() == "basic":
        key = _password(shown.strip())
    else:
        key = ""
    return key or (api_key or "").strip() or None


def _password(credentials: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc7617#section-2"""
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2].strip()
    except ValueError:
        return ""


def masked(key: str) -> str:
    """Enough of a key to recognise it, too little to use it."""
    if len(key) < 20:
        return "…"
    shown = f"{key[:4]}…{key[-4:]}" if not key.startswith(PREFIX) else f"{PREFIX}…{key[-4:]}"
    return quoted(shown) if key.isascii() else "…"
