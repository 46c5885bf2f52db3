"""Connections are kept, reused, given up and closed as they should."""

from __future__ import annotations

import asyncio
import gc
import os
import pathlib
import time
import weakref
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable
from contextlib import suppress

import pytest
import uvloop

from gateway import pool as pool_module
from gateway.channel import Channel
from gateway.exchange_faults import (
    BROKEN_OFF,
    CLOSED_EARLY,
    NOT_CONNECTED,
    NOT_HTTP,
    PROXY_FAILED,
    SLOWLY_CONNECTED,
    TIMED_OUT,
)
from gateway.upstream import Upstream, Via
from providers.base import Fault, Request, Response
from tests.fakes import mishaps
from tests.fakes.forward_proxy import ForwardProxy
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.scripted_server import OK, ScriptedServer, says

DIRECT = Via()
FOREVER = 60.0
SOON = 0.2


async def send(
    upstream: Upstream, url: str, body: bytes = b"{}", via: Via = DIRECT, within: float = FOREVER
) -> Response | Fault:
    return await upstream.send(Request("POST", url, {}, body), via, asyncio.get_running_loop().time() + within, 2**20)


def text(outcome: Response | Fault) -> bytes | Fault:
    return outcome.body if isinstance(outcome, Response) else outcome


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(FOREVER):
        while not condition():  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0)


async def talk(upstream: Upstream, server: ScriptedServer, times: int) -> list[bytes | Fault]:
    async with server.serving():
        said = [text(await send(upstream, server.url)) for _ in range(times)]
        await upstream.close()
    return said


# ── requests that are sent again ──────────────────────────────────────────────────────────────────────────────────


async def test_closed_under_a_request(upstream: Upstream) -> None:
    """A request whose kept connection closes without a word is sent once more, on a new connection."""

    async def closes_on_the_second(reader: StreamReader, writer: StreamWriter) -> None:
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)

    server = ScriptedServer(closes_on_the_second)

    assert ([b"ok", b"ok", b"ok"], 3, 5) == (await talk(upstream, server, 3), server.accepted, server.requests)


async def test_closed_on_a_new_connection(upstream: Upstream) -> None:
    """A request whose new connection closes without a word is not sent again."""

    async def reads_and_goes(reader: StreamReader, writer: StreamWriter) -> None:
        await server.request(reader)

    server = ScriptedServer(reads_and_goes)

    assert ([CLOSED_EARLY], 1) == (await talk(upstream, server, 1), server.requests)


async def test_closed_within_an_answer(upstream: Upstream) -> None:
    """A request of which a byte was answered is not sent again."""

    async def begins(reader: StreamReader, writer: StreamWriter) -> None:
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)
        writer.write(b"H")

    server = ScriptedServer(begins)

    assert ([b"ok", CLOSED_EARLY], 2) == (await talk(upstream, server, 2), server.requests)


async def test_reset(upstream: Upstream) -> None:
    """A connection that is reset within an answer broke."""

    async def resets(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(OK[:-1])
        await writer.drain()
        writer.transport.abort()  # with bytes unread, which is a reset

    outcome = (await talk(upstream, ScriptedServer(resets), 1))[0]

    assert outcome in (BROKEN_OFF, CLOSED_EARLY)  # the kernel may tell of either first


# ── connections that are not used again ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", b"ok"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b"ok"),
        (OK + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanother", b"ok"),
        (OK + b"more", b"ok"),
        (b"HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\nok", b""),
        (b"+OK\r\n", NOT_HTTP),
    ],
    ids=["close", "old", "second", "more", "bodiless", "garbage"],
)
async def test_not_kept(upstream: Upstream, answer: bytes, said: bytes | Fault) -> None:
    """A connection whose end is told, or whose bytes are not accounted for, carries no second request."""
    server = ScriptedServer(says(answer, answer))

    assert ([said, said], 2) == (await talk(upstream, server, 2), server.accepted)


async def test_body_until_the_end(upstream: Upstream) -> None:
    """A body that names no length goes on until the connection ends."""
    server = ScriptedServer(says(b"HTTP/1.1 200 OK\r\n\r\nok", then_waits=False))

    assert [b"ok", b"ok"] == await talk(upstream, server, 2)


