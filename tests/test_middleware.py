"""Around every request: its id, its log line, an envelope for whatever was raised, and who is still running."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.aftermath import Aftermath
from gateway.connection import CONNECTION, Connection
from gateway.errors import UnknownPath
from gateway.lockstep import ABREAST, come
from gateway.metrics import Metrics
from gateway.middleware import RECORD, TOLD, WATCHED_SECONDS, RequestFrame, Running, error_response
from tests.fakes.clock import settle

GUARD = 60.0
"""Seconds after which a test that hangs fails."""


@pytest.fixture(autouse=True)
def _log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway")


# ── applications ──────────────────────────────────────────────────────────────────────────────────────────────────


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await Response("fine", 201, {"x-own": "1"})(scope, receive, send)


async def telling(scope: Scope, receive: Receive, send: Send) -> None:
    """Fills the record, as endpoints do."""
    scope[RECORD].model = "small"
    scope[RECORD].step("upstream")
    await fine(scope, receive, send)


async def mistaken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ZeroDivisionError("a secret")


async def mistaken_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError("a secret")


async def left_alone(scope: Scope, receive: Receive, send: Send) -> None:
    raise ClientDisconnect


async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def hanging_late(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


# ── a request ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Exchange:
    """One request through the frame, and what came of it."""

    app: ASGIApp
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/embeddings"
    running: Running = field(default_factory=Running)
    sent: list[Message] = field(default_factory=list)
    client: Connection = field(default_factory=Connection)

    async def __call__(self) -> Exchange:
        scope = {
            "type": "http",
            "method": "POST",
            "path": self.path,
            CONNECTION: self.client,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in self.headers.items()],
        }
        aftermath = Aftermath(Metrics())
        try:
            await RequestFrame(self.app, self.running, aftermath)(scope, self._receive, self._send)
        finally:
            aftermath.settle()
        return self

    async def _receive(self) -> Message:
        raise AssertionError("nobody reads a body here")

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def answered(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def cancelled(exchange: Exchange) -> Exchange:
    """What the exchange is when the server gives up on it."""
    task = asyncio.create_task(exchange())
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return exchange


def log_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in caplog.records if record.name == "gateway.access"]


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_answer_goes_through() -> None:
    """An answer keeps its status, its headers and its body."""
    exchange = await Exchange(fine)()

    assert (201, "1", b"fine") == (exchange.status, exchange.answered["x-own"], exchange.body)


async def test_headers() -> None:
    """Every answer gets its id, its time in whole milliseconds and its timings."""
    exchange = await Exchange(telling)()
    shapes = {
        "x-request-id": r"req_[0-9a-f]{32}",
        "openai-processing-ms": r"\d+",
        "server-timing": r"upstream;dur=\d+\.\d{3}, total;dur=\d+\.\d{3}",
    }

    assert [] == [name for name, shape in shapes.items() if not re.fullmatch(shape, exchange.answered[name])]


async def test_times_agree() -> None:
    """Both headers tell the same time, to the millisecond."""
    answered = (await Exchange(fine)()).answered
    total = float(answered["server-timing"].removeprefix("total;dur="))

    assert pytest.approx(total, abs=1) == int(answered["openai-processing-ms"])


@pytest.mark.parametrize("own", ["a", "req-1.2:3_4", "A" * 128])
async def test_own_id(own: str) -> None:
    """A client's own id is kept, if it is short and plain."""
    assert own == (await Exchange(fine, {"x-request-id": own})()).answered["x-request-id"]


@pytest.mark.parametrize("own", ["", " ", "a b", "é", "a\x00", "a\n", "a;b", '"', "A" * 129])
async def test_id_of_ours(own: str) -> None:
    """Any other id is replaced."""
    assert (await Exchange(fine, {"x-request-id": own})()).answered["x-request-id"].startswith("req_")


async def test_ids_differ() -> None:
    """No two requests get the same id."""
    ids = {(await Exchange(fine)()).answered["x-request-id"] for _ in range(100)}

    assert 100 == len(ids)


