"""Memory of large answers is kept."""

from __future__ import annotations

import platform

from gateway import memory


def test_large_blocks() -> None:
    """GNU's C library takes the setting; others are not asked."""
    assert (platform.libc_ver()[0] == "glibc") == memory.keep_large_blocks()
