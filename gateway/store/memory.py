"""Limits in this process's memory: the embedded home's, and what counts while a shared home cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.gates import MINUTE, TOLERANCE, Gate, Standing, standing

SWEEP: Final = 10_000
"""Gates; beyond them, or twice what the last time left, those that hold nothing worth keeping are forgotten."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float

    def take(self, amount: int, reservation: str, end: float) -> None:
        self.level -= amount


@dataclass(slots=True)
class _Leases:
    """What is reserved: reservation → amount and when it ends by itself. `spent` and `unsaved` are a budget's."""

    budget: bool
    held: dict[str, tuple[int, float]] = field(default_factory=dict)
    spent: int = 0
    unsaved: int = 0
    """The part of `spent` that no lasting home has been told."""
    ends: float | None = None

    def live(self, now: float) -> int:
        for reservation in [name for name, (_, end) in self.held.items() if end <= now]:
            self.settle(reservation, 0, now)
        return sum(amount for amount, _ in self.held.values())

    def take(self, amount: int, reservation: str, end: float) -> None:
        self.held[reservation] = (amount, end)

    def settle(self, reservation: str, spent: int, now: float) -> None:
        """Once: a lease that is gone, or has ended and so left its estimate spent, takes nothing more."""
        amount, end = self.held.pop(reservation, (0, None))
        if end is not None and self.budget:
            self.spend(spent if end > now else amount)

    def spend(self, amount: int) -> None:
        self.spent += amount
        self.unsaved += amount


class MemoryLimits:
    """A `LimitStore` without I/O. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._leases: dict[str, _Leases] = {}
        self._sweep_at = SWEEP

    async def reserve(self, reservation: str, gates: Sequence[Gate], lease: float) -> Sequence[Standing]:
        now = self._clock()
        found = [(gate, *self._look(gate, now)) for gate in gates]
        refused = any(not fits and not gate.shadow for gate, _, _, fits in found)
        standings = []
        for gate, holder, left, fits in found:
            taken = fits and not refused
            if taken:
                holder.take(gate.amount, reservation, now + lease)
            standings.append(standing(gate, left, fits, taken, now))
        self._sweep(now)
        return standings

    async def settle(self, reservation: str, gates: Sequence[Gate], spent: Sequence[int]) -> None:
        now = self._clock()
        for gate, amount in zip(gates, spent, strict=True):
            if gate.refills:
                if amount != gate.amount:
                    bucket = self._bucket(gate, now)
                    bucket.level = max(-gate.limit, min(gate.limit, bucket.level + gate.amount - amount))
                continue
            self._leases_of(gate).settle(reservation, amount, now)

    def unsaved(self) -> dict[str, tuple[int, float | None]]:
        """What has been spent of each budget since the last call, and when its period ends."""
        changed = {name: (leases.unsaved, leases.ends) for name, leases in self._leases.items() if leases.unsaved}
        for name in changed:
            self._leases[name].unsaved = 0
        return changed

    def keep_unsaved(self, changed: Mapping[str, tuple[int, float | None]]) -> None:
        """Takes back what `unsaved` told, because no lasting home took it."""
        for name, (amount, ends) in changed.items():
            self._budget(name, ends).unsaved += amount

    def restore(self, budget: str, spent: int, ends: float | None) -> None:
        """What a lasting home knows to be spent, other processes' part included."""
        leases = self._budget(budget, ends)
        leases.spent = spent + leases.unsaved

    def _look(self, gate: Gate, now: float) -> tuple[_Bucket | _Leases, float, bool]:
        """What holds it, what is left, and whether the amount fits."""
        if gate.refills:
            bucket = self._bucket(gate, now)
            return bucket, bucket.level, bucket.level + TOLERANCE >= gate.amount
        leases = self._leases_of(gate)
        held = leases.live(now)  # first: what has ended is spent
        left = gate.limit - leases.spent - held
        return leases, left, left >= gate.amount and (gate.kind == "concurrent" or left > 0)

    def _leases_of(self, gate: Gate) -> _Leases:
        return self._leases.setdefault(gate.id, _Leases(gate.kind != "concurrent", ends=gate.ends))

    def _budget(self, name: str, ends: float | None) -> _Leases:
        return self._leases.setdefault(name, _Leases(budget=True, ends=ends))

    def _bucket(self, gate: Gate, now: float) -> _Bucket:
        """The bucket as it is now; a clock that was set back refills nothing."""
        bucket = self._buckets.get(gate.id)
        if bucket is None:
            bucket = self._buckets[gate.id] = _Bucket(gate.limit, now)
        if now > bucket.at:
            refilled = bucket.level + (now - bucket.at) * gate.limit / MINUTE
            bucket.level = refilled if refilled < gate.limit else gate.limit
        elif bucket.level > gate.limit:
            bucket.level = gate.limit
        bucket.at = now
        return bucket

    def _sweep(self, now: float) -> None:
        """A bucket untouched for two minutes is full again, whatever it owed: no debt is larger than its limit.

        What was spent of a period that has ended matters to nobody, told to a lasting home or not.
        """
        if len(self._buckets) + len(self._leases) <= self._sweep_at:
            return
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if now - bucket.at < 2 * MINUTE}
        self._leases = {
            name: leases
            for name, leases in self._leases.items()
            if leases.live(now) or (leases.spent and (leases.ends is None or leases.ends > now))
        }
        self._sweep_at = max(SWEEP, 2 * (len(self._buckets) + len(self._leases)))
