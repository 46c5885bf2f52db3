"""Sessions: who shares their key, and when they end."""

from __future__ import annotations

import pathlib
from collections.abc import AsyncIterator

import pytest

from gateway.console.sessions import IDLE_SECONDS, LONGEST_SECONDS, RENEW_SECONDS, Sessions
from gateway.store.embedded import EmbeddedStore
from tests.fakes.clock import FakeTime

KEY = "correct-horse-battery-staple"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(1_790_000_000.0)


@pytest.fixture
async def store(tmp_path: pathlib.Path, time: FakeTime) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db", clock=time.clock)
    yield store
    await store.close()


@pytest.mark.parametrize(
    ("secret", "key", "known"),
    [(None, KEY, True), (b"s" * 32, KEY, False), (None, f"{KEY}2", False)],
    ids=["another process", "another signing key", "another admin key"],
)
async def test_who_knows_it(store: EmbeddedStore, time: FakeTime, secret: bytes | None, key: str, known: bool) -> None:
    """Processes that share a state know each other's sessions; another signing key or admin key ends them."""
    here, there = Sessions(store, None, KEY, time.clock), Sessions(store, secret, key, time.clock)
    cookie = await here.written(await here.begin("me"))
    found = await there.find(cookie)

    assert (None if found is None else found.who) == ("me" if known else None)


async def test_idle(store: EmbeddedStore, time: FakeTime) -> None:
    """A session that nobody uses ends after a while."""
    sessions = Sessions(store, None, KEY, time.clock)
    cookie = await sessions.written(await sessions.begin("me"))
    time.now += IDLE_SECONDS - 1
    before = await sessions.find(cookie)
    time.now += 1

    assert before is not None
    assert await sessions.find(cookie) is None


async def test_longest(store: EmbeddedStore, time: FakeTime) -> None:
    """One that is used ends all the same."""
    sessions = Sessions(store, None, KEY, time.clock)
    cookie = await sessions.written(await sessions.begin("me"))
    lasted = 0.0
    while (session := await sessions.find(cookie)) is not None:
        cookie = await sessions.written(session)
        time.now += IDLE_SECONDS / 2
        lasted += IDLE_SECONDS / 2

    assert lasted == LONGEST_SECONDS


async def test_renewal(store: EmbeddedStore, time: FakeTime) -> None:
    """A cookie is renewed when it is a minute old, not at every page."""
    sessions = Sessions(store, None, KEY, time.clock)
    session = await sessions.begin("me")
    fresh = sessions.is_stale(session)
    time.now += RENEW_SECONDS + 1

    assert (fresh, sessions.is_stale(session)) == (False, True)


async def test_ended(store: EmbeddedStore, time: FakeTime) -> None:
    """A session that is logged out is over in every process, with every cookie that it ever had."""
    here, there = (Sessions(store, None, KEY, time.clock) for _ in range(2))
    session = await here.begin("me")
    cookies = [await here.written(session)]
    time.now += 100
    cookies.append(await here.written(session))
    await here.end(session)

    assert [await there.find(cookie) for cookie in cookies] == [None, None]
