"""A crowd that comes at once is let in at once; workers that share a socket share the crowd."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, cast
from unittest import mock

import pytest

from gateway.event_loop import Acceptor, EventLoop, SharedEventLoop
from tests.fakes.clock import settle

GUARD = 60.0
"""Seconds after which a test that hangs fails."""


class Greeted(asyncio.Protocol):
    """Those who came in."""

    def __init__(self, came: list[Greeted]) -> None:
        self._came = came

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._came.append(self)


def run(work: Coroutine[Any, Any, Any], loop: type[EventLoop] = EventLoop) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(asyncio.wait_for(work, GUARD))


@contextlib.contextmanager
def listening(kind: type[socket.socket] = socket.socket) -> Iterator[socket.socket]:
    with kind() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2048)
        yield listener


@contextlib.contextmanager
def crowd(listener: socket.socket, number: int) -> Iterator[list[socket.socket]]:
    """So many clients whose connections wait to be accepted."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(listener.getsockname())) for _ in range(number)]
        until = time.monotonic() + GUARD
        while waiting(listener) < number:
            assert time.monotonic() < until
        yield clients


def waiting(listener: socket.socket) -> int:
    """How many could be accepted, which is a moment later than their clients are told.

    https://man7.org/linux/man-pages/man7/tcp.7.html: of a socket that listens `tcpi_unacked` is that number.
    """
    (number,) = struct.unpack_from("I", listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)
    return int(number)


async def accepting(listener: socket.socket, came: list[Greeted]) -> asyncio.AbstractServer:
    return await asyncio.get_running_loop().create_server(lambda: Greeted(came), sock=listener)


async def until_in(came: list[Greeted], number: int) -> int:
    """How many turns of the loop it takes until so many are in, with some work done in each turn."""
    turns = 0
    while len(came) < number:
        await asyncio.sleep(0)
        turns += 1
    return turns


async def end(server: asyncio.AbstractServer, came: list[Greeted]) -> None:
    server.close()
    await server.wait_closed()
    for protocol in came:
        protocol.transport.close()
    await settle()


def test_a_crowd_at_once() -> None:
    """A hundred clients that wait are let in within a few turns of the loop, not one in each."""
    came: list[Greeted] = []

    async def work(listener: socket.socket) -> int:
        server = await accepting(listener, came)
        turns = await until_in(came, 100)
        await end(server, came)
        return turns

    with listening() as listener, crowd(listener, 100):
        assert run(work(listener)) < 10


def test_they_are_heard() -> None:
    """Who was let in can be heard and answered."""
    came: list[Greeted] = []

    class Echo(Greeted):
        def data_received(self, data: bytes) -> None:
            cast("asyncio.Transport", self.transport).write(data)

    async def work(listener: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Echo(came), sock=listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"ping")
        heard = await reader.readexactly(4)
        writer.close()
        await end(server, came)
        return heard

    with listening() as listener:
        assert b"ping" == run(work(listener))


class Turns:
    """A loop whose clock and whose turns are a test's, as far as an `Acceptor` needs one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.came = 0
        self._reader: Callable[[], None] | None = None
        self._later: tuple[float, Callable[[], None]] | None = None

    def time(self) -> float:
        return self.now

    def add_reader(self, _: socket.socket, callback: Callable[[], None]) -> None:
        self._reader = callback

    def remove_reader(self, _: socket.socket) -> None:
        self._reader = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._later = (self.now + seconds, callback)

    def create_task(self, work: Coroutine[Any, Any, None]) -> mock.Mock:
        self.came += 1
        with contextlib.suppress(StopIteration):
            work.send(None)
        return mock.Mock()

    async def connect_accepted_socket(self, _: Any, connection: socket.socket) -> None:
        raise OSError("it has gone again")

    def turn(self, seconds: float) -> int:
        """How many come in, in a turn that then takes so long."""
        before, later = self.came, self._later
        if self._reader is not None:
            self._reader()
        elif later is not None and later[0] <= self.now:
            self._later = None
            later[1]()
        self.now += seconds
        return self.came - before


class Full(socket.socket):
    """For its first two clients there is no room."""

    refusals = 2

    def accept(self) -> tuple[socket.socket, Any]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.fixture
def turns() -> Turns:
    return Turns()


def accept_by(turns: Turns, listener: socket.socket, most: int) -> None:
    Acceptor(cast("asyncio.AbstractEventLoop", turns), listener, asyncio.Protocol, most)


def test_workers_share(turns: Turns) -> None:
    """A worker that has nothing else to do takes four in a millisecond, so that others have time to wake up."""
    with listening() as listener, crowd(listener, 14):
        accept_by(turns, listener, 4)
        came = [turns.turn(0.00025) for _ in range(16)]

    assert [4, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0] == came


def test_one_by_one(turns: Turns) -> None:
    """Likewise when they do not wait, but come so quickly."""
    with listening() as listener:
        accept_by(turns, listener, 4)
        came = []
        for _ in range(16):
            with crowd(listener, 1):
                came.append(turns.turn(0.0))

    assert [1, 1, 1, 1] + [0] * 12 == came


def test_long_turns(turns: Turns) -> None:
    """The longer a crowd has been coming in, the more of it come in a turn; else its last would wait for ever."""
    with listening() as listener, crowd(listener, 100):
        accept_by(turns, listener, 4)
        came = [turns.turn(0.1) for _ in range(14)]

    assert [4, 5, 6, 7, 9, 11, 14, 18, 22, 4, 0, 0, 0, 0] == came


def test_after_an_idle_time(turns: Turns) -> None:
    """However long nobody came, the next crowd is shared."""
    with listening() as listener:
        accept_by(turns, listener, 4)
        turns.turn(100.0)
        with crowd(listener, 20):
            came = turns.turn(0.0)

    assert 4 == came


def test_no_room(turns: Turns, caplog: pytest.LogCaptureFixture) -> None:
    """Without a free descriptor the process waits, says so each time, and goes on when there is one."""
    with caplog.at_level(logging.ERROR, "gateway"), listening(Full) as listener, crowd(listener, 3):
        accept_by(turns, listener, 4)
        came = [turns.turn(0.5) for _ in range(6)]

    assert [0, 0, 0, 0, 3, 0] == came
    assert ["no client can be let in: Too many open files"] * 2 == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("loop", [EventLoop, SharedEventLoop])
def test_closed(loop: type[EventLoop]) -> None:
    """Once closed nobody is let in, wherever in a crowd that was."""
    came: list[Greeted] = []

    async def work(listener: socket.socket) -> tuple[int, bool, bool]:
        server = await accepting(listener, came)
        was = server.is_serving()
        await until_in(came, 1)
        server.close()
        server.close()
        await server.wait_closed()
        before = len(came)
        with crowd(listener, 3):
            await asyncio.sleep(0.01)
        await end(server, came)
        return len(came) - before, was, server.is_serving()

    with listening() as listener, crowd(listener, 9):
        assert (0, True, False) == run(work(listener), loop)


def test_other_servers() -> None:
    """A server that is to listen for itself is uvloop's own."""

    async def work() -> bool:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        server.close()
        return isinstance(server, Acceptor)

    assert not run(work())
