"""Once a home has failed, callers are told at once instead of waiting for it too; one of them a second tries again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

PAUSE_SECONDS: Final = 1.0
TOLD_SECONDS: Final = 60.0
"""A home that refuses one command of every request would fill the log."""


class Outage:
    """`clock` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._retry_at: float | None = None

    def may_try(self) -> bool:
        """True while nothing has failed; in an outage for one caller after each pause."""
        if self._retry_at is None:
            return True
        now = self._clock()
        if now < self._retry_at:
            return False
        self._retry_at = now + PAUSE_SECONDS
        return True

    def begin(self) -> None:
        self._retry_at = self._clock() + PAUSE_SECONDS

    def end(self) -> None:
        self._retry_at = None


class Refusals:
    """Commands that a home refuses although it is well: the first is told at once, and then the sum once a minute."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._untold = 0
        self._tell_at = float("-inf")

    def add(self) -> int | None:
        """How many to tell of now, if any."""
        self._untold += 1
        now = self._clock()
        if now < self._tell_at:
            return None
        told, self._untold, self._tell_at = self._untold, 0, now + TOLD_SECONDS
        return told
