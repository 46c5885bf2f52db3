"""How this process's memory is managed below Python."""

from __future__ import annotations

import ctypes
from typing import Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
LARGEST_BLOCK: Final = 2**25
"""Bytes; the most that glibc lets be kept."""
KEPT: Final = 2**26
"""Bytes at the heap's end that are not given back to the system."""


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
