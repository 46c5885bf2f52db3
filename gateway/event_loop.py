"""uvloop's event loop, with a server that lets in many clients at once where many come at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, ClassVar, Final

import uvloop

from gateway.logs import GATEWAY

TICK: Final = 0.001
"""Seconds; uvloop's clock knows no shorter time."""
FULL_SECONDS: Final = 1.0
"""How long nobody is let in where the process or the machine has no room for one more."""
_NOBODY: Final = (BlockingIOError, InterruptedError, ConnectionError)
"""Another worker was quicker, or the client did not wait."""

Factory = Callable[[], asyncio.BaseProtocol]


class EventLoop(uvloop.Loop):
    """One whose `create_server` makes an `Acceptor` for a socket that already listens; all else is uvloop's."""

    MOST: ClassVar[int] = 512

    async def create_server(  # type: ignore[override]  # which names each option
        self, protocol_factory: Factory, host: Any = None, port: Any = None, **options: Any
    ) -> asyncio.AbstractServer:
        listener = options.get("sock")
        if listener is None or options.get("ssl") is not None:
            return await super().create_server(protocol_factory, host, port, **options)
        return Acceptor(self, listener, protocol_factory, self.MOST)


class SharedEventLoop(EventLoop):
    """A worker's. Others take from the same socket, and may need some milliseconds to wake up: whoever let in a crowd
    alone would have to serve it alone for as long as it stays.
    """

    MOST = 4


class Acceptor(asyncio.AbstractServer):
    """Accepts from a socket that listens: up to `most` connections in a millisecond, or somewhat more in each turn of
    the loop that takes longer.

    libuv accepts a single one in a turn. Those that have come are served in the same turn, so that the last of a crowd
    waits for as many requests as half the square of their number: seconds for 64 clients, minutes for 1000. Here a
    crowd that stays grows by a quarter from turn to turn.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: socket.socket, protocol_factory: Factory, most: int
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._factory = protocol_factory
        self._most = most
        self._left: float = most  # of those that may come in now
        self._counted = loop.time()
        self._crowd = 0  # that has come in since somebody waits
        self._welcoming = set[asyncio.Task[None]]()
        self._timer: asyncio.TimerHandle | None = None
        self._serving = True
        listener.setblocking(False)
        loop.add_reader(listener, self._begin)

    def _begin(self) -> None:
        now = self._loop.time()
        self._left = min(self._most, self._left + self._most * (now - self._counted) / TICK)
        self._crowd = 0
        pause = self._accept(now)
        if pause:
            self._loop.remove_reader(self._listener)
            self._timer = self._loop.call_later(pause, self._go_on)

    def _go_on(self) -> None:
        self._left = self._most + self._crowd // 4
        pause = self._accept(self._loop.time())
        self._timer = self._loop.call_later(pause, self._go_on) if pause else None
        if not pause:
            self._loop.add_reader(self._listener, self._begin)

    def _accept(self, now: float) -> float:
        """In how many seconds to go on; 0 where nobody waits any more."""
        self._counted = now
        while self._left >= 1:
            try:
                connection, _ = self._listener.accept()
            except _NOBODY:
                return 0.0
            except OSError as error:
                GATEWAY.error("no client can be let in: %s", error.strerror)
                return FULL_SECONDS
            self._left -= 1
            self._crowd += 1
            connection.setblocking(False)
            task = self._loop.create_task(self._welcome(connection))
            self._welcoming.add(task)
            task.add_done_callback(self._welcoming.discard)
        return TICK

    async def _welcome(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._factory, connection)
        except OSError:  # it has gone again
            connection.close()

    def close(self) -> None:
        """Nobody is let in any more. Who is in, and the socket itself, are the caller's to close."""
        if self._timer is not None:
            self._timer.cancel()
        elif self._serving:
            self._loop.remove_reader(self._listener)
        self._serving = False

    def is_serving(self) -> bool:
        return self._serving

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    async def start_serving(self) -> None:
        """It has, since it was made."""

    async def serve_forever(self) -> None:
        await self._loop.create_future()

    async def wait_closed(self) -> None:
        """Until whoever was let in is with its protocol."""
        if self._welcoming:
            await asyncio.wait(self._welcoming)
