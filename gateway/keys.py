"""What an operator does with client keys: make, list, revoke, rotate. Only hashes are kept; a key is told once."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import auth, key_wishes
from gateway.access_shape import KeyWish
from gateway.allowances import Grant
from gateway.auth import KeyRecord
from gateway.inputs import quoted
from gateway.key_wishes import KeyRefused
from gateway.store import KeyStore

FIRST_KEY_NAME: Final = "default"


class KeyUnknown(KeyRefused):
    """There is no such key."""


@dataclass(frozen=True, slots=True)
class NewKey:
    key: str = field(repr=False)
    record: KeyRecord


async def create(store: KeyStore, wish: KeyWish, teams: Collection[str] = ()) -> NewKey:
    """Raises KeyRefused when a working key has this name already, or a value makes no sense."""
    now = time.time()
    wanted = key_wishes.wanted(wish, teams, now)
    await _check_name(store, wish.name, None)
    made = await _add(store, now, wanted)
    try:
        await _check_name(store, wish.name, made.record.id)  # two that are made at the same moment see each other
    except KeyRefused:
        await store.revoke_key(made.record.id, now)
        raise
    return made


async def first(store: KeyStore) -> str | None:
    """A key for a state that never had one; None once it has."""
    return None if await store.list_keys() else (await create(store, KeyWish(name=FIRST_KEY_NAME))).key


async def change(store: KeyStore, key_id: str, patch: Mapping[str, Any], teams: Collection[str] = ()) -> KeyRecord:
    """The key of this id, changed by a JSON merge patch of the wish that it was made by; its hash and its end stay.

    What is not named stays, objects within it too, and null takes a limit away. Raises KeyUnknown, or KeyRefused.
    """
    now = time.time()
    old = await find(store, key_id)
    new = dataclasses.replace(old, **key_wishes.changed(old, patch, teams, now))
    takes_a_name = new.name != old.name or not old.usable_at(now)
    if takes_a_name:
        await _check_name(store, new.name, key_id)
    if not await store.change_key(new):
        raise _unknown(key_id)
    if takes_a_name:
        try:
            await _check_name(store, new.name, key_id)
        except KeyRefused:
            await store.change_key(old)
            raise
    return new


async def find(store: KeyStore, key_id: str) -> KeyRecord:
    """Raises KeyUnknown."""
    record = await store.find_key_by_id(key_id)
    if record is None:
        raise _unknown(key_id)
    return record


async def revoke(store: KeyStore, name_or_id: str) -> list[KeyRecord]:
    """Ends the key of this id, or every key of this name: after a rotation two of them work."""
    ended = []
    found = await _working(store, name_or_id)
    while found:
        for record in found:
            await store.revoke_key(record.id, time.time())
        ended += found
        _, found = await _found(store, name_or_id)  # what a rotation has added meanwhile
    return ended


async def rotate(store: KeyStore, name_or_id: str, overlap: str) -> NewKey:
    """A new key with the name, models and expiry of the newest of this name, which itself ends after the overlap."""
    wait = key_wishes.overlap(overlap)
    old = (await _working(store, name_or_id))[-1]
    now = time.time()
    kept = ("name", "models", "expires", *(field.name for field in dataclasses.fields(Grant)))
    made = await _add(store, now, {name: getattr(old, name) for name in kept})
    if not (await find(store, old.id)).usable_at(time.time()):  # ended meanwhile, and its successor with it
        await store.revoke_key(made.record.id, now)
        raise KeyRefused(f"The key `{quoted(old.name)}` ended while it was rotated.")
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


async def _check_name(store: KeyStore, name: str, own_id: str | None) -> None:
    """Raises KeyRefused where another key of this name works."""
    now = time.time()
    if any(record.id != own_id and record.usable_at(now) for record in await store.list_keys(name)):
        raise KeyRefused(
            f"There is a working key `{name}` already. Choose another name, or `gateway keys rotate` it.", "name"
        )


async def _add(store: KeyStore, now: float, wanted: Mapping[str, Any]) -> NewKey:
    key = auth.new_key()
    record = KeyRecord(id=f"key_{secrets.token_hex(6)}", sha256=auth.key_hash(key), created=now, **wanted)
    await store.add_key(record)
    return NewKey(key, record)


async def _working(store: KeyStore, name_or_id: str) -> list[KeyRecord]:
    """The key of this id, or those of this name, that still work, oldest first; at least one."""
    known, found = await _found(store, name_or_id)
    if not found:
        raise (KeyRefused if known else KeyUnknown)(
            f"There is no working key `{quoted(name_or_id)}` in the state; `gateway keys list` shows them all. "
            "Keys of the routing file are ended by removing them there."
        )
    return found


async def _found(store: KeyStore, name_or_id: str) -> tuple[bool, list[KeyRecord]]:
    """Whether such a key was ever made, and which of them still work; an id goes before a name that looks like it."""
    record = await store.find_key_by_id(name_or_id)
    records = await store.list_keys(name_or_id) if record is None else [record]
    now = time.time()
    return bool(records), [record for record in records if record.usable_at(now)]


def _unknown(key_id: str) -> KeyUnknown:
    return KeyUnknown(f"There is no key `{quoted(key_id)}` in the state.")
