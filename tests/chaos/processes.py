"""What the kernel tells of a process. https://man7.org/linux/man-pages/man5/proc.5.html"""

from __future__ import annotations

import os
import pathlib
import re
import signal


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid: int) -> int:
    """Resident bytes."""
    return _kilobytes(pid, "VmRSS") * 1024


def peak_memory(pid: int) -> int:
    """The most that were ever resident, since `forget_peak`."""
    return _kilobytes(pid, "VmHWM") * 1024


def forget_peak(pid: int) -> None:
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for a signal, which would end it otherwise."""
    caught = int(_status(pid, "SigCgt", "([0-9a-f]+)"), 16)
    return bool(caught & 1 << (number - 1))


def _kilobytes(pid: int, name: str) -> int:
    return int(_status(pid, name, r"(\d+) kB"))


def _status(pid: int, name: str, pattern: str) -> str:
    found = re.search(rf"{name}:\s+{pattern}", pathlib.Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return found[1]
