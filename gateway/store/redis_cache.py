"""The part of the cache in a Redis, which all replicas share: it may be slow, wrong or gone, and costs no answer.

A look-up is waited for a few milliseconds, and for none while an earlier one is late; what is found too late, or fails,
was not found. Names are `{gateway:cache:X}:KEY`, X being one of sixteen, so that a Cluster spreads them.
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
"""For each input on top: thousands of vectors take their time even from the best Redis. Those that are looked up before
them come first, over the same connection."""
MOST_BEHIND_SECONDS: Final = 0.05
"""For those."""
FEW: Final = 16
"""Inputs; look-ups of more have a link of their own, where their answers hold up no smaller one's."""
LOOK_SECONDS: Final = WAIT_SECONDS / PARTS
"""How often those are looked for that have waited too long."""
MOST_UNWRITTEN: Final = 64 * 2**20
"""Bytes on their way to Redis; what comes beyond them is not written."""
WRITTEN_AT_ONCE: Final = 2**20
"""Bytes, and one entry more: so much is soon answered, and a Redis that is not dead does not pass for it."""
_SHARDS: Final = [b"{gateway:cache:%x}:" % shard for shard in range(16)]


class _LookUp:
    """One that is out: who waits for it, for how many seconds yet, and for how many at most from look to look."""

    __slots__ = ("keys", "late", "left", "line", "part", "waiting")

    def __init__(self, line: _Line, keys: int, waiting: asyncio.Future[Any], seconds: float) -> None:
        self.line = line
        self.keys = keys
        self.waiting = waiting
        self.left = seconds
        self.part = seconds / PARTS
        self.late = False


class _Line:
    """A link over which entries come in the order in which they were asked for; `keys` are out."""

    __slots__ = ("keys", "link")

    def __init__(self, link: RedisLink) -> None:
        self.link = link
        self.keys = 0


class RedisCache:
    """`ttl` is in seconds, `wait` the longest that a look-up of so many keys is waited for.

    Of `link` there are three, to look up few entries and many, and to write: what is large holds up nothing small.
    """

    def __init__(self, link: Callable[[], RedisLink], ttl: float, wait: Callable[[int], float] | None = None) -> None:
        self.unwritten = 0
        self._few, self._many, self._writing = _Line(link()), _Line(link()), link()
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
        loop, count = asyncio.get_running_loop(), len(keys)
        line = self._few if count <= FEW else self._many
        if line.link.is_cluster:
            asked: asyncio.Future[Any] = loop.create_task(self._spread(line.link, keys))
        else:
            asked = line.link.begin("MGET", *map(_name, keys))
        seconds = self._wait(count) + min(MOST_BEHIND_SECONDS, WAIT_SECONDS_EACH * line.keys)
        one = self._out[asked] = _LookUp(line, count, loop.create_future(), seconds)
        line.keys += count
        asked.add_done_callback(self._answered)
        if self._next_look is None:
            self._looked_at, self._next_look = loop.time(), loop.call_later(LOOK_SECONDS, self._look)
        found: Sequence[bytes | None] | None = await one.waiting
        return found

    async def _spread(self, link: RedisLink, keys: Sequence[bytes]) -> list[bytes | None] | None:
        nodes: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            nodes.setdefault(key[0] % len(_SHARDS), []).append(place)
        try:
            answers = await link.commands(
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
        one.line.keys -= one.keys
        self._late -= one.late
        outcome = None if asked.cancelled() or asked.exception() else asked.result()
        if not one.waiting.done():
            one.waiting.set_result(outcome if isinstance(outcome, list) else None)

    def _look(self) -> None:
        """Comes back as long as anything is out. However long this process was busy since, that is one part."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        passed, self._looked_at = now - self._looked_at, now
        late = set[_Line]()
        for one in self._out.values():
            one.left -= min(passed, one.part)
            if one.left <= 0 or one.line in late:
                late.add(one.line)  # what was asked for after it comes later still
                self._give_up(one)
        self._next_look = loop.call_later(LOOK_SECONDS, self._look) if self._out else None

    def _give_up(self, one: _LookUp) -> None:
        if not one.late:
            one.late, self._late = True, self._late + 1
        if not one.waiting.done():
            one.waiting.set_result(None)

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
        try:
            while self._queue:
                await self._write_some()
        finally:
            self._writer = None

    async def _write_some(self) -> None:
        size, commands = 0, []
        while self._queue and size < WRITTEN_AT_ONCE:
            key, entry = self._queue.popleft()
            size += len(entry)
            commands.append(("SET", _name(key), entry, "PX", self._milliseconds))
        try:
            with contextlib.suppress(StateUnavailable):
                await self._writing.commands(commands)
        finally:
            self.unwritten -= size

    async def close(self) -> None:
        """Waits for what is being written."""
        if self._writer is not None:
            await asyncio.wait({self._writer})
        for link in (self._few.link, self._many.link, self._writing):
            await link.close()


def _name(key: bytes) -> bytes:
    return _SHARDS[key[0] % len(_SHARDS)] + key
