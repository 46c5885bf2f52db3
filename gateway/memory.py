"""How this process's memory is managed below Python."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import itertools
from collections.abc import Awaitable, Callable
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
LARGEST_BLOCK: Final = 2**25
"""Bytes; the most that glibc lets be kept."""
KEPT: Final = 2**26
"""Bytes at the heap's end that are not given back to the system."""
YOUNG: Final = 20_000
"""Objects that may be made, and not be freed by then, between two looks for cycles among them; Python's 700 are soon
made by a few requests, which leave none."""
SETTLE_SECONDS: Final = 5.0
COLLECT_ROUNDS: Final = 12
"""Of settling, until cycles are looked for among whatever there is; Python itself looks among the young ones alone, as
long as these are few. A closed connection that was old may hold a large answer."""


def leave_alone() -> None:
    """What has been made to serve stays as long as it serves: no later look for cycles goes through all of it again.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
    give_back()  # what starting took, and serving does not need


def forget_former() -> None:
    """After a change of the configuration: finds what was left alone and serves no more."""
    if gc.get_freeze_count():
        gc.unfreeze()
        leave_alone()


def keep_large_blocks() -> bool:
    """Has the C library keep the memory of large answers for the next ones; false where it cannot be told.

    By default glibc gives a block of 128 kB and more, or a free end of the heap, back to the system at once, and the
    next answer pays for it anew, page by page. Measured with a hundred vectors in an answer (0.8 MB), 16 at a time:
    1.1 ms of processor time a request without this, 0.3 ms with it.

    What a thread frees serves the others too: with an arena of its own, the one that loads cl100k_base would keep 4 MB.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    mallopt = _of_library("mallopt")
    if mallopt is None:
        return False
    wishes = ((_MMAP_THRESHOLD, LARGEST_BLOCK), (_TRIM_THRESHOLD, KEPT), (_ARENA_MAX, 1))
    return all(mallopt(*wish) for wish in wishes)


def give_back() -> None:
    """To the system, whatever the C library keeps and nobody uses, also in the middle of the heap.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html
    """
    malloc_trim = _of_library("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


@functools.cache
def _of_library(name: str) -> Callable[..., int] | None:
    """GNU's C library has it; musl, macOS and Windows have not."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return found


async def settle(
    give_back: Callable[[], None] = give_back,
    collect: Callable[[], object] = gc.collect,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """As long as it runs, gives back every few seconds what large answers have left behind.

    It takes 0.2 ms for each MB, and 0.1 ms where there is nothing. What the next answers take again they pay for, but
    so seldom that it does not show.
    """
    for number in itertools.count(1):
        await sleep(SETTLE_SECONDS)
        if number % COLLECT_ROUNDS == 0:
            collect()  # in this thread, whose connections may be among what is found
        await asyncio.to_thread(give_back)  # which keeps Python's lock from nobody
