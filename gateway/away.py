"""How long a request was away: at its targets or waiting for them, however many of its calls were so side by side.

What remains of its time is what the gateway itself took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Away:
    """Of one request, in seconds on its clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.seconds = 0.0
        self._calls = 0
        self._since = 0.0

    def leave(self) -> None:
        if self._calls == 0:
            self._since = self._clock()
        self._calls += 1

    def back(self) -> None:
        self._calls -= 1
        if self._calls == 0:
            self.seconds += self._clock() - self._since


_mine: ContextVar[Away | None] = ContextVar("away", default=None)


@contextmanager
def counting(away: Away) -> Iterator[None]:
    """Calls that are begun inside count for this one."""
    token = _mine.set(away)
    try:
        yield
    finally:
        _mine.reset(token)


class away:
    """Entered by whatever waits for somebody else."""

    __slots__ = ("_of",)

    def __enter__(self) -> None:
        self._of = _mine.get()
        if self._of is not None:
            self._of.leave()

    def __exit__(self, *raised: object) -> None:
        if self._of is not None:
            self._of.back()
