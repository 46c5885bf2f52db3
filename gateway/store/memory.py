"""Limits in this process's memory: the embedded home's, and what counts while a shared home cannot be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Self

from gateway import gates as rules
from gateway.gates import Gate, Standings
from gateway.store.holders import Bucket, Holder, Leases

SWEEP: Final = 10_000
"""Gates; beyond them, or twice what the last time left, those that hold nothing worth keeping are forgotten."""


class MemoryLimits:
    """A `LimitStore` without I/O. `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, Holder] = {}
        self._sweep_at = SWEEP

    @property
    def at_once(self) -> Self | None:
        return self

    async def reserve(self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float) -> Standings:
        return self.take(reservation, gates, amounts, lease)

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        self.give_back(reservation, gates, amounts, spent)

    def take(self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float) -> Standings:
        """What `reserve` does."""
        now, kept = self._clock(), self._kept
        end = now + lease
        lefts: list[float] = []
        for gate, amount in zip(gates, amounts, strict=True):
            holder = kept.get(gate.id) or self._made(gate, now)
            left = holder.take(gate, amount, reservation, now, end)
            if left is None:
                for taken in gates[: len(lefts)]:
                    kept[taken.id].untake(reservation)
                return self._take_if_allowed(reservation, gates, amounts, now, end)
            lefts.append(left)
        if len(kept) > self._sweep_at:
            self._sweep(now)
        return Standings(lefts)

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
            if isinstance(kept, Leases) and kept.unsaved
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

    def _take_if_allowed(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], now: float, end: float
    ) -> Standings:
        """Where some gate has no room: if each such one is a shadow, the others give, and else none does."""
        holders = [self._kept.get(gate.id) or self._made(gate, now) for gate in gates]
        lefts = [holder.left(gate, now) for holder, gate in zip(holders, gates, strict=True)]
        fits = [holder.fits(left, amount) for holder, left, amount in zip(holders, lefts, amounts, strict=True)]
        allowed = all(fitting or gate.shadow for fitting, gate in zip(fits, gates, strict=True))
        waits: list[float | None] = []
        for place, (gate, amount) in enumerate(zip(gates, amounts, strict=True)):
            waits.append(None if fits[place] else rules.wait(gate, amount, lefts[place], now))
            if allowed and fits[place]:
                holders[place].take(gate, amount, reservation, now, end)
                lefts[place] -= amount
        return Standings(lefts, waits)

    def _made(self, gate: Gate, now: float) -> Holder:
        made = Bucket(gate.limit, now) if gate.refills else Leases(gate.kind != "concurrent", gate.ends)
        self._kept[gate.id] = made
        return made

    def _budget(self, name: str, ends: float | None) -> Leases:
        kept = self._kept.get(name)
        if not isinstance(kept, Leases):
            kept = self._kept[name] = Leases(budget=True, ends=ends)
        return kept

    def _sweep(self, now: float) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if not kept.is_idle(now)}
        self._sweep_at = max(SWEEP, 2 * len(self._kept))
