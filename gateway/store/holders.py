"""What one limit holds in this process's memory: a bucket that refills, or leases that end. It has no clock.

`take` either takes all of an amount or nothing; what was taken last can be put back as it was, to the last digit.
Times are seconds since the epoch.
"""

from __future__ import annotations

import math
from typing import Protocol

from gateway.gates import MINUTE, TOLERANCE, Gate


class Holder(Protocol):
    def take(self, gate: Gate, amount: int, reservation: str, now: float, end: float) -> float | None:
        """What is left then; None, with nothing taken, where the amount does not fit."""

    def untake(self, reservation: str) -> None: ...

    def left(self, gate: Gate, now: float) -> float: ...

    def fits(self, left: float, amount: int) -> bool: ...

    def settle(self, gate: Gate, amount: int, spent: int, reservation: str, now: float) -> None: ...

    def is_idle(self, now: float) -> bool:
        """Whether it holds nothing worth keeping."""


class Bucket:
    __slots__ = ("_at", "_before", "_level")

    def __init__(self, limit: int, now: float) -> None:
        self._level: float = limit
        self._before: float = limit
        self._at = now

    def take(self, gate: Gate, amount: int, reservation: str, now: float, end: float) -> float | None:
        level, limit = self._level, gate.limit
        if now > self._at:  # a clock that was set back refills nothing
            level += (now - self._at) * limit / MINUTE
        if level > limit:
            level = limit
        self._at, self._before = now, level
        if level + TOLERANCE < amount:
            self._level = level
            return None
        self._level = left = level - amount
        return left

    def untake(self, reservation: str) -> None:
        self._level = self._before

    def left(self, gate: Gate, now: float) -> float:
        level = self.take(gate, 0, "", now, now)
        return self._level if level is None else level

    def fits(self, left: float, amount: int) -> bool:
        return left + TOLERANCE >= amount

    def settle(self, gate: Gate, amount: int, spent: int, reservation: str, now: float) -> None:
        self._level = max(-gate.limit, min(gate.limit, self.left(gate, now) + amount - spent))

    def is_idle(self, now: float) -> bool:
        """Untouched for two minutes it is full again, whatever it owed: no debt is larger than its limit."""
        return now - self._at >= 2 * MINUTE


class Leases:
    """What is reserved: reservation → amount and when it ends by itself. `spent` and `unsaved` are a budget's."""

    __slots__ = ("_first_end", "_held", "_sum", "budget", "ends", "spent", "unsaved")

    def __init__(self, budget: bool, ends: float | None = None) -> None:
        self.budget = budget
        self.ends = ends
        self.spent = 0
        self.unsaved = 0
        """The part of `spent` that no lasting home has been told."""
        self._held: dict[str, tuple[int, float]] = {}
        self._sum = 0
        """Of what is held."""
        self._first_end = math.inf
        """No lease ends before, so that until then there is none to look for."""

    def take(self, gate: Gate, amount: int, reservation: str, now: float, end: float) -> float | None:
        left = self.left(gate, now)
        if left < amount or (left <= 0 and self.budget):
            return None
        self._held[reservation] = (amount, end)
        self._sum += amount
        if end < self._first_end:
            self._first_end = end
        return left - amount

    def untake(self, reservation: str) -> None:
        self._sum -= self._held.pop(reservation)[0]

    def left(self, gate: Gate, now: float) -> float:
        if now >= self._first_end:
            self._look_for_ends(now)  # first: what has ended is spent
        return gate.limit - self.spent - self._sum

    def fits(self, left: float, amount: int) -> bool:
        return left >= amount and (left > 0 or not self.budget)

    def settle(self, gate: Gate, amount: int, spent: int, reservation: str, now: float) -> None:
        """Once: a lease that is gone, or has ended and so left its estimate spent, takes nothing more."""
        lease = self._held.get(reservation)
        if lease is not None:
            self._end(reservation, spent if lease[1] > now else lease[0])

    def spend(self, amount: int) -> None:
        self.spent += amount
        self.unsaved += amount

    def is_idle(self, now: float) -> bool:
        """What was spent of a period that has ended matters to nobody, told to a lasting home or not."""
        if now >= self._first_end:
            self._look_for_ends(now)
        return not self._held and (not self.spent or (self.ends is not None and self.ends <= now))

    def _look_for_ends(self, now: float) -> None:
        for reservation, amount in [(name, amount) for name, (amount, end) in self._held.items() if end <= now]:
            self._end(reservation, amount)
        self._first_end = min((end for _, end in self._held.values()), default=math.inf)

    def _end(self, reservation: str, spent: int) -> None:
        self._sum -= self._held.pop(reservation)[0]
        if self.budget:
            self.spend(spent)
