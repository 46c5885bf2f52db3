"""Memory of large answers is kept for the next ones, and given back in the end."""

from __future__ import annotations

import gc
import mmap
import platform
import weakref
from pathlib import Path

import pytest

from gateway import memory
from gateway.memory import COLLECT_ROUNDS, LARGEST_BLOCK


def test_large_blocks() -> None:
    """GNU's C library takes the setting; others are not asked."""
    assert (platform.libc_ver()[0] == "glibc") == memory.keep_large_blocks()


def test_left_alone() -> None:
    """What serves is left out of later looks for cycles, until a change of the configuration has it looked at again."""
    thresholds = gc.get_threshold()
    try:
        memory.leave_alone()
        left_alone = gc.get_freeze_count()
        dropped = weakref.ref(_cycle())  # not yet left alone
        frozen = _cycle()
        gc.freeze()
        former = weakref.ref(frozen)
        del frozen
        gc.collect()
        kept = former() is not None
        memory.forget_former()

        assert (True, True, None, None) == (left_alone > 0, kept, dropped(), former())
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


class Stopped(Exception):
    """Ends what would run for ever."""


async def test_settling() -> None:
    """What can be given back is given back every few seconds, and every minute cycles are looked for before that."""
    slept: list[float] = []
    done: list[tuple[str, int]] = []

    async def sleep(seconds: float) -> None:
        if len(slept) == 2 * COLLECT_ROUNDS:
            raise Stopped
        slept.append(seconds)

    with pytest.raises(Stopped):
        await memory.settle(
            lambda: done.append(("given back", len(slept))), lambda: done.append(("collected", len(slept))), sleep
        )
    expected = []
    for number in range(1, 2 * COLLECT_ROUNDS + 1):
        if number in (COLLECT_ROUNDS, 2 * COLLECT_ROUNDS):
            expected.append(("collected", number))
        expected.append(("given back", number))

    assert (120.0, expected) == (sum(slept), done)


def resident() -> int:
    """Bytes of this process that are in memory, where Linux tells."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only GNU's C library can be told")
def test_given_back() -> None:
    """A freed block is no longer in memory, whatever lies behind it."""
    memory.keep_large_blocks()
    freed, kept = bytearray(b"x") * (LARGEST_BLOCK - 2**20), bytearray(b"x") * 2**20
    before = resident()
    del freed
    memory.give_back()

    assert len(kept) == 2**20
    assert before - resident() > LARGEST_BLOCK // 2


class _Node:
    itself: _Node


def _cycle() -> _Node:
    node = _Node()
    node.itself = node
    return node
