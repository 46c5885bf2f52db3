"""Work that mostly ends without waiting, and its deadline where it does wait."""

from __future__ import annotations

import asyncio

import pytest

from gateway.in_time import in_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_no_wait() -> None:
    """What does not wait is done, whatever its deadline, and sets no timer."""

    async def work() -> int:
        return 7

    assert 7 == await in_time(work(), now() - 1)


async def test_wait() -> None:
    """What waits, several times, comes to its end in the task that began it."""

    async def work() -> list[asyncio.Task[None] | None]:
        tasks = []
        for _ in range(3):
            tasks.append(asyncio.current_task())
            await asyncio.sleep(0)
        return tasks

    assert [asyncio.current_task()] * 3 == await in_time(work(), now() + 60)


async def test_too_late() -> None:
    """At the deadline the work is cancelled where it waits, and the caller hears of a timeout."""
    seen = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        await in_time(work(), now())

    assert ["cancelled"] == seen


async def test_cancelled() -> None:
    """Who is cancelled cancels the work, which may still wait for its own end."""
    seen = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append("ended")

    task = asyncio.ensure_future(in_time(work(), now() + 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ["ended"] == seen


@pytest.mark.parametrize("waits", [False, True])
async def test_failure(waits: bool) -> None:
    """What the work raises comes out as it is, before a wait and after one."""

    async def work() -> None:
        if waits:
            await asyncio.sleep(0)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await in_time(work(), now() + 60)
