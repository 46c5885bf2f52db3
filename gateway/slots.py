"""How many calls may run at once: a semaphore that counts who waits, and lets nobody wait past a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.routing import Load


class Slots:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = asyncio.Semaphore(limit)
        self._waiting = 0
        self._running = 0

    @property
    def load(self) -> Load:
        return Load(self._waiting, self._running, self._limit)

    @asynccontextmanager
    async def slot(self, deadline: float) -> AsyncIterator[bool]:
        """Yields True with a slot in hand, or False when none became free before the deadline."""
        if not await self._acquire(deadline):
            yield False
            return
        self._running += 1
        try:
            yield True
        finally:
            self._running -= 1
            self._free.release()

    async def _acquire(self, deadline: float) -> bool:
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await self._free.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