async def test_unasked_bytes(upstream: Upstream) -> None:
    """A server that speaks without being asked is left; what it said is nobody's answer."""
    spoken = asyncio.Event()

    async def speaks_up(reader: StreamReader, writer: StreamWriter) -> None:
        await server.request(reader)
        writer.write(OK)
        await asyncio.wait_for(spoken.wait(), FOREVER)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    server = ScriptedServer(speaks_up)
    async with server.serving():
        await send(upstream, server.url)
        spoken.set()
        await until(lambda: not upstream.pool(DIRECT).size)

        assert b"ok" == text(await send(upstream, server.url))
        await upstream.close()


async def test_idle(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that nobody used for a while is closed."""
    monkeypatch.setattr(pool_module, "IDLE_SECONDS", 0.01)
    server = ScriptedServer(says(OK))
    async with server.serving():
        await send(upstream, server.url)
        before = upstream.pool(DIRECT).size
        await until(lambda: not upstream.pool(DIRECT).size)

    assert 1 == before


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_time_to_connect() -> None:
    """Connecting has a time of its own."""
    upstream = Upstream(connect_seconds=0.0)

    assert SLOWLY_CONNECTED == await send(upstream, "http://127.0.0.1:9/")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1", OK[:-1], OK[:-2], b"HTTP/1.1 200 OK\r\n\r\nok"])
async def test_silence(upstream: Upstream, answer: bytes) -> None:
    """A server that falls silent at any place has no time after the deadline, and is left."""
    server = ScriptedServer(says(answer))
    async with server.serving():
        outcome = await send(upstream, server.url, within=SOON)
        await upstream.close()

    assert TIMED_OUT == outcome


# ── large requests ────────────────────────────────────────────────────────────────────────────────────────────────

LARGE = bytes(range(256)) * 2**15  # 8 MiB


async def test_large_request(upstream: Upstream) -> None:
    """A large body arrives whole, and its connection is kept."""
    arrived = []

    async def slowly(reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(2):
            arrived.append(await server.request(reader))
            writer.write(OK)
        await reader.read()

    server = ScriptedServer(slowly)
    async with server.serving():
        said = [text(await send(upstream, server.url, LARGE)) for _ in range(2)]
        await upstream.close()

    assert ([b"ok", b"ok"], True, 1) == (said, arrived == [LARGE, LARGE], server.accepted)


async def test_answer_before_the_request_is_whole(upstream: Upstream) -> None:
    """A server may refuse a body that it has not read; that connection is not used again."""

    async def refuses(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    server = ScriptedServer(refuses)
    async with server.serving():
        answers = [await send(upstream, server.url, LARGE) for _ in range(2)]
        await upstream.close()

    assert ([413, 413], 2) == ([answer.status for answer in answers if isinstance(answer, Response)], server.accepted)


# ── letting go ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_unused_pools(upstream: Upstream) -> None:
    """A way that is no longer used is forgotten: what is under way there ends well, and nothing is left open."""
    both, answering = asyncio.Barrier(2), asyncio.Event()

    async def waits(reader: StreamReader, writer: StreamWriter) -> None:
        await server.request(reader)
        await both.wait()
        writer.write(OK)
        await server.request(reader)
        await asyncio.wait_for(answering.wait(), FOREVER)
        writer.write(OK)
        await reader.read()

    server = ScriptedServer(waits)
    other = Via(proxy="http://127.0.0.1:9")
    async with server.serving():
        await asyncio.gather(*(send(upstream, server.url) for _ in range(2)))
        kept, old = upstream.pool(other), upstream.pool(DIRECT)
        under_way = asyncio.create_task(send(upstream, server.url))
        await until(lambda: server.requests == 3)
        upstream.keep({other})
        await until(lambda: old.size == 1)
        answering.set()
        said = text(await under_way)
        await until(lambda: old.size == 0)

    assert (b"ok", True, False) == (said, kept is upstream.pool(other), old is upstream.pool(DIRECT))


@pytest.mark.parametrize("before", [0, 1], ids=["new", "kept"])
async def test_closed_meanwhile(upstream: Upstream, before: int) -> None:
    """Closing takes the requests that wait along, and opens nothing for them anew."""

    async def waits(reader: StreamReader, writer: StreamWriter) -> None:
        for _ in range(before):
            await server.request(reader)
            writer.write(OK)
        await server.request(reader)
        await reader.read()

    server = ScriptedServer(waits)
    async with server.serving():
        for _ in range(before):
            await send(upstream, server.url)
        sending = asyncio.create_task(send(upstream, server.url))
        await until(lambda: server.requests == before + 1)
        await upstream.close()

        assert (CLOSED_EARLY, 1) == (await sending, server.accepted)


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("through", ["straight", "tls"])
def test_large_answers(secure: FakeOpenAI, openai_upstream: FakeOpenAI, loop: str, through: str) -> None:
    """Bodies of any size come whole over one connection, each after the other."""
    fake = secure if through == "tls" else openai_upstream
    headers = {"content-type": "application/json", "authorization": f"Bearer {fake.api_key}"}
    request = Request(
        "POST", f"{fake.base_url}/embeddings", headers, b'{"model": "text-embedding-3-small", "input": "a"}'
    )
    bodies = [bytes([65 + place]) * size for place, size in enumerate((1, 2**14, 2**16, 2**17 + 1, 2**22, 5))]

    async def run() -> tuple[list[bytes | Fault], int]:
        upstream = Upstream()
        via = Via(ca_file=str(fake.ca_file) if through == "tls" else None)
        said = []
        for body in bodies:
            fake.behave(mishaps.answers(200, body))
            said.append(text(await upstream.send(request, via, asyncio.get_running_loop().time() + FOREVER, 2**23)))
        size = upstream.pool(via).size
        await upstream.close()
        return said, size

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert (bodies, 1) == runner.run(run())
    fake.clear()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("first", "second"), [(FOREVER, SOON), (3.0, 3.1)])
def test_deadline_on_a_kept_connection(loop: str, first: float, second: float) -> None:
    """A request on a kept connection has its own time, whatever the one before it had."""

    async def run() -> tuple[bytes | Fault, float, int]:
        clock = asyncio.get_running_loop().time
        upstream, server = Upstream(), ScriptedServer(says(OK))
        async with server.serving():
            assert b"ok" == text(await send(upstream, server.url, within=first))
            begun = clock()
            said = text(await send(upstream, server.url, within=second))
            taken = clock() - begun
            await upstream.close()
        return said, taken, server.accepted

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        said, taken, accepted = runner.run(run())

    assert (TIMED_OUT, 1) == (said, accepted)
    assert second - 0.01 <= taken < second + FOREVER / 2


def open_sockets() -> int:
    links = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # which the listing itself has opened
            links.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.skipif(not pathlib.Path("/proc/self/fd").is_dir(), reason="counts open files as Linux shows them")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("through", ["straight", "proxy", "tls", "tunnel", "tunnel in tls"])
def test_cancelled_anywhere(
    secure: FakeOpenAI, openai_upstream: FakeOpenAI, monkeypatch: pytest.MonkeyPatch, loop: str, through: str
) -> None:
    """Wherever a call is cancelled, no connection is left, and the next call is answered."""
    certificate = secure.ca_file.parent / "server.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(secure.ca_file))
    fake = secure if "t" in through[:1] else openai_upstream
    headers = {"content-type": "application/json", "authorization": f"Bearer {fake.api_key}"}
    body = b'{"model": "text-embedding-3-small", "input": "a"}'
    request = Request("POST", f"{fake.base_url}/embeddings", headers, body)

    async def run(proxy: str | None) -> None:
        clock = asyncio.get_running_loop().time
        upstream = Upstream()
        via = Via(proxy)
        for steps in [*range(12), *range(12, 60, 6)]:
            fake.behave(mishaps.slow(0.001))
            sending = asyncio.create_task(upstream.send(request, via, clock() + FOREVER, 2**20))
            for _ in range(steps):
                await asyncio.sleep(0 if steps % 2 else 0.0002)
            sending.cancel()
            await asyncio.wait({sending})
            answer = await upstream.send(request, via, clock() + FOREVER, 2**20)
            assert isinstance(answer, Response)
            assert upstream.pool(via).size == 1
        await upstream.close()

    with (
        ForwardProxy(certificate if through.endswith("in tls") else None) as proxy,
        asyncio.Runner(loop_factory=LOOPS[loop]) as runner,
    ):
        runner.run(asyncio.sleep(0))
        before = open_sockets()
        runner.run(run(proxy.url if through in ("proxy", "tunnel", "tunnel in tls") else None))
        deadline = time.monotonic() + FOREVER  # the servers' ends are in this process, and close when they notice
        while open_sockets() > before and time.monotonic() < deadline:
            runner.run(asyncio.sleep(0))
        after = open_sockets()
    fake.clear()

    assert after <= before


# ── ways ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_proxy_password(upstream: Upstream, openai_upstream: FakeOpenAI, secure: FakeOpenAI) -> None:
    """A proxy is told its user and password, be it for a tunnel or not; no server is."""
    with ForwardProxy() as proxy:
        via = Via(proxy.url.replace("//", "//us%40er:pass@"), str(secure.ca_file))
        for fake in (openai_upstream, secure):
            fake.clear()
            await send(upstream, f"{fake.base_url}/embeddings", via=via)
            assert ["proxy-authorization" in asked.headers for asked in fake.requests] == [False]

    assert [True, True] == [b"\r\nproxy-authorization: Basic dXNAZXI6cGFzcw==\r\n" in head for head in proxy.heads]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nand more",
        b"SOCKS",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 70_000,
    ],
    ids=["nothing", "refusal", "more", "another protocol", "no end"],
)
async def test_bad_proxy(upstream: Upstream, reply: bytes) -> None:
    """A proxy that does not simply agree has made no tunnel."""
    server = ScriptedServer(says(reply, then_waits=False))
    async with server.serving():
        assert PROXY_FAILED == await send(upstream, "https://127.0.0.1:9/", via=Via(server.url))


async def test_server_that_speaks_first(upstream: Upstream) -> None:
    """A server that speaks before it is asked speaks another protocol."""

    async def greets(reader: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    outcome = (await talk(upstream, ScriptedServer(greets), 1))[0]

    assert outcome in (NOT_CONNECTED, NOT_HTTP)  # as fast as its greeting is


async def test_tls_with_a_plain_server(upstream: Upstream, openai_upstream: FakeOpenAI) -> None:
    """A server that does not speak TLS cannot be connected to with it."""
    assert NOT_CONNECTED == await send(upstream, openai_upstream.base_url.replace("http:", "https:"))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_closed_connections_are_forgotten(
    secure: FakeOpenAI, openai_upstream: FakeOpenAI, loop: str, secured: bool
) -> None:
    """A connection that was closed is gone at once, with its buffers, and leaves nothing for the garbage collector."""
    fake = secure if secured else openai_upstream

    async def run() -> list[weakref.ref[Channel]]:
        upstream, via = Upstream(), Via(None, str(secure.ca_file) if secured else None)
        await send(upstream, f"{fake.base_url}/embeddings", via=via)
        channels = [weakref.ref(channel) for channel in upstream.pool(via)._open]
        await upstream.close()
        return channels

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
            channels = runner.run(run())
        assert [None] == [channel() for channel in channels]
    finally:
        gc.enable()


async def test_cancelled_with_the_answer_in_hand(upstream: Upstream) -> None:
    """A call that is cancelled when its answer has just come whole leaves no connection that nobody knows."""
    server = ScriptedServer(says(OK, OK))
    async with server.serving():
        sending = asyncio.create_task(send(upstream, server.url))
        pool = upstream.pool(DIRECT)
        await until(lambda: pool.size == 1)
        (channel,) = pool._open
        answered = channel._wake

        def answered_and_cancelled() -> None:
            answered()
            sending.cancel()

        channel._wake = answered_and_cancelled  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: pool.size == 0)
