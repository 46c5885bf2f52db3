"""Limits in this process's memory: the embedded home's, and what counts while a shared home cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.gates import MINUTE, TOLERANCE, Gate, Standing, standing

SWEEP: Final = 10_000
"""Gates; beyond them those that hold nothing worth keeping are forgotten."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


@dataclass(slots=True)
class _Leases:
    """What is reserved: reservation → amount and when it ends by itself. `spent` and `unsaved` are a budget's."""

    held: dict[str, tuple[int, float]] = field(default_factory=dict)
    spent: int = 0
    unsaved: int = 0
    """The part of `spent` that no lasting home has been told."""
    ends: float | None = None

    def live(self, now: float) -> int:
        for reservation in [name for name, (_, end) in self.held.items() if end <= now]:
            del self.held[reservation]
        return sum(amount for amount, _ in self.held.values())


class MemoryLimits:
    """A `LimitStore` without I/O. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        self._leases: dict[str, _Leases] = {}

    async def reserve(self, reservation: str, gates: Sequence[Gate], lease: float) -> Sequence[Standing]:
        now = self._clock()
        found = [self._look(gate, now) for gate in gates]
        refused = any(not fits and not gate.shadow for gate, (_, fits) in zip(gates, found, strict=True))
        standings = []
        for gate, (left, fits) in zip(gates, found, strict=True):
            taken = fits and not refused
            if taken:
                self._take(gate, reservation, now + lease)
            standings.append(standing(gate, left, fits, taken, now))
        self._sweep(now)
        return standings

    async def settle(self, reservation: str, gates: Sequence[Gate], spent: Sequence[int]) -> None:
        now = self._clock()
        for gate, amount in zip(gates, spent, strict=True):
            if gate.refills:
                bucket = self._bucket(gate, now)
                bucket.level = max(-gate.limit, min(gate.limit, bucket.level + gate.amount - amount))
                continue
            leases = self._leases.setdefault(gate.id, _Leases(ends=gate.ends))
            leases.held.pop(reservation, None)
            if gate.kind != "concurrent":
                leases.spent += amount
                leases.unsaved += amount

    def unsaved(self) -> dict[str, tuple[int, float | None]]:
        """What has been spent of each budget since the last call, and when its period ends."""
        changed = {name: (leases.unsaved, leases.ends) for name, leases in self._leases.items() if leases.unsaved}
        for name in changed:
            self._leases[name].unsaved = 0
        return changed

    def keep_unsaved(self, spent: Mapping[str, int]) -> None:
        """Takes back what `unsaved` told, because no lasting home took it."""
        for name, amount in spent.items():
            self._leases[name].unsaved += amount

    def restore(self, budget: str, spent: int, ends: float | None) -> None:
        """What a lasting home knows to be spent, other processes' part included."""
        leases = self._leases.setdefault(budget, _Leases(ends=ends))
        leases.spent = spent + leases.unsaved

    def _look(self, gate: Gate, now: float) -> tuple[float, bool]:
        """What is left, and whether the amount fits."""
        if gate.refills:
            left = self._bucket(gate, now).level
            return left, left + TOLERANCE >= gate.amount
        leases = self._leases.setdefault(gate.id, _Leases(ends=gate.ends))
        left = gate.limit - leases.spent - leases.live(now)
        return left, left >= gate.amount and (gate.kind == "concurrent" or left > 0)

    def _take(self, gate: Gate, reservation: str, end: float) -> None:
        if gate.refills:
            self._buckets[gate.id].level -= gate.amount
        else:
            self._leases[gate.id].held[reservation] = (gate.amount, end)

    def _bucket(self, gate: Gate, now: float) -> _Bucket:
        """The bucket as it is now; a clock that was set back refills nothing."""
        bucket = self._buckets.setdefault(gate.id, _Bucket(gate.limit, now))
        refilled = bucket.level + max(0.0, now - bucket.at) * gate.limit / MINUTE
        bucket.level, bucket.at = min(gate.limit, refilled), now
        return bucket

    def _sweep(self, now: float) -> None:
        """A bucket untouched for two minutes is full again, whatever it owed: no debt is larger than its limit."""
        if len(self._buckets) + len(self._leases) <= SWEEP:
            return
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if now - bucket.at < 2 * MINUTE}
        self._leases = {
            name: leases
            for name, leases in self._leases.items()
            if leases.live(now) or leases.unsaved or (leases.spent and (leases.ends is None or leases.ends > now))
        }
