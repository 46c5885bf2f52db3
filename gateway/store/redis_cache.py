"""The part of the cache in a Redis, which all replicas share: it may be slow, wrong or gone, and costs no answer.

A look-up is waited for a few milliseconds, and for none while an earlier one is still out; what is found too late, or
fails, was not found. Names are `{gateway:cache:X}:KEY`, X being one of sixteen, so that a Cluster spreads them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.errors import StateUnavailable
from gateway.store.patience import PARTS
from gateway.store.redis_link import RedisLink

WAIT_SECONDS: Final = 0.005
WAIT_SECONDS_EACH: Final = 0.00005
"""For each input on top: thousands of vectors take their time even from the best Redis."""
LOOK_SECONDS: Final = WAIT_SECONDS / PARTS
"""How often those are looked for that have waited too long."""
MOST_UNWRITTEN: Final = 64 * 2**20
"""Bytes on their way to Redis; what comes beyond them is not written."""
WRITTEN_AT_ONCE: Final = 2**20
"""Bytes, and one entry more: so much is soon answered, and a Redis that is not dead does not pass for it."""
_SHARDS: Final = [b"{gateway:cache:%x}:" % shard for shard in range(16)]


class _LookUp:
    """One that is out: who waits for it, for how many seconds yet, and for how many at most from look to look."""

    __slots__ = ("late", "left", "part", "waiting")

    def __init__(self, waiting: asyncio.Future[Any], seconds: float) -> None:
        self.waiting = waiting
        self.left = seconds
        self.part = seconds / PARTS
        self.late = False


class RedisCache:
    """`ttl` is in seconds, `wait` the longest that a look-up of so many keys is waited for.

    Reading and writing have a link each: many entries that are written would hold up those that are looked for.
    """

    def __init__(
        self, reading: RedisLink, writing: RedisLink, ttl: float, wait: Callable[[int], float] | None = None
    ) -> None:
        self.unwritten = 0
        self._reading = reading
        self._writing = writing
        self._milliseconds = max(1, int(ttl * 1000))
        self._wait = wait or (lambda keys: WAIT_SECONDS + WAIT_SECONDS_EACH * keys)
        self._late = 0
        self._out: dict[asyncio.Future[Any], _LookUp] = {}
        self._looked_at = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        self._queue: deque[tuple[bytes, bytes]] = deque()
        self._writer: asyncio.Task[None] | None = None

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def look_up(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        """The entries of keys, None for each that is not there; None for all that did not come, or not in time."""
        if self._late:
            return None
        loop = asyncio.get_running_loop()
        if self._reading.is_cluster:
            asked: asyncio.Future[Any] = loop.create_task(self._spread(keys))
        else:
            asked = self._reading.begin("MGET", *map(_name, keys))
        one = self._out[asked] = _LookUp(loop.create_future(), self._wait(len(keys)))
        asked.add_done_callback(self._answered)
        if self._next_look is None:
            self._looked_at, self._next_look = loop.time(), loop.call_later(LOOK_SECONDS, self._look)
        found: Sequence[bytes | None] | None = await one.waiting
        return found

    async def _spread(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        nodes: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            nodes.setdefault(key[0] % len(_SHARDS), []).append(place)
        try:
            answers = await self._reading.commands(
                [("MGET", *(_name(keys[place]) for place in places)) for places in nodes.values()]
            )
        except StateUnavailable:
            return None
        found: list[bytes | None] = [None] * len(keys)
        for places, entries in zip(nodes.values(), answers, strict=True):
            for place, entry in zip(places, entries, strict=True):
                found[place] = entry
        return found

    def _answered(self, asked: asyncio.Future[Any]) -> None:
        one = self._out.pop(asked)
        self._late -= one.late
        if not one.waiting.done():
            outcome = asked.result()
            one.waiting.set_result(outcome if isinstance(outcome, list) else None)

    def _look(self) -> None:
        """Comes back as long as anything is out. However long this process was busy since, that is one part."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        passed, self._looked_at = now - self._looked_at, now
        for one in self._out.values():
            one.left -= min(passed, one.part)
            if one.left <= 0 and not one.waiting.done():
                one.late, self._late = True, self._late + 1
                one.waiting.set_result(None)
        self._next_look = loop.call_later(LOOK_SECONDS, self._look) if self._out else None

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        """Beside the request, which does not wait for it."""
        size = sum(map(len, entries.values()))
        if self.unwritten + size > MOST_UNWRITTEN:
            return
        self.unwritten += size
        self._queue.extend(entries.items())
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        """What has come meanwhile goes together."""
        while self._queue:
            size, commands = 0, []
            while self._queue and size < WRITTEN_AT_ONCE:
                key, entry = self._queue.popleft()
                size += len(entry)
                commands.append(("SET", _name(key), entry, "PX", self._milliseconds))
            with contextlib.suppress(StateUnavailable):
                await self._writing.commands(commands)
            self.unwritten -= size
        self._writer = None

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._writer is not None:
            await asyncio.wait({self._writer})
        for link in (self._reading, self._writing):
            await link.close()


def _name(key: bytes) -> bytes:
    return _SHARDS[key[0] % len(_SHARDS)] + key
