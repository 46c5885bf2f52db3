"""Never more calls at once than there are slots; nobody waits past a deadline, nor in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway import slots as slots_room
from gateway.allowances import Priority
from gateway.away import Away, counting
from gateway.routing import Load
from gateway.slots import Slots
from providers.base import Fault, FaultKind
from tests.fakes.clock import settle
from tests.fakes.slots import slot

NONE = Fault(FaultKind.NO_SLOT, "no slot becomes free in time")
GUARD = 60.0
"""Seconds after which a test that hangs fails."""


def never() -> float:
    """A deadline that no test reaches."""
    return asyncio.get_running_loop().time() + 3600


def now() -> float:
    return asyncio.get_running_loop().time()


class Call:
    """A task that takes a slot and keeps it until it is told to finish."""

    def __init__(self, slots: Slots, deadline: float, lane: Priority = "interactive") -> None:
        self.got: bool | None = None
        self.refusal: Fault | None = None
        self._done = asyncio.Event()
        self.task = asyncio.create_task(self._run(slots, deadline, lane))

    async def _run(self, slots: Slots, deadline: float, lane: Priority) -> None:
        async with slot(slots, deadline, lane) as self.refusal:
            self.got = self.refusal is None
            if self.got:
                await self._done.wait()

    async def finish(self) -> None:
        self._done.set()
        await self.task

    async def cancel(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


async def occupied(limit: int, calls: int) -> tuple[Slots, list[Call]]:
    slots = Slots(limit)
    running = [Call(slots, never()) for _ in range(calls)]
    await settle()
    return slots, running


async def all_finish(calls: list[Call]) -> None:
    async with asyncio.timeout(GUARD):
        for call in calls:
            await call.finish()


async def test_idle() -> None:
    """Slots that nobody has taken are all free."""
    assert Load(waiting=0, running=0, slots=3) == Slots(3).load


@pytest.mark.parametrize(("calls", "running", "waiting"), [(1, 1, 0), (3, 3, 0), (4, 3, 1), (9, 3, 6)])
async def test_never_more_than_the_limit(calls: int, running: int, waiting: int) -> None:
    """As many calls run as there are slots, and the others wait."""
    slots, taken = await occupied(3, calls)
    load = slots.load
    await all_finish(taken)

    assert Load(waiting, running, 3) == load


async def test_everyone_gets_a_slot() -> None:
    """Everyone who waits gets a slot in the end."""
    _, calls = await occupied(2, 7)
    await all_finish(calls)

    assert [True] * 7 == [call.got for call in calls]


async def test_all_free_again() -> None:
    """When all calls have finished, all slots are free."""
    slots, calls = await occupied(2, 7)
    await all_finish(calls)

    assert Load(waiting=0, running=0, slots=2) == slots.load


async def test_first_come_first_served() -> None:
    """A slot goes to the one who has waited longest."""
    _, (first, second, third) = await occupied(1, 3)
    await first.finish()
    await settle()
    got = (second.got, third.got)
    await all_finish([second, third])

    assert (True, None) == got


@pytest.mark.parametrize("late", [0.0, 60.0])
async def test_no_waiting_past_the_deadline(late: float) -> None:
    """When no slot is free and the deadline is over, there is none."""
    slots, calls = await occupied(1, 1)
    async with asyncio.timeout(GUARD), slot(slots, now() - late) as refusal:
        await all_finish(calls)

    assert refusal is not None
    assert (NONE.kind, NONE.message) == (refusal.kind, refusal.message)


async def test_waiting_ends_at_the_deadline() -> None:
    """Waiting ends without a slot when the deadline comes."""
    slots, calls = await occupied(1, 1)
    deadline = now() + 0.01
    async with asyncio.timeout(GUARD), slot(slots, deadline) as refusal:
        on_time = now() >= deadline
        await all_finish(calls)

    assert (False, True) == (refusal is None, on_time)


async def test_without_a_slot_nothing_runs() -> None:
    """Who got no slot counts neither as waiting nor as running."""
    slots, calls = await occupied(1, 1)
    async with slot(slots, now()):
        load = slots.load
    await all_finish(calls)

    assert Load(waiting=0, running=1, slots=1) == load


async def test_without_a_slot_none_is_given_back() -> None:
    """Who got no slot gives none back."""
    slots, calls = await occupied(1, 1)
    async with slot(slots, now()):
        pass
    late = Call(slots, never())
    await settle()
    got = late.got
    await all_finish([*calls, late])

    assert got is None


async def cancel_waiting(calls: list[Call]) -> None:
    await calls[-1].cancel()


async def cancel_running(calls: list[Call]) -> None:
    await calls[0].cancel()


@pytest.mark.parametrize("cancel", [cancel_waiting, cancel_running])
async def test_cancelled(cancel: Callable[[list[Call]], Awaitable[None]]) -> None:
    """After a call was cancelled, waiting or running, the counts are right."""
    slots, calls = await occupied(1, 3)
    await cancel(calls)
    await settle()
    load = slots.load
    await all_finish([call for call in calls if not call.task.done()])

    assert Load(waiting=1, running=1, slots=1) == load


async def test_cancelled_as_its_slot_comes() -> None:
    """A slot that comes to a call in the moment of its cancellation goes to the next."""
    slots = Slots(1)
    async with slot(slots, never()):
        second, third = Call(slots, never()), Call(slots, never())
        await settle()
    await second.cancel()  # nothing else has run since the slot was given back
    await settle()
    got = (second.got, third.got)
    await all_finish([third])

    assert (None, True) == got


async def test_a_call_that_fails() -> None:
    """A call that raises gives its slot back."""
    slots = Slots(1)
    with pytest.raises(ZeroDivisionError):
        async with slot(slots, never()):
            raise ZeroDivisionError

    assert Load(waiting=0, running=0, slots=1) == slots.load


async def test_time_out_inside() -> None:
    """A time-out of the call itself is not taken for one of waiting."""
    slots = Slots(1)
    with pytest.raises(TimeoutError):
        async with slot(slots, never()):
            raise TimeoutError


# ── two lanes ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_interactive_goes_first() -> None:
    """Of those that wait, an interactive call goes before bulk calls that came earlier."""
    slots, (first,) = await occupied(1, 1)
    bulk = Call(slots, never(), "bulk")
    await settle()
    interactive = Call(slots, never())
    await settle()
    load = slots.load
    await first.finish()
    await settle()
    got = (interactive.got, bulk.got)
    await all_finish([interactive, bulk])

    assert (Load(2, 1, 1, waiting_bulk=1), (True, None)) == (load, got)


async def test_kept_for_interactive() -> None:
    """However much bulk there is, an interactive call finds a slot."""
    slots = Slots(5)
    bulk = [Call(slots, never(), "bulk") for _ in range(9)]
    await settle()
    before = slots.load
    interactive = Call(slots, never())
    await settle()
    got = interactive.got
    await all_finish([interactive, *bulk])

    assert (Load(5, 4, 5, waiting_bulk=5), True) == (before, got)


# ── refused at once ───────────────────────────────────────────────────────────────────────────────────────────────


class Halt:
    """Time that stands still, so that no estimate depends on the machine, but for what `elapsed` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.elapsed = 0.0
        loop, begun = asyncio.get_running_loop(), now()
        monkeypatch.setattr(loop, "time", lambda: begun + self.elapsed)


