"""What went through lately, in slots of ten seconds: for the console's live charts, of every process together.

Each process counts for itself and tells the state; whoever shows the charts adds them up. Nothing of it is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import StateUnavailable
from gateway.record import Record
from gateway.store import ValueStore

SLOT_SECONDS: Final = 10
SLOTS: Final = 60
TELL_SECONDS: Final = 2.0
_FAMILY: Final = "traffic"
_STEP: Final = math.log(1.2)
"""Latencies are counted in classes that are a fifth wide: a quantile is told that exactly."""


@dataclass(slots=True)
class Slot:
    """Sums of one slot; `number` is its start in seconds since the epoch, over its length."""

    number: int
    requests: int = 0
    refused: int = 0
    """For what the client did: 4xx."""
    failed: int = 0
    """For what it did not: 5xx, and those that were cut off."""
    inputs: int = 0
    tokens: int = 0
    cached: int = 0
    """Tokens that the cache saved."""
    nanos: int = 0
    """Cost in billionths of a dollar, where the price is known."""
    latencies: dict[int, int] = field(default_factory=dict)
    """How many requests took about so long, by the class of their time."""

    def add(self, other: Slot) -> None:
        for name in ("requests", "refused", "failed", "inputs", "tokens", "cached", "nanos"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for size, count in other.latencies.items():
            self.latencies[size] = self.latencies.get(size, 0) + count

    def quantile(self, part: float) -> float | None:
        """The seconds within which that part of the requests was answered; None without any."""
        left = part * sum(self.latencies.values())
        for size in sorted(self.latencies):
            left -= self.latencies[size]
            if left <= 0:
                return math.exp(size * _STEP) / 1000
        return None


class Traffic:
    """`name` tells this process from the others; `clock` is in seconds since the epoch."""

    def __init__(
        self,
        store: ValueStore,
        name: str,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._name = name
        self._clock = clock
        self._sleep = sleep
        self._slots: deque[Slot] = deque(maxlen=SLOTS)
        self._untold = False

    def count(self, record: Record, status: int) -> None:
        """A request that has ended; `status` is 0 for one that was cut off."""
        now, slots = int(self._clock()) // SLOT_SECONDS, self._slots
        if not slots or slots[-1].number < now:
            slots.append(Slot(now))
        slot = slots[-1]
        slot.requests += 1
        if not 200 <= status < 400:
            slot.refused += 400 <= status < 500
            slot.failed += status >= 500 or status == 0
        size = math.ceil(math.log(max(record.elapsed * 1000, 0.01)) / _STEP)
        slot.latencies[size] = slot.latencies.get(size, 0) + 1
        used = record.used
        if used is not None:
            slot.inputs += used.inputs
            slot.tokens += used.reported + used.counted + used.estimated
            slot.cached += used.cached
            slot.nanos += used.nanos
        self._untold = True

    async def run(self) -> None:
        """Tells the others until cancelled, where there is something new to tell."""
        try:
            while True:
                await self._sleep(TELL_SECONDS)
                with contextlib.suppress(StateUnavailable):  # whose watch tells of it
                    await self._tell()
        finally:
            with contextlib.suppress(StateUnavailable):
                await self._store.drop_value(_FAMILY, self._name)

    async def _tell(self) -> None:
        if self._untold:
            told = json.dumps([dataclasses.asdict(slot) for slot in self._slots])
            await self._store.put_value(_FAMILY, self._name, told.encode(), SLOT_SECONDS * SLOTS)
            self._untold = False

    async def lately(self) -> Sequence[Slot]:
        """The last `SLOTS` slots of all processes, oldest first, the last one not yet over.

        Where the state is away, this process's own.
        """
        try:
            told = await self._store.values(_FAMILY)
        except StateUnavailable:
            told = {}
        others = [_read(slot) for name, value in told.items() if name != self._name for slot in json.loads(value)]
        return _summed((*self._slots, *others), int(self._clock()) // SLOT_SECONDS)


def _summed(slots: Iterable[Slot], last: int) -> list[Slot]:
    sums = {number: Slot(number) for number in range(last - SLOTS + 1, last + 1)}
    for slot in slots:
        if slot.number in sums:
            sums[slot.number].add(slot)
    return list(sums.values())


def _read(told: Mapping[str, Any]) -> Slot:
    latencies = {int(size): count for size, count in told["latencies"].items()}  # JSON's names are texts
    return Slot(**{**told, "latencies": latencies})
