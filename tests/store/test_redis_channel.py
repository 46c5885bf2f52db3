"""One connection to a Redis: whatever arrives in whatever pieces, everybody gets the own answer or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store.patience import PARTS
from gateway.store.redis_channel import ROOM, RedisChannel
from gateway.store.redis_faults import Lost, Refused
from tests.fakes import virtual_time

SECONDS = 1.0


@dataclass
class Transport:
    """Remembers what is written, and tells the channel of its end when the event loop has its next turn."""

    channel: RedisChannel
    written: list[bytes] = field(default_factory=list)
    closing: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.channel.connection_lost, None)


def opened() -> tuple[RedisChannel, Transport]:
    channel = RedisChannel(SECONDS)
    transport = Transport(channel)
    channel.connection_made(cast("asyncio.Transport", transport))
    return channel, transport


def feed(channel: RedisChannel, data: bytes, pieces: Sequence[int] = ()) -> None:
    """As the event loop hands over what it has read, so many bytes at a time, and then as many as there is room for."""
    sizes = [*pieces, ROOM, *([ROOM] * (len(data) // ROOM))]
    for size in sizes:
        piece, data = data[:size], data[size:]
        if piece:
            channel.get_buffer(-1)[: len(piece)] = piece
            channel.buffer_updated(len(piece))


# ── any answers, in any pieces ────────────────────────────────────────────────────────────────────────────────────


def resp(answer: Any) -> bytes:
    """https://redis.io/docs/latest/develop/reference/protocol-spec/"""
    if answer is None:
        return b"$-1\r\n"
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, Refused):
        return b"-%b\r\n" % str(answer).encode()
    return b"*%d\r\n%b" % (len(answer), b"".join(map(resp, answer)))


def plain(outcome: Any) -> Any:
    """Exceptions as what can be compared."""
    if isinstance(outcome, list):
        return [plain(each) for each in outcome]
    return (type(outcome), str(outcome)) if isinstance(outcome, Exception) else outcome


REFUSALS = st.sampled_from(["ERR", "NOSCRIPT No matching script.", "OOM command not allowed", ""]).map(Refused)
ONE = st.one_of(st.none(), st.binary(max_size=40), st.integers(-(2**63), 2**63 - 1), REFUSALS)
ANSWERS = st.recursive(ONE, lambda inner: st.lists(inner, max_size=4), max_leaves=10)


@dataclass(frozen=True)
class Ask:
    """Some commands, and what they will be answered; `together` they are one question."""

    answers: list[Any]
    together: bool
    leaves: bool
    """Whether the caller leaves before the answer."""


def asks() -> st.SearchStrategy[Ask]:
    together = st.builds(Ask, st.lists(ANSWERS, min_size=1, max_size=5), st.just(True), st.booleans())
    return st.one_of(st.builds(Ask, st.lists(ANSWERS, min_size=1, max_size=1), st.just(False), st.booleans()), together)


@given(
    asked=st.lists(asks(), max_size=8),
    pieces=st.lists(st.integers(1, 30), max_size=40),
    cut=st.none() | st.integers(0, 300),
)
def test_everybody_gets_the_own_answer(asked: list[Ask], pieces: list[int], cut: int | None) -> None:
    """In whatever pieces answers come, each is the own one; where the connection ends before it, it is lost."""
    stream = b"".join(resp(answer) for ask in asked for answer in ask.answers)
    arrives = len(stream) if cut is None else min(cut, len(stream))

    async def run() -> list[Any]:
        channel, _ = opened()
        futures = [channel.ask(b"x", len(ask.answers) if ask.together else 0) for ask in asked]
        for ask, future in zip(asked, futures, strict=True):
            if ask.leaves:
                future.cancel()
        feed(channel, stream[:arrives], pieces)
        if cut is not None:
            channel.connection_lost(None)
            assert not channel.usable
        return [None if future.cancelled() else plain(future.result()) for future in futures]

    end, expected = 0, []
    for ask in asked:
        end += sum(len(resp(answer)) for answer in ask.answers)
        answers = ask.answers if ask.together else ask.answers[0]
        expected.append(None if ask.leaves else plain(answers if end <= arrives else Lost()))

    assert expected == virtual_time.run(run())


@given(st.binary(min_size=1, max_size=200), st.integers(0, 3))
def test_anything_else(data: bytes, waiting: int) -> None:
    """Whatever comes, nobody gets an answer too many, and the connection goes on or ends, with a value for everyone."""

    async def run() -> None:
        channel, transport = opened()
        futures = [channel.ask(b"x") for _ in range(waiting)]
        feed(channel, data)
        assert channel.usable != transport.closing
        channel.connection_lost(None)
        assert all(future.done() and future.exception() is None for future in futures)

    virtual_time.run(run())


