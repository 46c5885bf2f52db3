"""How long a request was away: at its targets or waiting for them, however many of its calls were so side by side.

What remains of its time is what the gateway itself took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Away:
    """Of one request. Its clock is `time.perf_counter`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._calls = 0
        self._since = 0.0

    def leave(self) -> None:
        if self._calls == 0:
            self._since = time.perf_counter()
        self._calls += 1

    def back(self) -> None:
        self._calls -= 1
        if self._calls == 0:
            self.seconds += time.perf_counter() - self._since


_mine: ContextVar[Away | None] = ContextVar("away", default=None)


@contextmanager
def counting(away: Away) -> Iterator[None]:
    """Calls that are begun inside count for this one."""
    token = _mine.set(away)
    try:
        yield
    finally:
        _mine.reset(token)


@contextmanager
def away() -> Iterator[None]:
    """Told by whatever waits for somebody else."""
    mine = _mine.get()
    if mine is None:
        yield
        return
    mine.leave()
    try:
        yield
    finally:
        mine.back()
