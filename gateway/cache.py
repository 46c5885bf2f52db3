"""What was embedded before: memory in front of a shared home, where there is one; neither ever costs an answer.

A vector is found by all that decides it (`cache_entry.Recipe`), and only what has kept the output contract is kept.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.auth import Caller
from gateway.cache_entry import Kept, Recipe, pack, unpack
from gateway.cache_memory import Memory
from gateway.config import Scope
from gateway.dimensions import Length
from gateway.errors import StateUnavailable
from gateway.metrics import Metrics
from gateway.routing import Route
from providers.base import InputType

LEARN_SECONDS: Final = 1.0

Sums = Mapping[str, tuple[int, int]]
"""Hits and misses by model."""


class SharedCache(Protocol):
    """Entries by key, for all replicas; `look_up` and `write` never raise."""

    epoch: str | None
    name: str

    async def look_up(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None: ...

    def write(self, entries: Mapping[bytes, bytes]) -> None: ...

    async def learn(self, hits: Mapping[str, int], misses: Mapping[str, int]) -> None: ...

    async def clear(self) -> None: ...

    async def sums(self) -> Sums: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Of this process; sizes are in bytes."""

    entries: int
    bytes: int
    limit: int
    evictions: int
    models: Sums


class Cache:
    """`ttl` is in seconds, `clock` in seconds since the epoch.

    `generation` is that of a space, whose vectors are others with each one.
    """

    def __init__(
        self,
        memory: Memory,
        shared: SharedCache | None,
        ttl: float,
        scope: Scope,
        clock: Callable[[], float],
        metrics: Metrics,
        generation: Callable[[str], int] = lambda space: 0,
    ) -> None:
        self.shared = shared
        self._memory = memory
        self._ttl = ttl
        self._scope = scope
        self._clock = clock
        self._metrics = metrics
        self._generation = generation
        self._epoch = ""
        self._evicted = 0
        self._hits: Counter[str] = Counter()
        self._misses: Counter[str] = Counter()
        self._untold: tuple[Counter[str], Counter[str]] = (Counter(), Counter())

    def recipe(
        self, route: Route, caller: Caller, length: Length, role: InputType | None, extra: Mapping[str, Any]
    ) -> Recipe:
        return Recipe(
            epoch=self._current_epoch(),
            space=route.space,
            generation=self._generation(route.space),
            made_by=route.made_by,
            upstream=length.upstream,
            final=length.final,
            sent=length.sent,
            input_type=role,
            normalize=route.normalize,
            extra=extra,
            owner=caller.key_id if self._scope == "key" else None,
        )

    async def find(self, keys: Sequence[bytes], dimensions: int, model: str) -> list[Kept | None]:
        """What is kept under each key; nothing is waited for where memory has it all."""
        now = self._clock()
        found = [self._fresh(self._memory.get(key), now) for key in keys]
        lacking = [place for place, kept in enumerate(found) if kept is None]
        if lacking and self.shared is not None:
            entries = await self.shared.look_up([keys[place] for place in lacking])
            for place, entry in zip(lacking, entries or (), strict=entries is not None):
                kept = None if entry is None else self._fresh(unpack(keys[place], entry, dimensions), now)
                if kept is not None:
                    self._memory.put(keys[place], kept)
                    found[place] = kept
            self._tell_size()
            lacking = [place for place in lacking if found[place] is None]
        self._count(model, len(keys) - len(lacking), len(lacking))
        return found

    def remembered(self, key: bytes) -> Kept | None:
        """What memory has by now, for whoever has looked before and found nothing."""
        return self._fresh(self._memory.get(key), self._clock())

    def keep(self, entries: Mapping[bytes, Kept]) -> None:
        for key, kept in entries.items():
            self._memory.put(key, kept)
        self._tell_size()
        if self.shared is not None and entries:
            self.shared.write({key: pack(key, kept) for key, kept in entries.items()})

    async def clear(self) -> None:
        """Here at once, and in other replicas within a second. Raises StateUnavailable; memory is empty then, too."""
        self._epoch = uuid.uuid4().hex
        self._memory.clear()
        self._tell_size()
        self._hits.clear()
        self._misses.clear()
        if self.shared is not None:
            await self.shared.clear()

    def statistics(self) -> CacheStatistics:
        models = {model: (self._hits[model], self._misses[model]) for model in sorted(self._hits | self._misses)}
        memory = self._memory
        return CacheStatistics(len(memory), memory.bytes, memory.limit, memory.evictions, models)

    async def shared_sums(self) -> Sums | None:
        """Of all replicas, but for their last second; None where nobody sums them up, or cannot be asked."""
        if self.shared is None:
            return None
        try:
            return await self.shared.sums()
        except StateUnavailable:
            return None

    async def run(self) -> None:
        """Hears every second, until cancelled, whether another replica has cleared the cache."""
        while True:
            await self.learn()
            await asyncio.sleep(LEARN_SECONDS)

    async def learn(self) -> None:
        if self.shared is None:
            return
        told, self._untold = self._untold, (Counter(), Counter())
        before = self.shared.epoch
        try:
            await self.shared.learn(*told)
        except StateUnavailable:
            self._untold = (told[0] + self._untold[0], told[1] + self._untold[1])
        if self.shared.epoch != before:
            self._memory.clear()  # nothing in it could be found any more
            self._tell_size()

    async def close(self) -> None:
        if self.shared is not None:
            await self.learn()
            await self.shared.close()

    def now(self) -> float:
        return self._clock()

    def _current_epoch(self) -> str:
        """Part of every key: what was sent for before the cache was cleared, and comes after, is not found either."""
        shared = None if self.shared is None else self.shared.epoch
        return self._epoch if shared is None else shared

    def _fresh(self, kept: Kept | None, now: float) -> Kept | None:
        return kept if kept is not None and now - kept.made < self._ttl else None

    def _count(self, model: str, hits: int, misses: int) -> None:
        self._metrics.cached(model, hits, misses)
        untold_hits, untold_misses = self._untold
        for counters, number in (((self._hits, untold_hits), hits), ((self._misses, untold_misses), misses)):
            for counter in counters if number else ():
                counter[model] += number

    def _tell_size(self) -> None:
        memory = self._memory
        self._metrics.cache_size(memory.bytes, len(memory), memory.evictions - self._evicted)
        self._evicted = memory.evictions
