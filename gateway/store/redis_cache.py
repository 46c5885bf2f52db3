"""The part of the cache in a Redis, which all replicas share: it may be slow, wrong or gone, and costs no answer.

A look-up is waited for a few milliseconds, and for none while an earlier one is still out; what is found too late, or
fails, was not found. Names are `{gateway:cache:X}:KEY`, X being one of sixteen, so that a Cluster spreads them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.errors import StateUnavailable
from gateway.store.patience import within
from gateway.store.redis_link import RedisLink

WAIT_SECONDS: Final = 0.005
WAIT_SECONDS_EACH: Final = 0.00005
"""For each input on top: thousands of vectors take their time even from the best Redis."""
MOST_UNWRITTEN: Final = 64 * 2**20
"""Bytes on their way to Redis; what comes beyond them is not written."""


class RedisCache:
    """`ttl` is in seconds, `wait` the longest that a look-up of so many keys is waited for."""

    def __init__(self, link: RedisLink, ttl: float, wait: Callable[[int], float] | None = None) -> None:
        self.unwritten = 0
        self._link = link
        self._milliseconds = max(1, int(ttl * 1000))
        self._wait = wait or (lambda keys: WAIT_SECONDS + WAIT_SECONDS_EACH * keys)
        self._late = 0
        self._tasks: set[asyncio.Task[None] | asyncio.Task[list[bytes | None]]] = set()

    async def look_up(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        """The entries of keys, None for each that is not there; None for all that did not come, or not in time."""
        if self._late:
            return None
        task = asyncio.create_task(self._read(keys))
        self._keep(task)
        try:
            async with within(self._wait(len(keys))):
                return await asyncio.shield(task)  # a connection that is being made serves the next look-up
        except StateUnavailable:
            return None
        except TimeoutError:
            if not task.done():
                self._late += 1
                task.add_done_callback(self._no_longer_late)
            return None

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Beside the request, which does not wait for it."""
        size = sum(map(len, entries.values()))
        if self.unwritten + size > MOST_UNWRITTEN:
            return
        self.unwritten += size
        self._keep(asyncio.create_task(self._write(entries, size)))

    async def close(self) -> None:
        """Waits for what is being written."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._link.close()

    async def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        names = [_name(key) for key in keys]
        if not self._link.is_cluster:
            found: list[bytes | None] = await self._link.command("MGET", *names)
            return found
        nodes: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            nodes.setdefault(_shard(key), []).append(place)
        answers = await self._link.commands([("MGET", *(names[place] for place in each)) for each in nodes.values()])
        found = [None] * len(keys)
        for places, entries in zip(nodes.values(), answers, strict=True):
            for place, entry in zip(places, entries, strict=True):
                found[place] = entry
        return found

    async def _write(self, entries: Mapping[bytes, bytes], size: int) -> None:
        try:
            with contextlib.suppress(StateUnavailable):
                await self._link.commands(
                    [("SET", _name(key), entry, "PX", self._milliseconds) for key, entry in entries.items()]
                )
        finally:
            self.unwritten -= size

    def _keep(self, task: asyncio.Task[None] | asyncio.Task[list[bytes | None]]) -> None:
        self._tasks.add(task)  # the event loop itself keeps no task alive
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None] | asyncio.Task[list[bytes | None]]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever looked up may have left

    def _no_longer_late(self, _: object) -> None:
        self._late -= 1


def _shard(key: bytes) -> int:
    return key[0] % 16


def _name(key: bytes) -> bytes:
    return b"{gateway:cache:%x}:%s" % (_shard(key), key)
