"""What an operator does with client keys: make, list, revoke, rotate. Only hashes are kept; a key is told once."""

from __future__ import annotations

import dataclasses
import datetime
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gateway import access_rules, auth, faults_of_shape
from gateway.access_shape import GrantShape, KeyChange, KeyWish
from gateway.allowances import Grant
from gateway.auth import KeyRecord
from gateway.inputs import quoted
from gateway.quantities import seconds
from gateway.store import KeyStore

FIRST_KEY_NAME: Final = "default"
LONGEST_SECONDS: Final = 100 * 365 * 86400.0
_ShapeT = TypeVar("_ShapeT", bound=BaseModel)
_FIELDS: Final = {"limits": "rates", "model_limits": "model_rates"}
"""What wishes call otherwise than records."""


class KeyRefused(Exception):
    """A wish about keys that cannot be met; the message says why, and `field` which of its fields is at fault."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class KeyUnknown(KeyRefused):
    """There is no such key."""


@dataclass(frozen=True, slots=True)
class NewKey:
    key: str = field(repr=False)
    record: KeyRecord


def shaped(shape: type[_ShapeT], wish: object) -> _ShapeT:
    """A wish as it was sent, in its shape. Raises KeyRefused, which names the field."""
    try:
        return shape.model_validate(wish)
    except ValidationError as error:
        place, sentence = next(faults_of_shape.read(error, shape))
        name = ".".join(map(str, place))
        raise KeyRefused(f"`{quoted(name)}` {sentence}." if name else f"A key {sentence}.", name or None) from None


async def create(store: KeyStore, wish: KeyWish, teams: Collection[str] = ()) -> NewKey:
    """Raises KeyRefused when a working key has this name already, or a value makes no sense."""
    now = time.time()
    grant = _grant(wish, teams)
    await _check_name(store, wish.name, now)
    return await _add(store, wish.name, _models(wish.models), _end(wish.expires, now), now, grant)


async def first(store: KeyStore) -> str | None:
    """A key for a state that never had one; None once it has."""
    return None if await store.list_keys() else (await create(store, KeyWish(name=FIRST_KEY_NAME))).key


async def change(store: KeyStore, key_id: str, wish: KeyChange, teams: Collection[str] = ()) -> KeyRecord:
    """The key of this id with what the wish names replaced; its hash and its revocation stay.

    Raises KeyUnknown, or KeyRefused.
    """
    now = time.time()
    record = await find(store, key_id)
    named = wish.model_fields_set
    if "name" in named and wish.name != record.name:
        await _check_name(store, wish.name or "", now)
        record = dataclasses.replace(record, name=wish.name or "")
    if "models" in named:
        record = dataclasses.replace(record, models=_models(wish.models or ()))
    if "expires" in named:
        record = dataclasses.replace(record, expires=_end(wish.expires, now))
    given = {name: getattr(wish, name) for name in GrantShape.model_fields if name in named and name != "models"}
    whole = GrantShape.model_validate({name: value for name, value in given.items() if value is not None})
    granted = {**_grant(whole, teams), "metadata": dict(wish.metadata or {})}
    changed = {_FIELDS.get(name, name): granted[_FIELDS.get(name, name)] for name in (*given, "metadata")}
    if "metadata" not in named:
        del changed["metadata"]
    record = dataclasses.replace(record, **changed)
    if not await store.change_key(record):
        raise _unknown(key_id)
    return record


async def find(store: KeyStore, key_id: str) -> KeyRecord:
    """Raises KeyUnknown."""
    record = await store.find_key_by_id(key_id)
    if record is None:
        raise _unknown(key_id)
    return record


async def revoke(store: KeyStore, name_or_id: str) -> list[KeyRecord]:
    """Ends the key of this id, or every key of this name: after a rotation two of them work."""
    now = time.time()
    found = await _working(store, name_or_id)
    for record in found:
        await store.revoke_key(record.id, now)
    return found


async def rotate(store: KeyStore, name_or_id: str, overlap: str) -> NewKey:
    """A new key with the name, models and expiry of the newest of this name, which itself ends after the overlap."""
    wait = 0.0 if overlap == "0" else _seconds(overlap, "`0`")
    old = (await _working(store, name_or_id))[-1]
    now = time.time()
    grant = {field.name: getattr(old, field.name) for field in dataclasses.fields(Grant)}
    made = await _add(store, old.name, old.models, old.expires, now, grant)
    await store.revoke_key(old.id, now + wait)
    return made


def status(record: KeyRecord, now: float) -> str:
    if record.revoked is not None and record.revoked <= now:
        return "revoked"
    if record.expires is not None and record.expires <= now:
        return "expired"
    return "active" if record.revoked is None else "ending"


def hash_of(key: str) -> str:
    if not auth.well_formed(key):
        raise KeyRefused("This is not one of the gateway's keys, or it is mistyped; `gateway keys create` makes one.")
    return auth.key_hash(key)


def _grant(wish: GrantShape, teams: Collection[str]) -> dict[str, Any]:
    if wish.team is not None and wish.team not in teams:
        known = ", ".join(f"`{team}`" for team in sorted(teams)) or "none"
        raise KeyRefused(f"There is no team `{quoted(wish.team)}`; the routing file has {known}.")
    try:
        budget = access_rules.budget(wish.budget)
    except ValueError as error:
        raise KeyRefused(f"The budget {error}.") from None
    return {
        "team": wish.team,
        "rates": access_rules.rates(wish.limits),
        "model_rates": {pattern: access_rules.rates(limits) for pattern, limits in wish.model_limits.items()},
        "budget": budget,
        "priority": wish.priority,
        "metadata": dict(wish.metadata) if isinstance(wish, KeyWish) else {},
    }


def _models(patterns: Sequence[str]) -> tuple[str, ...]:
    if not patterns:
        raise KeyRefused("Name at least one model, or `*` for all.")
    return tuple(patterns)


async def _check_name(store: KeyStore, name: str, now: float) -> None:
    if not (name.strip() and name.isprintable() and len(name) <= 100):
        raise KeyRefused("A key's name has 1 to 100 printable characters.")
    if any(record.name == name and record.usable_at(now) for record in await store.list_keys()):
        raise KeyRefused(f"There is a working key `{name}` already. Choose another name, or `gateway keys rotate` it.")


async def _add(
    store: KeyStore,
    name: str,
    models: tuple[str, ...],
    expires: float | None,
    now: float,
    grant: Mapping[str, Any],
) -> NewKey:
    key = auth.new_key()
    record = KeyRecord(
        id=f"key_{secrets.token_hex(6)}",
        name=name,
        sha256=auth.key_hash(key),
        models=models,
        created=now,
        expires=expires,
        **grant,
    )
    await store.add_key(record)
    return NewKey(key, record)


async def _working(store: KeyStore, name_or_id: str) -> list[KeyRecord]:
    """The keys of this name that still work, oldest first, or the key of this id; at least one."""
    now = time.time()
    found = [r for r in await store.list_keys() if name_or_id in (r.id, r.name) and r.usable_at(now)]
    if not found:
        raise KeyUnknown(
            f"There is no working key `{name_or_id}` in the state; `gateway keys list` shows them all. "
            "Keys of the routing file are ended by removing them there."
        )
    return found


def _unknown(key_id: str) -> KeyUnknown:
    return KeyUnknown(f"There is no key `{quoted(key_id)}` in the state.")


def _end(text: str | None, now: float) -> float | None:
    """A date as the start of that day, UTC; a duration from now; None for never."""
    if text is None:
        return None
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
