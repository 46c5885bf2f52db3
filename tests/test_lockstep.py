"""Requests that come together take each step together, in groups that come one after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lockstep import ABREAST, ENTRANCE, STEP, come
from tests.fakes.virtual_time import run

STEPS = 3


def start(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """As a server starts a request that has come."""
    task = asyncio.create_task(work)
    come(asyncio.get_running_loop())
    return task


async def walk(number: int, seen: list[tuple[int, int]]) -> None:
    """All steps, each of which is seen."""
    await ENTRANCE
    for step in range(STEPS):
        seen.append((number, step))
        if step < STEPS - 1:
            await STEP


async def walk_all(count: int) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    await asyncio.gather(*[start(walk(number, seen)) for number in range(count)])
    return seen


def group(numbers: Iterable[int]) -> list[tuple[int, int]]:
    numbers = list(numbers)
    return [(number, step) for step in range(STEPS) for number in numbers]


@pytest.mark.parametrize("count", [1, 2, ABREAST])
def test_together(count: int) -> None:
    """All that have come take a step before one of them takes the next, in the order in which they came."""

    assert group(range(count)) == run(walk_all(count))


def test_groups() -> None:
    """More than a group: the next goes only when the one before it has gone all the way, and none is left over."""
    expected = [*group(range(ABREAST)), *group(range(ABREAST, 2 * ABREAST)), *group([2 * ABREAST])]

    assert expected == run(walk_all(2 * ABREAST + 1))


def test_alone() -> None:
    """Who comes alone goes all the way in one turn of the event loop; so does the next one, a turn later."""
    seen: list[tuple[int, int]] = []

    async def one_after_the_other() -> None:
        for number in range(3):
            task = start(walk(number, seen))
            await asyncio.sleep(0)
            assert task.done()

    run(one_after_the_other())

    assert [*group([0]), *group([1]), *group([2])] == seen


def test_waits_for_nobody_outside() -> None:
    """Who waits for something else meanwhile holds up nobody."""
    done: list[str] = []

    async def slow() -> None:
        await ENTRANCE
        await asyncio.sleep(60)
        done.append("slow")
        await STEP

    async def both() -> None:
        waiting = [start(slow()) for _ in range(2 * ABREAST)]
        await walk_all(3 * ABREAST)
        done.append("others")
        await asyncio.gather(*waiting)

    run(both())

    assert "others" == done[0]


@given(seed=st.integers(0, 2**32), count=st.integers(1, 4 * ABREAST))
def test_cancelled(seed: int, count: int) -> None:
    """Whoever is cancelled, and wherever it is then, all others come through, and so does who comes later."""
    chance = random.Random(seed)  # noqa: S311 (nothing is kept secret)
    came: list[int] = []

    async def request(number: int) -> None:
        await ENTRANCE
        for _ in range(STEPS):
            await STEP
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random())
                come(asyncio.get_running_loop())
                await ENTRANCE
        came.append(number)

    async def crowd() -> tuple[set[int], list[tuple[int, int]]]:
        tasks = [start(request(number)) for number in range(count)]
        cancelled = set()
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
            number = chance.randrange(count)
            if tasks[number].cancel():
                cancelled.add(number)
        await asyncio.gather(*tasks, return_exceptions=True)
        return cancelled, await walk_all(ABREAST + 1)

    cancelled, later = run(crowd())

    assert set(range(count)) == set(came) | cancelled
    assert [*group(range(ABREAST)), *group([ABREAST])] == later


def test_loop_that_ended_early() -> None:
    """What an event loop leaves behind that never came to its end, another one knows nothing of."""
    loop = asyncio.new_event_loop()

    async def begun() -> list[asyncio.Task[Any]]:
        tasks = [start(walk(number, [])) for number in range(3 * ABREAST)]
        await asyncio.sleep(0)
        return tasks

    tasks = loop.run_until_complete(begun())

    assert group(range(2)) == run(walk_all(2))

    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()


def test_exception() -> None:
    """A step that fails takes nobody along."""

    async def fails() -> None:
        await ENTRANCE
        await STEP
        raise ValueError("its own")

    async def both() -> list[tuple[int, int]]:
        failed = [start(fails()) for _ in range(3)]
        seen = await walk_all(4)
        outcomes = await asyncio.gather(*failed, return_exceptions=True)
        assert all(isinstance(outcome, ValueError) for outcome in outcomes)
        return seen

    assert group(range(4)) == run(both())