async def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Slots:
    """One slot, whose last call took so long, and which is taken."""
    slots = Slots(1)
    halt = Halt(monkeypatch)
    async with slot(slots, never()):
        halt.elapsed = seconds
    return slots


@pytest.mark.parametrize(("seconds", "answered"), [(15.0, False), (25.0, True)])
async def test_in_vain(monkeypatch: pytest.MonkeyPatch, seconds: float, answered: bool) -> None:
    """Who would get no answer in time, by what calls took of late, is refused at once and told how long to wait."""
    slots = await slow(monkeypatch, 10.0)
    running = Call(slots, never())
    await settle()
    asked = Call(slots, now() + seconds)
    await settle()
    got, refusal = asked.got, asked.refusal
    await all_finish([running, asked])

    assert (None if answered else False) == got
    if not answered:
        assert refusal is not None
        assert NONE.message == refusal.message
        assert pytest.approx(10.0, abs=0.1) == refusal.retry_after


async def test_each_ahead_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The more wait already, the longer the wait."""
    slots = await slow(monkeypatch, 10.0)
    calls = [Call(slots, never()) for _ in range(4)]
    await settle()
    asked = Call(slots, now() + 45.0)
    await settle()
    got = asked.got
    await all_finish(calls)

    assert got is False


async def test_no_free_slot_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow calls were, a free slot is given, so that the pace is measured anew."""
    slots = await slow(monkeypatch, 1000.0)
    async with slot(slots, now() + 0.5) as refusal:
        pass

    assert refusal is None


async def test_a_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that do not come back tell the pace before they end."""
    halt = Halt(monkeypatch)
    slots, calls = await occupied(2, 2)
    halt.elapsed = 60.0
    async with slot(slots, now() + 30) as refusal:
        pass
    await all_finish(calls)

    assert refusal is not None
    assert NONE.message == refusal.message
    assert pytest.approx(30.0, abs=0.1) == refusal.retry_after


async def test_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that is full refuses at once, and the other one does not."""
    monkeypatch.setattr(slots_room, "MOST_WAITING", 2)
    slots, calls = await occupied(1, 3)
    full = Call(slots, never())
    other = Call(slots, never(), "bulk")
    await settle()
    got = (full.got, other.got)
    await all_finish([*calls, other])

    assert ((False, None), "too many calls wait for a slot already") == (got, full.refusal and full.refusal.message)


async def test_waiting_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks is told how long each call has waited; one that found a slot has not."""
    mine, halt = Away(lambda: 0.0), Halt(monkeypatch)
    with counting(mine):
        _, (first, second) = await occupied(1, 2)
        halt.elapsed = 7.0
        await all_finish([first, second])

    assert pytest.approx(7.0, abs=0.1) == mine.waited
