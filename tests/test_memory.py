"""Memory of large answers is kept."""

from __future__ import annotations

import gc
import platform
import weakref

from gateway import memory


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


class _Node:
    itself: _Node


def _cycle() -> _Node:
    node = _Node()
    node.itself = node
    return node
