"""The connections of one way to reach servers: the one used last is used next, and who is idle for long is closed.

There may be as many as there are requests at the same time: the targets' `max_concurrency` decides that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import Final

from gateway import destination, request_bytes
from gateway.channel import Channel
from gateway.destination import Origin
from gateway.exchange_faults import CLOSED_EARLY, NOT_CONNECTED, PROXY_FAILED, SLOWLY_CONNECTED, TIMED_OUT
from gateway.ways import ProxyError, Way
from providers.base import Fault, Request, Response

IDLE_SECONDS: Final = 30.0
"""Less than servers and balancers keep idle connections: most wait for a minute."""


class Pool:
    def __init__(self, way: Way, connect_seconds: float, scratch: memoryview) -> None:
        self._way = way
        self._connect_seconds = connect_seconds
        self._scratch = scratch
        self._idle: defaultdict[Origin, deque[Channel]] = defaultdict(deque)
        """By server, of which there are as many as the configuration names."""
        self._open: set[Channel] = set()
        self._all_closed = asyncio.Event()
        self._sweep: asyncio.TimerHandle | None = None
        self._retired = False
        self._closed = False

    @property
    def size(self) -> int:
        """How many connections are open, idle or not."""
        return len(self._open)

    async def send(self, request: Request, deadline: float, most: int) -> Response | Fault:
        """The whole answer, of at most `most` bytes. Cancelling it closes its connection.

        A server may close an idle connection just when a request is sent on it. So a request that failed on a kept
        connection before a byte of an answer came is sent once more, on a new one, as HTTP clients do for requests
        that do the same when done twice: embedding does. https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
        """
        where = destination.of(request.url)
        if isinstance(where, Fault):
            return where
        proxy = self._way.proxy
        absolute = proxy is not None and self._way.is_absolute(where.origin)
        head = request_bytes.head(request, where, absolute, None if proxy is None else proxy.authorization)
        if isinstance(head, Fault):
            return head
        idle = self._idle[where.origin]
        kept = self._kept(idle) if idle else None
        if kept is not None:
            outcome = await kept.exchange(head, request.body, deadline, most)
            if outcome is not None or self._closed:
                self._keep(idle, kept)
                return outcome or CLOSED_EARLY
        made = await self._made(where.origin, deadline)
        if isinstance(made, Fault):
            return made
        outcome = await made.exchange(head, request.body, deadline, most)
        self._keep(idle, made)
        return CLOSED_EARLY if outcome is None else outcome

    def retire(self) -> None:
        """Nothing is kept any more: what is idle is closed now, what is under way when it is done."""
        self._retired = True
        for idle in self._idle.values():
            while idle:
                idle.pop().abort()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    async def close(self) -> None:
        """Closes all, also under requests that wait; returns when the event loop has let go of every connection."""
        self.retire()
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        if self._open:
            self._all_closed.clear()
            await self._all_closed.wait()

    def _kept(self, idle: deque[Channel]) -> Channel | None:
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
            connection.abort()  # TLS may still be saying goodbye
        return None

    def _keep(self, idle: deque[Channel], connection: Channel) -> None:
        if not connection.is_open:
            return
        if self._retired:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(IDLE_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        """Those at the left have been idle for longest. It comes back as long as any is left."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        for idle in self._idle.values():
            while idle and (idle[0].idle_since + IDLE_SECONDS <= loop.time() or not idle[0].is_open):
                idle.popleft().abort()
        oldest = min((idle[0].idle_since for idle in self._idle.values() if idle), default=None)
        if oldest is not None:
            self._sweep = loop.call_at(oldest + IDLE_SECONDS, self._close_idle)

    async def _made(self, origin: Origin, deadline: float) -> Channel | Fault:
        connect_by = asyncio.get_running_loop().time() + self._connect_seconds
        connection = Channel(self._scratch, self._lost)
        try:
            async with asyncio.timeout_at(min(deadline, connect_by)) as time:
                await self._way.open(origin, connection)
        except ProxyError:
            return PROXY_FAILED
        except (OSError, ValueError):  # of which are those of TLS and of certificates
            if not time.expired():
                return NOT_CONNECTED
            return TIMED_OUT if deadline <= connect_by else SLOWLY_CONNECTED
        if self._closed:
            connection.abort()
            return NOT_CONNECTED
        self._open.add(connection)
        return connection

    def _lost(self, connection: Channel) -> None:
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()
