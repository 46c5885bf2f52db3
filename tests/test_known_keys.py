"""Finding the record of a key: where it is looked for, and for how long it is believed."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from gateway import known_keys
from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.known_keys import BELIEVE_SECONDS, REMEMBER_SECONDS, KnownKeys, Shelf
from tests.fakes.clock import FakeTime
from tests.fakes.key_store import FakeKeyStore


def record(name: str = "app", place: str = "state", **fields: float) -> KeyRecord:
    return KeyRecord(f"{place}:{name}", name, f"hash of {name}", **fields)  # type: ignore[arg-type]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def store() -> FakeKeyStore:
    return FakeKeyStore(record())


@pytest.fixture(params=["by_hash", "by_id"])
def shelf(request: pytest.FixtureRequest, store: FakeKeyStore, time: FakeTime) -> Shelf:
    found: Shelf = getattr(KnownKeys([], store, time.clock), request.param)
    return found


async def found(shelf: Shelf, name: str = "app") -> str | None:
    """By its hash as well as by its id: one of them is known to the shelf."""
    by_either = [await shelf.find(f"hash of {name}"), await shelf.find(f"state:{name}")]
    return next((one.name for one in by_either if one is not None), None)


async def test_of_the_store(shelf: Shelf) -> None:
    """A key of the store is found."""
    assert "app" == await found(shelf)


async def test_of_the_file(store: FakeKeyStore, time: FakeTime) -> None:
    """A key of the routing file is found without a look into the store."""
    keys = KnownKeys([record(place="file")], store, time.clock)
    names = [await keys.by_hash.find("hash of app"), await keys.by_id.find("file:app")]

    assert (["file:app"] * 2, []) == ([one.id for one in names if one], store.asked)


@pytest.mark.parametrize(
    ("later", "looks"), [(0.0, 1), (REMEMBER_SECONDS - 0.01, 1), (REMEMBER_SECONDS, 2), (5_000.0, 2), (-0.1, 2)]
)
async def test_remembered(store: FakeKeyStore, time: FakeTime, later: float, looks: int) -> None:
    """A record is remembered for two seconds, and not when the clock was set back."""
    shelf = KnownKeys([], store, time.clock).by_hash
    await shelf.find("hash of app")
    time.now += later
    await shelf.find("hash of app")

    assert ["hash of app"] * looks == store.asked


async def test_revocation_is_seen(shelf: Shelf, store: FakeKeyStore, time: FakeTime) -> None:
    """A revocation is seen as soon as the record is looked up again."""
    await found(shelf)
    await store.revoke_key("state:app", 0.0)
    time.now += REMEMBER_SECONDS
    by_either = [await shelf.find("hash of app"), await shelf.find("state:app")]

    assert [0.0] == [one.revoked for one in by_either if one is not None]


async def test_removal_is_seen(shelf: Shelf, store: FakeKeyStore, time: FakeTime) -> None:
    """A record that is gone from the store is forgotten."""
    await found(shelf)
    store.records.clear()
    time.now += REMEMBER_SECONDS

    assert (None, False) == (await found(shelf), shelf.knows("hash of app") or shelf.knows("state:app"))


async def test_unknown_keys_are_not_remembered(shelf: Shelf, store: FakeKeyStore) -> None:
    """A key that was unknown is found from the moment that it is made."""
    before = await found(shelf, "new")
    await store.add_key(record("new"))

    assert (None, "new") == (before, await found(shelf, "new"))


async def test_memory_is_bounded(store: FakeKeyStore, time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more keys than can be remembered the oldest is forgotten, and guesses push none out."""
    monkeypatch.setattr(known_keys, "REMEMBERED", 2)
    for name in "abc":
        await store.add_key(record(name))
    shelf = KnownKeys([], store, time.clock).by_hash
    for name in ("a", "b", "c", "guess", "guess too", "b", "c", "a"):
        await shelf.find(f"hash of {name}")

    assert ["a", "b", "c", "guess", "guess too", "a"] == [name.removeprefix("hash of ") for name in store.asked]


async def test_known(shelf: Shelf, time: FakeTime) -> None:
    """What was found once is known, however long ago; a guess is not."""
    before = shelf.knows("hash of app") or shelf.knows("state:app")
    await found(shelf)
    await found(shelf, "guess")
    time.now += 1_000_000.0
    after = shelf.knows("hash of app") or shelf.knows("state:app")

    assert (False, True, False) == (before, after, shelf.knows("hash of guess") or shelf.knows("state:guess"))


async def test_lost_state(shelf: Shelf, store: FakeKeyStore, time: FakeTime) -> None:
    """While the state is lost, records that were found before count, and of others nothing is known."""
    await found(shelf)
    store.is_lost = True
    time.now += 1000.0
    name = "hash of app" if shelf.knows("hash of app") else "state:app"
    known = await shelf.find(name)

    assert "app" == (known.name if known else None)
    with pytest.raises(StateUnavailable):
        await shelf.find("hash of another")


@pytest.mark.parametrize(("later", "known"), [(BELIEVE_SECONDS - 1, True), (BELIEVE_SECONDS, False)])
async def test_lost_for_long(store: FakeKeyStore, time: FakeTime, later: float, known: bool) -> None:
    """A state that is lost lets nobody in for ever."""
    shelf = KnownKeys([], store, time.clock).by_hash
    await shelf.find("hash of app")
    store.is_lost = True
    time.now += later

    with nullcontext() if known else pytest.raises(StateUnavailable):
        assert await shelf.find("hash of app") is not None


async def test_lost_state_denies(store: FakeKeyStore, time: FakeTime) -> None:
    """With `on_state_loss: deny` nobody is known while the state is lost."""
    shelf = KnownKeys([], store, time.clock, "deny").by_hash
    await shelf.find("hash of app")
    store.is_lost = True
    time.now += REMEMBER_SECONDS

    with pytest.raises(StateUnavailable):
        await shelf.find("hash of app")


@pytest.mark.parametrize(("team", "usable"), [(None, True), ("search", True), ("gone", False)])
def test_team_that_is_gone(store: FakeKeyStore, time: FakeTime, team: str | None, usable: bool) -> None:
    """A key of a team that the routing file does not have is no key: it would slip from the team's limits."""
    keys = KnownKeys([], store, time.clock, teams=["search"])

    assert usable == keys.usable(KeyRecord("key_1", "app", "hash", team=team))