async def test_other_scopes() -> None:
    """What is no HTTP request goes through untouched."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    exchange = Exchange(app)
    await RequestFrame(app, exchange.running, Aftermath(Metrics()))(
        {"type": "lifespan"}, exchange._receive, exchange._send
    )

    assert [{"type": "lifespan"}] == seen


# ── mistakes ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_mistake() -> None:
    """A mistake of ours is an envelope with the id to ask for."""
    exchange = await Exchange(mistaken, {"x-request-id": "r-1"})()

    assert {
        "error": {
            "message": (
                "The gateway made a mistake. Try again, and tell its operator the request id `r-1` if it persists."
            ),
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        }
    } == json.loads(exchange.body)


async def test_mistake_has_the_headers() -> None:
    """A mistake of ours has the headers of every answer."""
    exchange = await Exchange(mistaken, {"x-request-id": "r-1"})()

    assert (500, "r-1", "application/json") == (
        exchange.status,
        exchange.answered["x-request-id"],
        exchange.answered["content-type"],
    )


async def test_mistake_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of ours is logged with its exception, under the request's id."""
    await Exchange(mistaken, {"x-request-id": "r-1"})()
    (line,) = (record for record in caplog.records if record.levelno == logging.ERROR)

    assert ({"id": "r-1"}, "mistaken") == (line.__dict__["fields"], _place(line))


def _place(line: logging.LogRecord) -> str:
    """The function that raised the exception of a log line."""
    assert line.exc_info is not None
    trace = line.exc_info[2]
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    return trace.tb_frame.f_code.co_name


async def test_late_mistake() -> None:
    """An answer that has begun gets no second one."""
    exchange = await Exchange(mistaken_late)()

    assert ["http.response.start"] == [message["type"] for message in exchange.sent]


async def test_client_that_left() -> None:
    """A client that has left gets no answer."""
    assert [] == (await Exchange(left_alone)()).sent


async def test_stopping() -> None:
    """A request that the server gives up is told to be sent again."""
    exchange = await cancelled(Exchange(hanging))

    assert (503, "1", "overloaded") == (
        exchange.status,
        exchange.answered["retry-after"],
        json.loads(exchange.body)["error"]["code"],
    )


async def test_client_that_hung_up(caplog: pytest.LogCaptureFixture) -> None:
    """Work that ends because the client has gone is no answer, no error, and a 499 in the log."""
    client = Connection()
    exchange = Exchange(hanging)
    exchange.client = client
    task = asyncio.create_task(exchange())
    await settle()
    client.gone = True
    task.cancel()
    await task

    assert [] == exchange.sent
    assert [(499, None)] == [(line["status"], line.get("error")) for line in log_lines(caplog)]


async def test_stopping_late() -> None:
    """A request that the server gives up gets no second answer."""
    exchange = await cancelled(Exchange(hanging_late))

    assert ["http.response.start"] == [message["type"] for message in exchange.sent]


async def test_error_response() -> None:
    """An error's answer has its status, its headers and its envelope."""
    response = error_response(UnknownPath("Nothing.", param="p", headers={"allow": "GET"}))

    assert (
        404,
        "GET",
        {"error": {"message": "Nothing.", "type": "invalid_request_error", "param": "p", "code": None}},
    ) == (response.status_code, response.headers["allow"], json.loads(bytes(response.body)))


async def test_health_waits_for_no_crowd() -> None:
    """A probe of health that comes last of many requests is answered first."""
    loop, tasks = asyncio.get_running_loop(), []
    for path in (*["/v1/embeddings"] * 3 * ABREAST, "/health/live"):
        tasks.append(loop.create_task(Exchange(fine, path=path)()))
        come(loop)
    await asyncio.sleep(0)
    done = [task.done() for task in tasks]
    await asyncio.gather(*tasks)

    assert [False] * 3 * ABREAST + [True] == done


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_log_line(caplog: pytest.LogCaptureFixture) -> None:
    """Every request has one line, which says what is known of it."""
    await Exchange(telling, {"x-request-id": "r-1"})()
    (line,) = log_lines(caplog)
    milliseconds = line.pop("ms")

    assert (
        {"id": "r-1", "method": "POST", "path": "/v1/embeddings", "status": 201, "model": "small"},
        True,
    ) == (line, 0 <= milliseconds < GUARD * 1000)


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (mistaken, (500, "ZeroDivisionError")),
        (mistaken_late, (200, "ZeroDivisionError")),
        (left_alone, (499, None)),
    ],
)
async def test_log_line_of_a_failure(
    caplog: pytest.LogCaptureFixture, app: ASGIApp, expected: tuple[int, str | None]
) -> None:
    """A failure's line has the status that the client saw, with what went wrong."""
    await Exchange(app)()

    assert [expected] == [(line["status"], line.get("error")) for line in log_lines(caplog)]


