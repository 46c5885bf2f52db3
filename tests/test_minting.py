"""Minting a key: from which, for how long, and what is refused."""

from __future__ import annotations

import time

import pytest

from gateway.auth import KeyRecord
from gateway.key_wishes import KeyRefused
from gateway.minted import Mint, Minted
from gateway.minting import mint
from tests.fakes.key_store import FakeKeyStore

SECRET = b"a secret of at least thirty-two bytes"


def record(key_id: str, name: str, created: float = 0.0, **ends: float) -> KeyRecord:
    return KeyRecord(key_id, name, f"hash of {key_id}", created=created, **ends)  # type: ignore[arg-type]


FILE = [record("file:ci", "ci"), record("file:both", "both")]
STORE = FakeKeyStore(
    record("key_1", "app", 1.0),
    record("key_2", "app", 2.0),
    record("key_3", "app", 3.0, revoked=4.0),
    record("key_4", "over", 4.0, expires=5.0),
    record("key_5", "both", 5.0),
)


@pytest.mark.parametrize(
    ("name_or_id", "parent"),
    [("app", "key_2"), ("key_1", "key_1"), ("ci", "file:ci"), ("file:ci", "file:ci"), ("both", "key_5")],
)
async def test_parent(name_or_id: str, parent: str) -> None:
    """The parent is the key of that id, or the newest of that name that works, of the file or of the state."""
    minted = await mint(STORE, FILE, SECRET, name_or_id, "15m")
    read = Mint(SECRET, time.time).read(minted.key)

    assert isinstance(read, Minted)
    assert (parent, parent) == (minted.parent.id, read.parent)


async def test_what_it_says() -> None:
    """It has the time and the models that were asked for."""
    begun = time.time()
    minted = await mint(STORE, FILE, SECRET, "app", "15m", ["a*"])
    read = Mint(SECRET, time.time).read(minted.key)

    assert isinstance(read, Minted)
    assert (True, ("a*",)) == (begun + 900 <= read.expires <= time.time() + 900, read.models)


@pytest.mark.parametrize(
    ("secret", "name", "ttl", "models", "message"),
    [
        (None, "app", "15m", ["*"], "There is nothing to sign with: name a file"),
        (SECRET, "nobody", "15m", ["*"], "There is no working key `nobody`"),
        (SECRET, "over", "15m", ["*"], "There is no working key `over`"),
        (SECRET, "key_3", "15m", ["*"], "There is no working key `key_3`"),
        (SECRET, "app", "15", ["*"], "`15` is no time: it must be a number with a unit"),
        (SECRET, "app", "0s", ["*"], "`0s` is no time: it must be more than zero"),
        (SECRET, "app", "25h", ["*"], "`25h` is longer than 24h"),
        (SECRET, "app", "15m", [], "Name at least one model"),
    ],
)
async def test_refused(secret: bytes | None, name: str, ttl: str, models: list[str], message: str) -> None:
    """What cannot be minted is told, and why."""
    with pytest.raises(KeyRefused) as caught:
        await mint(STORE, FILE, secret, name, ttl, models)

    assert str(caught.value).startswith(message)


async def test_nothing_is_kept() -> None:
    """Minting changes nothing in the state, and does not show the key."""
    before = dict(STORE.records)
    minted = await mint(STORE, FILE, SECRET, "app", "15m")

    assert (before, False) == (STORE.records, minted.key in repr(minted))
