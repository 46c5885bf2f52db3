"""How long a request was away: at its targets or waiting for them, however many of its calls were so side by side.

What remains of its time is what the gateway itself took.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar


class Away:
    """Of one request, in seconds on its clock."""

    seconds_away = 0.0
    waited = 0.0
    """Of several calls that waited for their turn the longest is told."""
    _calls = 0
    _since = 0.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def leave(self) -> None:
        if self._calls == 0:
            self._since = self.clock()
        self._calls += 1

    def back(self) -> None:
        self._calls -= 1
        if self._calls == 0:
            self.seconds_away += self.clock() - self._since


_mine: ContextVar[Away | None] = ContextVar("away", default=None)
mine = _mine.get
"""The request that a call is begun for, if it is for one."""


class counting:
    """Calls that are begun inside count for this request."""

    __slots__ = ("_away", "_token")

    def __init__(self, away: Away) -> None:
        self._away = away

    def __enter__(self) -> None:
        self._token = _mine.set(self._away)

    def __exit__(self, *raised: object) -> None:
        _mine.reset(self._token)


class away:
    """Entered by whatever waits for somebody else."""

    __slots__ = ("_of",)

    def __enter__(self) -> None:
        self._of = mine()
        if self._of is not None:
            self._of.leave()

    def __exit__(self, *raised: object) -> None:
        if self._of is not None:
            self._of.back()


def waited(seconds: float) -> None:
    """Told by whatever lets calls wait for their turn."""
    request = mine()
    if request is not None:
        request.waited = max(seconds, request.waited)
