"""What an operator does with client keys: make, list, revoke, rotate. Only hashes are kept; a key is told once."""

from __future__ import annotations

import datetime
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway import auth, build
from gateway.auth import KeyRecord
from gateway.config import Config
from gateway.quantities import seconds
from gateway.store import Store

FIRST_KEY_NAME: Final = "default"
LONGEST_SECONDS: Final = 100 * 365 * 86400.0

_T = TypeVar("_T")
_P = ParamSpec("_P")


class KeyRefused(Exception):
    """A wish about keys that cannot be met; the message says why."""


@dataclass(frozen=True, slots=True)
class NewKey:
    key: str = field(repr=False)
    record: KeyRecord


async def with_store(
    config: Config, action: Callable[Concatenate[Store, _P], Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
) -> _T:
    """Runs one action on the configuration's store, and closes it."""
    store = build.store(config)
    try:
        return await action(store, *args, **kwargs)
    finally:
        await store.close()


async def create(store: Store, name: str, models: Sequence[str] = ("*",), expires: str | None = None) -> NewKey:
    """Raises KeyRefused when a working key has this name already, or a value makes no sense."""
    now = time.time()
    if not (name.strip() and name.isprintable() and len(name) <= 100):
        raise KeyRefused("A key's name has 1 to 100 printable characters.")
    if not models:
        raise KeyRefused("Name at least one model, or `*` for all.")
    if any(record.name == name and record.usable_at(now) for record in await store.list_keys()):
        raise KeyRefused(f"There is a working key `{name}` already. Choose another name, or `gateway keys rotate` it.")
    return await _add(store, name, tuple(models), None if expires is None else _end(expires, now), now)


async def revoke(store: Store, name_or_id: str) -> list[KeyRecord]:
    """Ends the key of this id, or every key of this name: after a rotation two of them work."""
    now = time.time()
    found = await _working(store, name_or_id)
    for record in found:
        await store.revoke_key(record.id, now)
    return found


async def rotate(store: Store, name_or_id: str, overlap: str) -> NewKey:
    """A new key with the name, models and expiry of the newest of this name, which itself ends after the overlap."""
    wait = 0.0 if overlap == "0" else _seconds(overlap, "`0`")
    old = (await _working(store, name_or_id))[-1]
    now = time.time()
    made = await _add(store, old.name, old.models, old.expires, now)
    await store.revoke_key(old.id, now + wait)
    return made


async def listed(store: Store, file_keys: Sequence[KeyRecord]) -> list[dict[str, str]]:
    """Every key as a row of texts, the routing file's first."""
    now = time.time()
    records = [*file_keys, *await store.list_keys()]
    return [
        {
            "id": record.id,
            "name": record.name,
            "models": ",".join(record.models),
            "created": _written(record.created or None),
            "expires": _written(record.expires),
            "status": _status(record, now),
        }
        for record in records
    ]


async def first_key(config: Config) -> str | None:
    """A key for a gateway that runs without a routing file and has none yet; None once there is one."""
    if not config.is_embedded_default:
        return None

    async def make(store: Store) -> str | None:
        return None if await store.list_keys() else (await create(store, FIRST_KEY_NAME)).key

    return await with_store(config, make)


def hash_of(key: str) -> str:
    if not auth.well_formed(key):
        raise KeyRefused("This is not one of the gateway's keys, or it is mistyped; `gateway keys create` makes one.")
    return auth.key_hash(key)


async def _add(store: Store, name: str, models: tuple[str, ...], expires: float | None, now: float) -> NewKey:
    key = auth.new_key()
    record = KeyRecord(
        id=f"key_{secrets.token_hex(6)}",
        name=name,
        sha256=auth.key_hash(key),
        models=models,
        created=now,
        expires=expires,
    )
    await store.add_key(record)
    return NewKey(key, record)


async def _working(store: Store, name_or_id: str) -> list[KeyRecord]:
    """The keys of this name that still work, oldest first, or the key of this id; at least one."""
    now = time.time()
    found = [r for r in await store.list_keys() if name_or_id in (r.id, r.name) and r.usable_at(now)]
    if not found:
        raise KeyRefused(
            f"There is no working key `{name_or_id}` in the state; `gateway keys list` shows them all. "
            "Keys of the routing file are ended by removing them there."
        )
    return found


def _end(text: str, now: float) -> float:
    """A date as the start of that day, UTC; a duration from now."""
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return now + _seconds(text, "a date like 2027-01-31")
    end = datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
    if end <= now:
        raise KeyRefused(f"The date {text} is past.")
    return end


def _seconds(text: str, otherwise: str) -> float:
    try:
        duration = seconds(text)
    except ValueError as error:
        raise KeyRefused(f"`{text}` is no time: it {error}, or {otherwise}.") from None
    if duration > LONGEST_SECONDS:
        raise KeyRefused(f"`{text}` is longer than 100 years.")
    return duration


def _status(record: KeyRecord, now: float) -> str:
    if record.revoked is not None and record.revoked <= now:
        return "revoked"
    if record.expires is not None and record.expires <= now:
        return "expired"
    return f"until {_written(record.revoked)}" if record.revoked is not None else "active"


def _written(at: float | None) -> str:
    if at is None:
        return "-"
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M")