@pytest.mark.parametrize(("app", "status"), [(hanging, 503), (hanging_late, 200)])
async def test_log_line_of_stopping(caplog: pytest.LogCaptureFixture, app: ASGIApp, status: int) -> None:
    """A request that the server gives up has a line, too."""
    await cancelled(Exchange(app))

    assert [(status, "stopping")] == [(line["status"], line["error"]) for line in log_lines(caplog)]


@pytest.mark.parametrize(("path", "lines"), [("/health/live", 0), ("/health/ready", 0), ("/health", 1), ("/v1/x", 1)])
async def test_health_is_not_logged(caplog: pytest.LogCaptureFixture, path: str, lines: int) -> None:
    """The balancer's questions after health have no line."""
    await Exchange(fine, path=path)()

    assert lines == len(log_lines(caplog))


async def test_path_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A path is logged on one line, at no great length."""
    await Exchange(fine, path="/a\n" + "b" * 200)()

    assert ["/a?" + "b" * 97 + "…"] == [line["path"] for line in log_lines(caplog)]


# ── who is running ────────────────────────────────────────────────────────────────────────────────────────────────


async def is_idle(running: Running) -> bool:
    """Whether waiting until nothing runs needs no waiting."""
    waiting = asyncio.create_task(running.until_left(3600))
    await settle()
    idle = waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    return idle


async def test_idle_at_first() -> None:
    """At first nothing runs."""
    assert await is_idle(Running())


def test_not_draining_at_first() -> None:
    """At first the process is not about to stop."""
    assert not Running().draining


@pytest.mark.parametrize(
    ("steps", "expected"), [("e", False), ("el", True), ("eel", False), ("eell", True), ("ele", False)]
)
async def test_idle(steps: str, expected: bool) -> None:
    """Nothing runs when as many have left as have entered."""
    running = Running()
    for step in steps:
        running.enter() if step == "e" else running.leave()

    assert expected == await is_idle(running)


async def test_until_left() -> None:
    """Waiting ends when the last one leaves."""
    running = Running()
    running.enter()
    waiting = asyncio.create_task(running.until_left(3600))
    await settle()
    done_before = waiting.done()
    running.leave()
    async with asyncio.timeout(GUARD):
        await waiting

    assert done_before is False


async def test_until_time_is_over() -> None:
    """Waiting ends when the time is over, whoever still runs."""
    running = Running()
    running.enter()
    async with asyncio.timeout(GUARD):
        await running.until_left(0.01)

    assert not await is_idle(running)


@pytest.mark.parametrize(("ago", "waits"), [(None, False), (WATCHED_SECONDS + 1, False), (WATCHED_SECONDS, True)])
async def test_balancers_are_told(ago: float | None, waits: bool) -> None:
    """Where readiness was asked for of late, an idle process stops when it has told four times that it drains."""
    running = Running()
    if ago is not None:
        running.asked(100.0 - ago)
    running.drain(100.0)
    left = [await is_idle(running)]
    for _ in range(TOLD):
        running.asked(101.0)
        left.append(await is_idle(running))

    assert [not waits] * TOLD + [True] == left
    assert running.draining


@pytest.mark.parametrize("app", [fine, mistaken, mistaken_late, left_alone])
async def test_requests_leave(app: ASGIApp) -> None:
    """A request is gone when it is answered, however that went."""
    exchange = await Exchange(app)()

    assert await is_idle(exchange.running)


async def test_cancelled_requests_leave() -> None:
    """A request that the server gave up is gone."""
    assert await is_idle((await cancelled(Exchange(hanging))).running)


async def test_requests_run() -> None:
    """A request is running until it is answered."""
    exchange = Exchange(hanging)
    task = asyncio.create_task(exchange())
    await settle()
    idle = await is_idle(exchange.running)
    task.cancel()
    await asyncio.wait([task])

    assert not idle


@pytest.mark.parametrize(("draining", "expected"), [(False, None), (True, "close")])
async def test_draining(draining: bool, expected: str | None) -> None:
    """While the process is about to stop, every answer closes its connection."""
    exchange = Exchange(fine)
    exchange.running.draining = draining
    await exchange()

    assert expected == exchange.answered.get("connection")
