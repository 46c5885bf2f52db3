"""Never more calls at once than there are slots, and nobody waits past a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.routing import Load
from gateway.slots import Slots
from tests.fakes.clock import settle

GUARD = 5.0
"""Seconds after which a test that hangs fails."""


def never() -> float:
    """A deadline that no test reaches."""
    return asyncio.get_running_loop().time() + 3600


def now() -> float:
    return asyncio.get_running_loop().time()


class Call:
    """A task that takes a slot and keeps it until it is told to finish."""

    def __init__(self, slots: Slots, deadline: float) -> None:
        self.got: bool | None = None
        self._done = asyncio.Event()
        self.task = asyncio.create_task(self._run(slots, deadline))

    async def _run(self, slots: Slots, deadline: float) -> None:
        async with slots.slot(deadline) as free:
            self.got = free
            if free:
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
    async with asyncio.timeout(GUARD), slots.slot(now() - late) as free:
        await all_finish(calls)

    assert free is False


async def test_waiting_ends_at_the_deadline() -> None:
    """Waiting ends without a slot when the deadline comes."""
    slots, calls = await occupied(1, 1)
    deadline = now() + 0.01
    async with asyncio.timeout(GUARD), slots.slot(deadline) as free:
        on_time = now() >= deadline
        await all_finish(calls)

    assert (False, True) == (free, on_time)


async def test_without_a_slot_nothing_runs() -> None:
    """Who got no slot counts neither as waiting nor as running."""
    slots, calls = await occupied(1, 1)
    async with slots.slot(now()):
        load = slots.load
    await all_finish(calls)

    assert Load(waiting=0, running=1, slots=1) == load


async def test_without_a_slot_none_is_given_back() -> None:
    """Who got no slot gives none back."""
    slots, calls = await occupied(1, 1)
    async with slots.slot(now()):
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
    async with slots.slot(never()):
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
        async with slots.slot(never()):
            raise ZeroDivisionError

    assert Load(waiting=0, running=0, slots=1) == slots.load


async def test_time_out_inside() -> None:
    """A time-out of the call itself is not taken for one of waiting."""
    slots = Slots(1)
    with pytest.raises(TimeoutError):
        async with slots.slot(never()):
            raise TimeoutError
