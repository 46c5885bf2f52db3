"""What an operator does to mint a key: name its parent, a time, and perhaps fewer models. Nothing is kept of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.auth import KeyRecord
from gateway.inputs import quoted
from gateway.key_wishes import KeyRefused
from gateway.keys import KeyUnknown
from gateway.minted import LONGEST_SECONDS, Mint
from gateway.quantities import seconds
from gateway.store import KeyStore


@dataclass(frozen=True, slots=True)
class MintedKey:
    key: str = field(repr=False)
    parent: KeyRecord


async def mint(
    store: KeyStore,
    file_keys: Iterable[KeyRecord],
    signing_key: bytes | None,
    name_or_id: str,
    ttl: str,
    models: Sequence[str] = ("*",),
) -> MintedKey:
    """A key minted from the one of this id, or from the newest of this name. Raises KeyRefused or KeyUnknown."""
    if signing_key is None:
        raise KeyRefused(
            "There is nothing to sign with: name a file of at least 32 secret bytes as `auth.signing_key_file` in the "
            "routing file. `openssl rand -base64 48` makes one."
        )
    if not models:
        raise KeyRefused("Name at least one model, or `*` for all of the key's.")
    lifetime = _lifetime(ttl)
    now = time.time()
    records = [*file_keys, *await store.list_keys()]
    working = [record for record in records if name_or_id in (record.id, record.name) and record.usable_at(now)]
    if not working:
        raise KeyUnknown(f"There is no working key `{quoted(name_or_id)}`; `gateway keys list` shows them all.")
    parent = working[-1]
    return MintedKey(Mint(signing_key, time.time).mint(parent, lifetime, models), parent)


def _lifetime(ttl: str) -> float:
    try:
        lifetime = seconds(ttl)
    except ValueError as error:
        raise KeyRefused(f"`{quoted(ttl)}` is no time: it {error}.") from None
    if lifetime > LONGEST_SECONDS:
        raise KeyRefused(f"`{quoted(ttl)}` is longer than 24h, the longest that a minted key may live.")
    return lifetime
