"""HTTP/1.1 between a client and an ASGI application, over sockets, in a server of uvicorn's."""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from gateway.protocol import MAX_HEADER_BYTES, ClientProtocol
from gateway.turn import Turn
from tests.fakes.behaviours import LARGE, Seen, application
from tests.fakes.raw_client import GUARD, RawClient, request

CHUNKED = "transfer-encoding: chunked"
INVITED = "expect: 100-continue"
KEEP_ALIVE = 3.0


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Running:
    port: int
    server: uvicorn.Server
    seen: Seen

    def client(self) -> RawClient:
        return RawClient(self.port)

    def eventually(self, condition: Callable[[], bool]) -> bool:
        until = time.monotonic() + GUARD
        while not (met := condition()) and time.monotonic() < until:
            time.sleep(0.005)
        return met


@contextmanager
def serving(loop: str, keep_alive: float = 75) -> Iterator[Running]:
    """Served in a thread of its own by uvicorn, until this is left; then it stops as it does on a signal."""
    seen = Seen()
    config = uvicorn.Config(
        application(seen),
        http=ClientProtocol,
        loop=loop,
        ws="none",
        lifespan="off",
        log_config=None,
        server_header=False,
        timeout_keep_alive=keep_alive,  # type: ignore[arg-type]  # seconds of any kind
        timeout_graceful_shutdown=int(GUARD),
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        running = Running(listener.getsockname()[1], server, seen)
        assert running.eventually(lambda: server.started)
        try:
            yield running
        finally:
            seen.release.set()
            server.should_exit = True
            thread.join(2 * GUARD)
            assert not thread.is_alive()


@pytest.fixture(scope="module", params=["gateway.event_loop:EventLoop", "asyncio"])
def shared(request: pytest.FixtureRequest) -> Iterator[Running]:
    with serving(request.param) as running:
        yield running


@pytest.fixture
def running(shared: Running) -> Iterator[Running]:
    """What a test leaves behind nobody else finds."""
    for event in (shared.seen.release, shared.seen.begun, shared.seen.left):
        event.clear()
    yield shared
    shared.seen.release.set()
    assert shared.eventually(lambda: not shared.server.server_state.connections)
    assert shared.eventually(lambda: not shared.server.server_state.tasks)


@pytest.fixture
def client(running: Running) -> Iterator[RawClient]:
    with running.client() as client:
        yield client


@pytest.fixture
def fresh() -> Iterator[Running]:
    """A server that waits for the next request as long as a busy machine may need to send it, and no longer."""
    with serving("gateway.event_loop:EventLoop", keep_alive=KEEP_ALIVE) as running:
        yield running


# ── a request ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_request(running: Running, client: RawClient) -> None:
    """The application is told what ASGI says: names of headers in lower case, the path without its escapes."""
    told = json.loads(client.ask(request("/a%20b?c=%20d", "POST", "X-Own: Ü", body=b"text")).body)

    assert {
        "type": "http",
        "method": "POST",
        "path": "/a b",
        "raw_path": "/a%20b",
        "query_string": "c=%20d",
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
        "headers": [["host", "x"], ["x-own", "Ü"], ["content-length", "4"]],
        "body": "text",
        "client": "127.0.0.1",
        "server": ["127.0.0.1", running.port],
    } == told


def test_answer(client: RawClient) -> None:
    """An answer has its status line, the date, the application's headers, and nothing else."""
    answer = client.ask(request("/length"))
    names = [name for name, _ in answer.headers]

    assert ("HTTP/1.1 200 OK", ["date", "content-length"], b"0") == (answer.line, names, answer.body)


def test_kept_alive(client: RawClient) -> None:
    """Requests follow each other on one connection."""
    answers = [client.ask(request("/length", "POST", body=b"x" * number)).body for number in (1, 2, 3)]

    assert [b"1", b"2", b"3"] == answers


@pytest.mark.parametrize("size", [1, 7, 50])
def test_in_bits(client: RawClient, size: int) -> None:
    """A request may come in bits, cut anywhere."""
    whole = request("/some/path", "POST", "x-own: value", body=b"a body")
    for start in range(0, len(whole), size):
        client.send(whole[start : start + size])
        time.sleep(0)
    told = json.loads(client.answer().body)

    assert ("/some/path", "a body") == (told["path"], told["body"])
    assert ["x-own", "value"] in told["headers"]


def test_chunked_request(client: RawClient) -> None:
    """A chunked body is put together; what its trailer says is no header."""
    body = b"3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-own: smuggled\r\n\r\n"
    told = json.loads(client.ask(request("/", "POST", CHUNKED, body=body)).body)
    following = json.loads(client.ask(request()).body)

    assert "abcdefg" == told["body"]
    assert [["host", "x"], ["transfer-encoding", "chunked"]] == told["headers"]
    assert [["host", "x"]] == following["headers"]


def test_large_request(client: RawClient) -> None:
    """A large body arrives whole."""
    assert b"5000000" == client.ask(request("/length", "POST", body=b"x" * 5_000_000)).body


def test_nobody_asks(running: Running, client: RawClient) -> None:
    """Of a body for which nobody asks yet no more is read than the system and the server keep."""
    client.send(request("/unread", "POST", "content-length: 30000000"))
    assert running.seen.begun.wait(GUARD)
    sent = client.until_stuck(b"x" * 2**20)
    running.seen.release.set()
    client.send(b"x" * (30_000_000 - sent))

    assert b"30000000" == client.answer().body
    assert sent < 20_000_000


@pytest.mark.parametrize(
    ("target", "path"),
    [("http://x/a?b", "/a"), ("/a#b", "/a"), ("//a", "//a"), ("/a?b?c", "/a"), ("/%", "/%"), ("*", "*")],
)
def test_targets(client: RawClient, target: str, path: str) -> None:
    """Whichever form of a target that has a path."""
    assert path == json.loads(client.ask(request(target, "OPTIONS")).body)["path"]


@pytest.mark.parametrize(
    "raw",
    [
        request("x:443", "CONNECT"),
        request("x:443", "CONNECT", "upgrade: x", "connection: upgrade"),
        request("http://x"),
        request("/ü"),
        b"nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
def test_unreadable(client: RawClient, raw: bytes) -> None:
    """What cannot be read is told so in an envelope, and the connection ends."""
    answer = client.ask(raw)

    assert (400, "close", b"") == (answer.status, answer.header("connection"), client.rest())
    assert "not an HTTP request" in json.loads(answer.body)["error"]["message"]


def test_unreadable_behind(running: Running, client: RawClient) -> None:
    """What was asked before is answered before, and what comes after is not read."""
    client.send(request("/held"), request("/length"), b"nonsense\r\n\r\n", request("/length"))
    assert running.seen.begun.wait(GUARD)
    running.seen.release.set()
    answers = [client.answer() for _ in range(3)]

    assert [(200, b"held"), (200, b"0")] == [(answer.status, answer.body) for answer in answers[:2]]
    assert (400, b"") == (answers[2].status, client.rest())


@pytest.mark.parametrize("before", [b"", request("/length")], ids=["first", "second"])
def test_unreadable_body(client: RawClient, before: bytes) -> None:
    """A body that breaks off its form is refused, however long its request has waited."""
    client.send(before, request("/length", "POST", CHUNKED, body=b"2\r\nab\r\nnonsense\r\n"))
    if before:
        assert 200 == client.answer().status

    assert 400 == client.answer().status
    assert b"" == client.rest()


def test_unreadable_body_after_the_answer(client: RawClient) -> None:
    """Whose body breaks off its form after it has been answered is told nothing more."""
    assert 413 == client.ask(request("/early", "POST", CHUNKED, body=b"2\r\nab\r\n")).status
    client.send(b"nonsense\r\n")

    assert b"" == client.rest()


@pytest.mark.parametrize("what", ["x-long: ", "/"])
def test_long_head(client: RawClient, what: str) -> None:
    """A head without an end is refused."""
    begun = b"GET / HTTP/1.1\r\n" if what != "/" else b"GET "
    client.send(begun, what.encode(), b"a" * (MAX_HEADER_BYTES - 100))
    answer = client.ask(b"a" * 101)

    assert (431, "close") == (answer.status, answer.header("connection"))


@pytest.mark.parametrize("begun", [b"2;", b"0\r\nx-trailer: "], ids=["extension", "trailer"])
def test_long_frame(running: Running, client: RawClient, begun: bytes) -> None:
    """So is what comes with a body, and is no part of it."""
    client.send(request("/unread", "POST", CHUNKED))
    assert running.seen.begun.wait(GUARD)
    client.send(begun, b"a" * (MAX_HEADER_BYTES - 100))

    assert 431 == client.ask(b"a" * 101).status


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
@pytest.mark.parametrize("body", [b"", b"text"])
def test_upgrade(client: RawClient, upgrade: str, body: bytes) -> None:
    """Who would like another protocol is answered in this one, and so is what follows."""
    raw = request("/", "POST", f"upgrade: {upgrade}", "connection: upgrade", "x-own: 1", body=body)
    client.send(raw, raw, request("/length", "POST", body=b"12345"))
    first, second = (json.loads(client.answer().body) for _ in range(2))

    assert (first, b"5") == (second, client.answer().body)
    assert ("POST", "/", body.decode()) == (first["method"], first["path"], first["body"])
    assert ["x-own", "1"] in first["headers"]


# ── an answer ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_head(client: RawClient) -> None:
    """HEAD is answered with the length that GET's answer has, and without its body."""
    client.send(request("/large", "HEAD"), request("/length"))
    first = client.answer(bodiless=True)

    assert (200, str(LARGE)) == (first.status, first.header("content-length"))
    assert b"0" == client.answer().body


def test_nothing(client: RawClient) -> None:
    """A status without a body has no length either."""
    client.send(request("/nothing"), request("/length"))
    first = client.answer(bodiless=True)

    assert ("HTTP/1.1 204 No Content", None) == (first.line, first.header("content-length"))
    assert b"0" == client.answer().body


def test_pieces(client: RawClient) -> None:
    """What the application sends in pieces goes out as one, with its length."""
    assert b"012" == client.ask(request("/pieces")).body


@pytest.mark.parametrize("value", [r"a\r\nx-own:1", r"a\nb", r"a\rb", r"a\0b", r"\r\n\r\nb", r"a\x7f", r"a\x1b", r"\n"])
def test_injection(client: RawClient, value: str) -> None:
    """A header that would end its line, or the head, gets nowhere; neither does the answer that has it."""
    answer = client.ask(request(f"/injected?{value}"))

    assert (500, b"") == (answer.status, client.rest())
    assert ["content-type", "content-length", "connection"] == [name for name, _ in answer.headers]


def test_harmless_header(client: RawClient) -> None:
    """Any other value goes out as it is."""
    assert "a\tb: é,\"'\\" == client.ask(request(r"/injected?a\tb:\x20\xe9,\"'\\")).header("x-value")


@pytest.mark.parametrize("path", ["/raising", "/late", "/panicking", "/silent", "/headless", "/short"])
def test_mistakes(client: RawClient, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """An application that fails before its answer has gone out is answered for, and told in the log."""
    with caplog.at_level(logging.ERROR, "gateway"):
        answer = client.ask(request(path))

    assert (500, "close", b"") == (answer.status, answer.header("connection"), client.rest())
    assert ["error"] == list(json.loads(answer.body))
    assert b"secret" not in answer.body
    assert ["unexpected exception"] == [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("path", ["/after", "/twice"])
def test_mistakes_after(client: RawClient, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """One that fails later has been heard, and so is who asks next."""
    with caplog.at_level(logging.ERROR, "gateway"):
        answers = [client.ask(request(path)).body, client.ask(request("/length")).body]

    assert [b"fine", b"0"] == answers
    assert ["unexpected exception"] == [record.getMessage() for record in caplog.records]


# ── turns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pipelined(running: Running, client: RawClient) -> None:
    """Requests in one segment are answered in their order, however long the first takes."""
    client.send(request("/held"), *(request("/length", "POST", body=b"x" * number) for number in (5, 100_000, 7)))
    assert running.seen.begun.wait(GUARD)
    running.seen.release.set()

    assert [b"held", b"5", b"100000", b"7"] == [client.answer().body for _ in range(4)]


def test_a_thousand_pipelined(client: RawClient) -> None:
    """Many of them, too."""
    client.send(request("/length") * 1000)

    assert [b"0"] * 1000 == [client.answer().body for _ in range(1000)]


def test_others_meanwhile(running: Running, client: RawClient) -> None:
    """A connection does not wait for another."""
    client.send(request("/held"))
    assert running.seen.begun.wait(GUARD)
    with running.client() as other:
        assert b"0" == other.ask(request("/length")).body
    running.seen.release.set()

    assert b"held" == client.answer().body


# ── the end of a connection ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "raw",
    [
        request("/length", "GET", "connection: close"),
        request("/length", "GET", "connection: Close, te"),
        request("/length", version="1.0"),
        request("/length", "GET", "connection: keep-alive", version="1.0"),
        request("/closing"),
    ],
)
def test_closed(client: RawClient, raw: bytes) -> None:
    """Whoever of both wants no other request says so; then the connection ends, whatever else was sent."""
    answer = client.ask(raw, request("/length"))

    assert (200, "close", b"") == (answer.status, (answer.header("connection") or "").lower(), client.rest())


def test_idle(fresh: Running) -> None:
    """A connection without a request ends after a while, whether it has had one or not, and so does half a request."""
    with fresh.client() as silent, fresh.client() as idle, fresh.client() as half:
        answer = idle.ask(request("/length"))
        half.send(b"GET / HTTP/1.1\r\nhost: ")
        rests = [client.rest() for client in (silent, idle, half)]

    assert 200 == answer.status
    assert [b"", b"", b""] == rests


def test_not_idle(fresh: Running) -> None:
    """Who is being answered is not idle, nor who asks again in time."""
    with fresh.client() as client, fresh.client() as asking:
        client.send(request("/held"))
        until = time.monotonic() + 1.5 * KEEP_ALIVE
        while time.monotonic() < until:
            assert b"0" == asking.ask(request("/length")).body
            time.sleep(0.05)
        fresh.seen.release.set()
        answer = client.answer()

    assert b"held" == answer.body


def test_stopping() -> None:
    """When the server stops, idle connections end, and who has asked is answered, that being the last."""
    with serving("gateway.event_loop:EventLoop") as running, running.client() as idle, running.client() as client:
        idle.ask(request("/length"))
        client.send(request("/length"), request("/held"))
        assert running.seen.begun.wait(GUARD)
        running.server.should_exit = True
        ended = idle.rest()
        running.seen.release.set()
        answers = [client.answer() for _ in range(2)]
        rest = client.rest()

    assert (b"", b"") == (ended, rest)
    assert [(b"0", None), (b"held", "close")] == [(answer.body, answer.header("connection")) for answer in answers]


def test_client_leaves(running: Running) -> None:
    """An application that waits is told that the client has gone; what it then sends goes nowhere."""
    with running.client() as client:
        client.send(request("/leaving", "POST", body=b"x"))
        assert running.seen.begun.wait(GUARD)

    assert running.seen.left.wait(GUARD)


def test_leaves_in_the_body(running: Running) -> None:
    """Likewise in the middle of a body."""
    with running.client() as client:
        client.send(request("/unread", "POST", "content-length: 100", body=b""), b"x" * 10)
        assert running.seen.begun.wait(GUARD)
    running.seen.release.set()

    assert running.eventually(lambda: not running.server.server_state.tasks)


@pytest.mark.parametrize("paths", [["/length"], ["/length", "/large"], []])
def test_nothing_is_left(running: Running, paths: list[str]) -> None:
    """A connection that has ended is no work for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            with running.client() as client:
                client.send(*map(request, paths))
                if paths:
                    client.answer()
        gone = running.eventually(lambda: not any(isinstance(one, ClientProtocol | Turn) for one in gc.get_objects()))
    finally:
        gc.enable()

    assert gone


# ── invitations ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_invited(client: RawClient) -> None:
    """A client that waits to be told that its body is wanted is told so, once."""
    client.send(request("/length", "POST", INVITED.upper(), "content-length: 4"))
    line, headers = client.head()
    client.send(b"te")
    client.send(b"xt")
    answer = client.answer()

    assert ("HTTP/1.1 100 Continue", []) == (line, headers)
    assert (200, b"4", None) == (answer.status, answer.body, answer.header("connection"))


def test_not_invited(client: RawClient) -> None:
    """One whose body nobody wants gets its answer at once, as the last: it may send the body, or not."""
    answer = client.ask(request("/early", "POST", INVITED, "content-length: 4"))

    assert (413, "close", b"") == (answer.status, answer.header("connection"), client.rest())


def test_uninvited(client: RawClient) -> None:
    """One that does not wait needs no invitation."""
    assert b"4" == client.ask(request("/length", "POST", INVITED, body=b"text")).body


def test_early(client: RawClient) -> None:
    """An answer may come before the body, of which the rest is thrown away; the connection goes on."""
    early = client.ask(request("/early", "POST", "content-length: 1000000"))
    client.send(b"x" * 1_000_000)

    assert (413, None) == (early.status, early.header("connection"))
    assert b"0" == client.ask(request("/length")).body


# ── a slow reader ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_slow_reader(running: Running) -> None:
    """Who reads slowly gets all of it, and keeps nobody waiting; its next answer is made, and waits to be sent."""
    with running.client() as slow, running.client() as other:
        slow.send(request("/large"), request("/large"), request("/length"))
        meanwhile = [other.ask(request("/length")).body for _ in range(20)]
        bodies = [slow.answer().body for _ in range(3)]

    assert [b"0"] * 20 == meanwhile
    assert [LARGE, LARGE, 1] == list(map(len, bodies))


def test_slow_reader_leaves(running: Running) -> None:
    """One that goes in the midst leaves nothing behind, whatever waits to be sent to it."""
    with running.client() as slow:
        slow.send(request("/large"), request("/large"), request("/large"))
        slow.socket.recv(1)

    assert running.eventually(lambda: not running.server.server_state.tasks)


# ── a flood ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_clients(running: Running) -> None:
    """Three hundred clients that come at once are all answered."""
    clients = [running.client() for _ in range(300)]
    for client in clients:
        client.send(request("/length", "POST", body=b"text"))
    bodies = {client.answer().body for client in clients}
    for client in clients:
        client.socket.close()

    assert {b"4"} == bodies


def test_state(running: Running, client: RawClient) -> None:
    """What uvicorn counts is counted."""
    before = running.server.server_state.total_requests
    client.ask(request("/length"))

    assert running.eventually(lambda: running.server.server_state.total_requests == before + 1)