@pytest.mark.parametrize("data", [b"+OK\r\n+OK\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n?"])
async def test_unasked(data: bytes) -> None:
    """What nobody has asked for, or is no answer, ends the connection: the next answer might be another's."""
    channel, transport = opened()
    channel.ask(b"x")
    feed(channel, data)

    assert (True, False) == (transport.closing, channel.usable)


async def test_large() -> None:
    """An answer may be larger than what is read at a time."""
    channel, _ = opened()
    answer = [bytes([number]) * ROOM for number in range(9)]
    future = channel.ask(b"x")
    feed(channel, resp(answer))

    assert answer == await future


# ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_in_one_piece() -> None:
    """What is asked in one turn of the event loop goes out together, in its order."""
    channel, transport = opened()
    for turn in (b"ab", b"c"):
        for each in turn:
            channel.ask(bytes([each]))
        await asyncio.sleep(0)

    assert [b"ab", b"c"] == transport.written


async def test_sent_after_the_end() -> None:
    """What was asked just when the connection ended is lost, and not sent."""
    channel, transport = opened()
    future = channel.ask(b"x")
    transport.closing = True
    await asyncio.sleep(0)
    channel.connection_lost(ConnectionResetError())
    lost = await future

    assert (Lost, ConnectionResetError, []) == (type(lost), type(lost.__cause__), transport.written)


async def test_retired() -> None:
    """One that is retired is closed when the last answer has come, or at once."""
    channel, transport = opened()
    futures = [channel.ask(b"x"), channel.ask(b"y")]
    channel.retire()
    seen = []
    for _ in range(2):
        feed(channel, b"+OK\r\n")
        seen.append(transport.closing)
    idle, other = opened()
    idle.retire()
    await idle.lost.wait()

    assert ([False, True], [b"OK"] * 2, True) == (seen, [future.result() for future in futures], other.closing)


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_too_late() -> None:
    """Who has waited for the time is told so, at most a part of it later; who asked after that may yet be answered."""

    async def run() -> tuple[list[float], list[bool], Any, bool]:
        loop = asyncio.get_running_loop()
        channel, transport = opened()
        began, waited = loop.time(), []
        first = [channel.ask(b"a"), channel.ask(b"b", 2)]
        await asyncio.sleep(0.7 * SECONDS)
        second = channel.ask(b"c")
        for future in first:
            assert isinstance(await future, TimeoutError)
            waited.append(loop.time() - began)
        usable = [channel.usable, second.done()]
        feed(channel, b"+1\r\n+2\r\n+3\r\n+mine\r\n")
        return waited, usable, second.result(), transport.closing

    waited, usable, answer, closing = virtual_time.run(run())

    assert all(SECONDS <= each <= SECONDS * (1 + 2 / PARTS) for each in waited)
    assert ([False, False], b"mine", True) == (usable, answer, closing)


def test_nobody_waits_any_more() -> None:
    """A connection on which everybody has waited in vain is closed."""

    async def run() -> float:
        channel, _ = opened()
        channel.ask(b"a")
        await asyncio.sleep(0.5 * SECONDS)
        channel.ask(b"b").cancel()
        await channel.lost.wait()
        return asyncio.get_running_loop().time()

    assert 1.5 * SECONDS <= virtual_time.run(run()) <= 1.7 * SECONDS


def test_in_use_for_long() -> None:
    """A connection may be in use all the time: only who waits too long himself has waited too long."""

    async def run() -> list[bool]:
        channel, _ = opened()
        waiting = [channel.ask(b"x") for _ in range(3)]
        usable = []
        for _ in range(100):
            await asyncio.sleep(SECONDS / 4)
            waiting.append(channel.ask(b"x"))
            feed(channel, b"+OK\r\n")
            usable.append(channel.usable and waiting.pop(0).result() == b"OK")
        return usable

    assert [True] * 100 == virtual_time.run(run())


def test_idle() -> None:
    """Time in which nobody waits is nobody's."""

    async def run() -> Any:
        channel, _ = opened()
        for _ in range(3):
            future = channel.ask(b"x")
            await asyncio.sleep(0.9 * SECONDS)
            feed(channel, b"+OK\r\n")
            await asyncio.sleep(10 * SECONDS)
        return channel.usable, await future

    assert (True, b"OK") == virtual_time.run(run())
