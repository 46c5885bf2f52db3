"""Limits in this process's memory: the embedded home's, and what counts while a shared home cannot be reached."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from gateway import gates as rules
from gateway.gates import MINUTE, TOLERANCE, Gate, Standing

SWEEP: Final = 10_000
"""Gates; beyond them, or twice what the last time left, those that hold nothing worth keeping are forgotten."""


class _Bucket:
    __slots__ = ("at", "level")

    def __init__(self, limit: int, now: float) -> None:
        self.level: float = limit
        self.at = now

    def take(self, gate: Gate, amount: int, reservation: str, now: float, end: float) -> tuple[float, bool]:
        """What was left, and whether the amount fitted, and so was taken."""
        level, limit = self.level, gate.limit
        if now > self.at:  # a clock that was set back refills nothing
            level += (now - self.at) * limit / MINUTE
        if level > limit:
            level = limit
        self.at = now
        fits = level + TOLERANCE >= amount
        self.level = level - amount if fits else level
        return level, fits

    def untake(self, reservation: str, left: float) -> None:
        """Another gate refuses: what was left before is so again, to the last digit."""
        self.level = left

    def settle(self, gate: Gate, amount: int, spent: int, reservation: str, now: float) -> None:
        level, _ = self.take(gate, 0, reservation, now, now)
        self.level = max(-gate.limit, min(gate.limit, level + amount - spent))

    def is_idle(self, now: float) -> bool:
        """Untouched for two minutes it is full again, whatever it owed: no debt is larger than its limit."""
        return now - self.at >= 2 * MINUTE


class _Leases:
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

    def live(self, now: float) -> int:
        """What is held by leases that have not ended."""
        if now >= self._first_end:
            for reservation in [name for name, (_, end) in self._held.items() if end <= now]:
                self._end(reservation, None)
            self._first_end = min((end for _, end in self._held.values()), default=math.inf)
        return self._sum

    def take(self, gate: Gate, amount: int, reservation: str, now: float, end: float) -> tuple[float, bool]:
        """As a bucket's."""
        held = self.live(now)  # first: what has ended is spent
        left = gate.limit - self.spent - held
        fits = left >= amount and (left > 0 or not self.budget)
        if fits:
            self._held[reservation] = (amount, end)
            self._sum = held + amount
            if end < self._first_end:
                self._first_end = end
        return left, fits

    def untake(self, reservation: str, left: float) -> None:
        self._sum -= self._held.pop(reservation)[0]

    def settle(self, gate: Gate, amount: int, spent: int, reservation: str, now: float) -> None:
        """Once: a lease that is gone, or has ended and so left its estimate spent, takes nothing more."""
        lease = self._held.get(reservation)
        if lease is not None:
            self._end(reservation, spent if lease[1] > now else None)

    def spend(self, amount: int) -> None:
        self.spent += amount
        self.unsaved += amount

    def is_idle(self, now: float) -> bool:
        """What was spent of a period that has ended matters to nobody, told to a lasting home or not."""
        return not self.live(now) and (not self.spent or (self.ends is not None and self.ends <= now))

    def _end(self, reservation: str, spent: int | None) -> None:
        amount, _ = self._held.pop(reservation)
        self._sum -= amount
        if self.budget:
            self.spend(amount if spent is None else spent)


class MemoryLimits:
    """A `LimitStore` without I/O. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, _Bucket | _Leases] = {}
        self._sweep_at = SWEEP

    @property
    def at_once(self) -> Self | None:
        return self

    async def reserve(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]:
        return self.take(reservation, gates, amounts, lease)

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        self.give_back(reservation, gates, amounts, spent)

    def take(self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float) -> Sequence[Standing]:
        """What `reserve` does."""
        now, kept = self._clock(), self._kept
        end, lefts, standings, refused = now + lease, [], [], False
        for gate, amount in zip(gates, amounts, strict=True):
            holder = kept.get(gate.id) or self._made(gate, now)
            left, fits = holder.take(gate, amount, reservation, now, end)
            lefts.append(left)
            if fits:
                standings.append(Standing(left - amount))
            else:
                standings.append(Standing(left, rules.wait(gate, amount, left, now)))
                refused = refused or not gate.shadow
        if refused:
            return self._untaken(reservation, gates, lefts, standings)
        if len(kept) > self._sweep_at:
            self._sweep(now)
        return standings

    def give_back(self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]) -> None:
        """What `settle` does."""
        now = self._clock()
        for gate, amount, used in zip(gates, amounts, spent, strict=True):
            holder = self._kept.get(gate.id) or self._made(gate, now)
            holder.settle(gate, amount, used, reservation, now)

    def unsaved(self) -> dict[str, tuple[int, float | None]]:
        """What has been spent of each budget since the last call, and when its period ends."""
        changed = {
            name: (kept.unsaved, kept.ends)
            for name, kept in self._kept.items()
            if isinstance(kept, _Leases) and kept.unsaved
        }
        for name, (_, ends) in changed.items():
            self._budget(name, ends).unsaved = 0
        return changed

    def keep_unsaved(self, changed: Mapping[str, tuple[int, float | None]]) -> None:
        """Takes back what `unsaved` told, because no lasting home took it."""
        for name, (amount, ends) in changed.items():
            self._budget(name, ends).unsaved += amount

    def restore(self, budget: str, spent: int, ends: float | None) -> None:
        """What a lasting home knows to be spent, other processes' part included."""
        leases = self._budget(budget, ends)
        leases.spent = spent + leases.unsaved

    def _untaken(
        self, reservation: str, gates: Sequence[Gate], lefts: Sequence[float], standings: Sequence[Standing]
    ) -> list[Standing]:
        """One gate refuses, so that the others have given nothing."""
        for gate, left, standing in zip(gates, lefts, standings, strict=True):
            if standing.wait is None:
                self._kept[gate.id].untake(reservation, left)
        return [Standing(left, standing.wait) for left, standing in zip(lefts, standings, strict=True)]

    def _made(self, gate: Gate, now: float) -> _Bucket | _Leases:
        made = _Bucket(gate.limit, now) if gate.refills else _Leases(gate.kind != "concurrent", gate.ends)
        self._kept[gate.id] = made
        return made

    def _budget(self, name: str, ends: float | None) -> _Leases:
        kept = self._kept.get(name)
        if not isinstance(kept, _Leases):
            kept = self._kept[name] = _Leases(budget=True, ends=ends)
        return kept

    def _sweep(self, now: float) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if not kept.is_idle(now)}
        self._sweep_at = max(SWEEP, 2 * len(self._kept))
