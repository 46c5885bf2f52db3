"""What was embedded before: memory in front of a shared home, where there is one; neither ever costs an answer.

A vector is found by all that decides it (`cache_entry.Recipe`), and only what has kept the output contract is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from gateway import cache_state
from gateway.auth import Caller
from gateway.cache_entry import Kept, Recipe, pack, unpack
from gateway.cache_memory import Memory
from gateway.cache_state import CacheStatistics
from gateway.config import Scope
from gateway.dimensions import Length
from gateway.errors import StateUnavailable
from gateway.metrics import Metrics
from gateway.routing import Route
from gateway.store import ValueStore
from providers.base import InputType

LEARN_SECONDS: Final = 1.0
LEARN_TIMES: Final = 5
"""After so many times it tells how it is doing."""


class SharedCache(Protocol):
    """Entries by key, for all replicas; neither method ever fails."""

    async def look_up(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None: ...

    def write(self, entries: Mapping[bytes, bytes]) -> None: ...

    async def close(self) -> None: ...


class Cache:
    """`ttl` is in seconds, `clock` in seconds since the epoch.

    `generation` is that of a space, whose vectors are others with each one.
    """

    def __init__(
        self,
        memory: Memory,
        shared: SharedCache | None,
        state: ValueStore,
        ttl: float,
        scope: Scope,
        clock: Callable[[], float],
        metrics: Metrics,
        generation: Callable[[str], int] = lambda space: 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._shared = shared
        self._state = state
        self._sleep = sleep
        self._memory = memory
        self._ttl = ttl
        self._scope = scope
        self._clock = clock
        self._metrics = metrics
        self._generation = generation
        self._process = uuid.uuid4().hex
        self._epoch: str | None = None
        self._evicted = 0
        self._looked_up: dict[str, tuple[int, int]] = {}

    def recipe(
        self, route: Route, caller: Caller, length: Length, role: InputType | None, extra: Mapping[str, Any]
    ) -> Recipe:
        return Recipe(
            epoch=self._epoch or self._process,  # before the state was reached, one of its own
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
        since = self._since()
        found = self._memory.find(keys, since)
        lacking = [place for place, kept in enumerate(found) if kept is None]
        if lacking and self._shared is not None and self._epoch is not None:
            wanted = keys if len(lacking) == len(keys) else [keys[place] for place in lacking]
            entries = await self._shared.look_up(wanted)
            if entries is not None:
                for place, key, kept in zip(lacking, wanted, unpack(wanted, entries, dimensions), strict=True):
                    if kept is not None and kept.made > since:
                        self._memory.put(key, kept)
                        found[place] = kept
                self._tell_size()
                lacking = [place for place in lacking if found[place] is None]
        self._count(model, len(keys) - len(lacking), len(lacking))
        return found

    def remembered(self, key: bytes) -> Kept | None:
        """What memory has by now, for whoever has looked before and found nothing."""
        return self._memory.find((key,), self._since())[0]

    def keep(self, entries: Mapping[bytes, Kept]) -> None:
        for key, kept in entries.items():
            self._memory.put(key, kept)
        self._tell_size()
        if self._shared is not None and self._epoch is not None and entries:
            self._shared.write({key: pack(key, kept) for key, kept in entries.items()})

    async def clear(self) -> None:
        """Here at once, in every other process within a second. Raises StateUnavailable, being empty here then, too."""
        self._forget()
        await cache_state.clear(self._state)
        await self.learn()

    def statistics(self) -> CacheStatistics:
        memory = self._memory
        return CacheStatistics(len(memory), memory.bytes, memory.limit, memory.evictions, dict(self._looked_up))

    async def of_all(self) -> Sequence[CacheStatistics]:
        """This process's, and what the others last told. Raises StateUnavailable."""
        await self._tell()
        return await cache_state.told(self._state)

    async def run(self) -> None:
        """Hears every second, until cancelled, whether anyone has cleared it; tells now and then how it is doing."""
        while True:
            with contextlib.suppress(StateUnavailable):
                await self._tell()
            for _ in range(LEARN_TIMES):
                await self._sleep(LEARN_SECONDS)
                with contextlib.suppress(StateUnavailable):
                    await self.learn()

    async def learn(self) -> None:
        """Raises StateUnavailable."""
        epoch = await cache_state.epoch(self._state)
        if epoch != self._epoch:
            self._forget()
            self._epoch = epoch

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()
        with contextlib.suppress(StateUnavailable):
            await cache_state.untell(self._state, self._process)

    async def _tell(self) -> None:
        await cache_state.tell(self._state, self._process, self.statistics())

    def _forget(self) -> None:
        self._memory.clear()
        self._tell_size()

    def now(self) -> float:
        return self._clock()

    def _since(self) -> float:
        """What was made then or before is too old."""
        return self._clock() - self._ttl

    def _count(self, model: str, hits: int, misses: int) -> None:
        self._metrics.cached(model, hits, misses)
        before = self._looked_up.get(model, (0, 0))
        self._looked_up[model] = (before[0] + hits, before[1] + misses)

    def _tell_size(self) -> None:
        memory = self._memory
        self._metrics.cache_size(memory.bytes, len(memory), memory.evictions - self._evicted)
        self._evicted = memory.evictions
