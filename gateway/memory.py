"""How this process's memory is managed below Python."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
LARGEST_BLOCK: Final = 2**25
"""Bytes; the most that glibc lets be kept."""
KEPT: Final = 2**26
"""Bytes at the heap's end that are not given back to the system."""


YOUNG: Final = 20_000
"""Objects that may be made, and not be freed by then, between two looks for cycles among them; Python's 700 are soon
made by a few requests, which leave none."""


def leave_alone() -> None:
    """What has been made to serve stays as long as it serves: no later look for cycles goes through all of it again.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)
    with suppress(AttributeError, OSError, TypeError):  # musl, macOS and Windows have none
        ctypes.CDLL(None).malloc_trim(0)  # what starting took, and serving does not need


def forget_former() -> None:
    """After a change of the configuration: finds what was left alone and serves no more."""
    if gc.get_freeze_count():
        gc.unfreeze()
        leave_alone()


def keep_large_blocks() -> bool:
    """Has the C library keep the memory of large answers for the next ones; false where it cannot be told.

    By default glibc gives a block of 128 kB and more, or a free end of the heap, back to the system at once, and the
    next answer pays for it anew, page by page. Measured with a hundred vectors in an answer (0.8 MB), 16 at a time:
    1.1 ms of processor time a request without this, 0.3 ms with it, and no more memory in the end.
    https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS and Windows have none
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, KEPT))
