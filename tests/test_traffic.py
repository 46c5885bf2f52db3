"""What went through lately: slots that end, processes that are added up, and a state that may be away."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.record import Record
from gateway.store import Usage
from gateway.store.embedded import EmbeddedStore
from gateway.traffic import SLOT_SECONDS, SLOTS, Slot, Traffic
from tests.fakes.clock import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(1_790_000_000.0)


@pytest.fixture
async def store(tmp_path: pathlib.Path, time: FakeTime) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db", clock=time.clock)
    yield store
    await store.close()


def record(seconds: float = 0.1, usage: Usage | None = None) -> Record:
    return Record("r", lambda: seconds, 0.0, used=usage)


async def test_counts(store: EmbeddedStore, time: FakeTime) -> None:
    """Requests are counted by what came of them, in the slot in which they ended, with what was written down."""
    traffic = Traffic(store, "here", time.clock)
    traffic.count(record(usage=Usage(inputs=3, reported=5, counted=2, cached=4, nanos=9)), 200)
    traffic.count(record(), 429)
    time.now += SLOT_SECONDS
    traffic.count(record(), 503)
    traffic.count(record(), 0)
    slots = await traffic.lately()

    assert len(slots) == SLOTS
    told = [(slot.requests, slot.refused, slot.failed, slot.inputs, slot.tokens) for slot in slots[-2:]]
    assert told == [(2, 1, 0, 3, 7), (2, 0, 2, 0, 0)]
    assert (slots[-2].cached, slots[-2].nanos) == (4, 9)
    time.now += SLOTS * SLOT_SECONDS
    assert sum(slot.requests for slot in await traffic.lately()) == 0


async def test_of_all_processes(store: EmbeddedStore, time: FakeTime) -> None:
    """What another process has told is added; one that ends takes its figures along; nothing new is not told again."""
    pauses = 0
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses > 3:
            waiting.set()
            await go_on.wait()
        await asyncio.sleep(0)

    here, there = Traffic(store, "here", time.clock), Traffic(store, "there", time.clock, sleep)
    here.count(record(), 200)
    there.count(record(0.3), 200)
    running = asyncio.create_task(there.run())
    await waiting.wait()
    both = (await here.lately())[-1]
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running

    assert (both.requests, len(both.latencies)) == (2, 2)
    assert (await here.lately())[-1].requests == 1


@given(st.lists(st.floats(0.0001, 100), min_size=1, max_size=50), st.sampled_from([0.5, 0.95, 1.0]))
def test_quantiles(times: list[float], part: float) -> None:
    """A quantile is right to a fifth."""
    slot = Slot(0)
    for seconds in times:
        traffic = Traffic(None, "", lambda: 0.0)  # type: ignore[arg-type]  # which is not asked
        traffic.count(record(seconds), 200)
        slot.add(traffic._slots[0])
    exact = sorted(times)[max(0, -int(-part * len(times) // 1) - 1)]
    found = slot.quantile(part)

    assert found is not None
    assert exact * 0.999 <= found <= exact * 1.2001


def test_nothing_has_no_quantile() -> None:
    """Without a request there is no time to tell."""
    assert Slot(0).quantile(0.5) is None
