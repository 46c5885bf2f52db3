"""The way to one Redis: commands of many callers over one connection, which may end, hang or be left at any time."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

import pytest
import redis
import uvloop

from gateway.errors import StateUnavailable
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink
from tests.fakes.clock import FakeTime
from tests.fakes.pinged_server import PingedServer
from tests.fakes.redis_server import RedisServer, eventually

PATIENT = 60.0
"""Seconds for what is to succeed, on a machine that does much else."""


@contextlib.asynccontextmanager
async def linked(
    url: str,
    timeout: float = PATIENT,  # noqa: ASYNC109 (the link's own)
    *,
    password: str | None = None,
    time: FakeTime | None = None,
) -> AsyncIterator[RedisLink]:
    """Where time stands still, no outage passes."""
    link = RedisLink(Address.of(url, password), None, (time or FakeTime()).clock, timeout)
    try:
        yield link
    finally:
        await link.close()


async def why(action: Awaitable[object]) -> str:
    with pytest.raises(StateUnavailable) as caught:
        await action
    return str(caught.value.__cause__).partition("cannot be reached: ")[2]


def clients(server: RedisServer) -> int:
    """Besides the one that asks."""
    return int(server.do("INFO", "clients")["connected_clients"]) - 1


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


@pytest.mark.parametrize("seed", range(4))
def test_callers_leave(redis_server: RedisServer, runner: asyncio.Runner, seed: int) -> None:
    """Whoever leaves whenever, everybody else gets the own answer, in whatever company."""
    chance = random.Random(seed)  # noqa: S311

    async def ask(link: RedisLink, name: str) -> None:
        for number in range(20):
            text = f"{name} {number} {'x' * chance.choice([0, 100, 50_000])}"
            if chance.random() < 0.3:
                found = await link.commands([("ECHO", text), ("GET", "nothing"), ("ECHO", number)])
                assert [text.encode(), None, b"%d" % number] == found
            else:
                assert text.encode() == await link.command("ECHO", text)

    async def run() -> list[BaseException | None]:
        async with linked(redis_server.url) as link:
            tasks = [asyncio.ensure_future(ask(link, str(number))) for number in range(30)]
            for task in chance.sample(tasks, 15):
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = runner.run(run())

    assert (15, 15) == (outcomes.count(None), sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes))


@pytest.mark.parametrize("seed", range(2))
def test_connection_ends_between(redis_server: RedisServer, runner: asyncio.Runner, seed: int) -> None:
    """While connections are ended all the time, no command is done twice, and what was answered was done."""
    chance, time = random.Random(seed), FakeTime()  # noqa: S311
    done: list[str] = []
    failed = 0

    async def work(link: RedisLink, name: str) -> None:
        nonlocal failed
        number = 0
        while number < 10 or failed < 5:
            number += 1
            names = [f"{name}-{number}-{each}" for each in range(chance.randrange(1, 3))]
            try:
                if len(names) > 1:
                    await link.commands([("INCR", each) for each in names])
                else:
                    await link.command("INCR", *names)
                done.extend(names)
            except StateUnavailable:
                failed += 1
            time.now += 1  # so that the next may try at once
            await asyncio.sleep(0)

    async def disturb() -> None:
        while True:
            redis_server.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(chance.random() * 0.005)

    async def run() -> None:
        async with linked(redis_server.url, time=time) as link:
            disturbing = asyncio.ensure_future(disturb())
            await asyncio.gather(*(work(link, str(number)) for number in range(20)))
            disturbing.cancel()

    runner.run(run())
    counts = {name: redis_server.do("GET", name) for name in redis_server.do("KEYS", "*")}

    assert {"1"} == set(counts.values())
    assert set(done) <= set(counts)


class Relay:
    """Between a client and a server."""

    def __init__(self, port: int) -> None:
        self.accepted = 0
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.ensure_future(self._forward(source, sink))
            self._tasks.add(task)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.closing(sink):
            while data := await source.read(2**16):
                sink.write(data)


async def test_half_dead() -> None:
    """A connection that hangs costs those who wait on it their time; the next command goes over another, at once."""
    async with PingedServer() as server, linked(server.url, 0.2) as link:
        await link.command("PING")
        server.hang()
        told = await asyncio.gather(*(why(link.command("PING")) for _ in range(20)))
        again = [await link.command("PING") for _ in range(3)]

    assert ({"it does not answer in time."}, [b"OK"] * 3, 2) == (set(told), again, server.accepted)


async def test_left_while_it_connects(redis_server: RedisServer) -> None:
    """Whoever leaves while a connection is made, for all, takes it from nobody."""
    async with linked(redis_server.url) as link:
        first, second = (asyncio.ensure_future(link.command("ECHO", number)) for number in range(2))
        await asyncio.sleep(0)
        first.cancel()
        found = await second
        eventually(lambda: clients(redis_server) == 1)  # those of others may be closing; this process is closing none

    assert (b"1", True) == (found, first.cancelled())


@pytest.mark.parametrize("turns", range(4))
async def test_closed_while_it_connects(redis_server: RedisServer, turns: int) -> None:
    """Who waits for a connection when all is closed is told so, and not cancelled."""
    with redis_server.paused():
        async with linked(f"{redis_server.url}/1") as link:
            asked = asyncio.ensure_future(why(link.command("PING")))
            for _ in range(turns):
                await asyncio.sleep(0)
            await link.close()
            told = await asked

    assert told in ("the connection fails.", "it is closed.")


async def test_closed_while_it_waits(redis_server: RedisServer) -> None:
    """Who waits for an answer when all is closed is told so."""
    async with linked(redis_server.url) as link:
        await link.command("PING")
        with redis_server.paused():
            asked = asyncio.ensure_future(why(link.command("PING")))
            await asyncio.sleep(0)
            await link.close()

            assert "the connection fails." == await asked


async def test_read_only_for_long(redis_server: RedisServer) -> None:
    """A server that takes no writes is left each time, as its name may lead elsewhere; no connection stays behind."""
    time = FakeTime()
    redis_server.do("REPLICAOF", "127.0.0.1", "9")
    try:
        async with Relay(redis_server.port) as relay, linked(relay.url, time=time) as link:
            for _ in range(10):
                told = await why(link.command("SET", "a", "b"))
                time.now += 1
            connections = relay.accepted
            await asyncio.to_thread(eventually, lambda: clients(redis_server) <= 1)
    finally:
        redis_server.do("REPLICAOF", "NO", "ONE")

    assert ("it is a replica and takes no writes.", 10) == (told, connections)


async def test_no_more_connections(redis_server: RedisServer) -> None:
    """A server that takes no more connections is a failure, until it does; its own words may not come through."""
    time = FakeTime()
    with redis.Redis(port=redis_server.port) as other:
        other.config_set("maxclients", 1)
        try:
            async with linked(redis_server.url, time=time) as link:
                told = await why(link.command("PING"))
                other.config_set("maxclients", 100)
                time.now += 1
                again = await link.command("PING")
        finally:
            other.config_set("maxclients", 10_000)

    assert told in ("it takes no more connections.", "the connection fails.")
    assert b"PONG" == again


@pytest.mark.parametrize("number", [0, 3])
async def test_database(redis_server: RedisServer, number: int) -> None:
    """What is written is in the database that the URL names."""
    async with linked(f"{redis_server.url}/{number}") as link:
        await link.command("SET", "a", "b")
    with redis.Redis(port=redis_server.port, db=number) as client:
        assert b"b" == client.get("a")


async def test_password_in_vain(redis_server: RedisServer) -> None:
    """A password where none is wanted is a wrong one."""
    async with linked(redis_server.url, password="secret") as link:
        assert "it refuses the user or the password." == await why(link.command("PING"))


async def test_no_such_database(redis_server: RedisServer) -> None:
    """A database that is not there is a failure, and nothing is written into another."""
    async with linked(f"{redis_server.url}/99") as link:
        told = await why(link.command("SET", "a", "b"))

    assert ("it refuses a command.", 0) == (told, redis_server.do("DBSIZE"))


async def test_no_redis() -> None:
    """A server that speaks something else is a failure, and its connection is closed."""
    closed = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: keep-alive\r\n\r\n")
        await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server, linked(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") as link:
        told = await why(link.command("PING"))
        await closed.wait()

    assert "the connection fails." == told


async def test_begun_and_left(redis_server: RedisServer) -> None:
    """What is begun has a value in the end, whether anybody waits or not, and whatever becomes of it."""
    time = FakeTime()
    async with linked(redis_server.url, time=time) as link:
        outcomes: list[Any] = [
            await link.begin("ECHO", "a"),
            await link.begin("ECHO", "b"),
            await link.begin("NONSENSE"),
        ]
        begun = link.begin("ECHO", "c")
        await link.close()
        outcomes += [await begun, await link.begin("ECHO", "d")]

    assert [b"a", b"b"] == outcomes[:2]
    assert ["Refused", "Lost", "StateUnavailable"] == [type(outcome).__name__ for outcome in outcomes[2:]]
