"""Around every HTTP request: its id, its record, an envelope for whatever was raised, and who is still running."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import re
import secrets
import time
from collections.abc import Iterable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import connection, sent_headers
from gateway.aftermath import HEALTH, STOPPED, Aftermath
from gateway.answers import error_body
from gateway.errors import GatewayError, InternalError, Overloaded, retry_headers
from gateway.lockstep import ENTRANCE
from gateway.logs import GATEWAY
from gateway.record import Record
from gateway.turn_head import Header

RECORD: Final = "gateway.record"
"""Where the scope keeps the request's `Record`."""
CLIENT_LEFT: Final = 499
WATCHED_SECONDS: Final = 10.0
"""Who has not asked for so long does not ask any more."""
TOLD: Final = 4
"""Balancers believe the third answer at the latest, as HAProxy and Kubernetes do unless told otherwise; while they wait
for the fourth, what they had sent before arrives."""
_SANE_ID: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_STOPPING: Final = Overloaded("The gateway is stopping. Send the request again.", headers=retry_headers(1.0))


class Running:
    """How many requests are being answered, and whether the process is about to stop.

    Whoever has asked for readiness of late is a balancer, and asks again. It must have been told that the process is
    draining, and have had the time to believe it, before the process stops listening: else requests would be lost.
    """

    def __init__(self) -> None:
        self.draining = False
        self._asked = -math.inf
        self._untold = 0
        self._told = asyncio.Event()
        self._told.set()
        self._count = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        self._count += 1
        self._idle.clear()

    def leave(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._idle.set()

    def asked(self, now: float) -> None:
        """Somebody is told whether the process is ready, in seconds of any clock."""
        self._asked = now
        self._untold -= 1
        if self._untold <= 0:
            self._told.set()

    def drain(self, now: float) -> None:
        self.draining = True
        if now - self._asked <= WATCHED_SECONDS:
            self._untold = TOLD
            self._told.clear()

    async def until_left(self, seconds: float) -> None:
        """Returns when every balancer has been told and nothing runs, or after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._told.wait()
                await self._idle.wait()


class RequestFrame:
    """Pure ASGI: Starlette's BaseHTTPMiddleware would add a task and a queue to every request."""

    def __init__(self, app: ASGIApp, running: Running, aftermath: Aftermath) -> None:
        self._app = app
        self._running = running
        self._aftermath = aftermath
        self._name, self._numbers = secrets.token_hex(10), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        record = scope[RECORD] = Record(self._request_id(scope), time.perf_counter, began)
        status = 0

        async def framed_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._with_headers(message["headers"], record)
            await send(message)

        self._running.enter()
        try:
            if not scope["path"].startswith(HEALTH):  # a probe of health waits for no crowd
                await ENTRANCE
            await self._app(scope, receive, framed_send)
        except ClientDisconnect:
            status = CLIENT_LEFT
        except asyncio.CancelledError:
            if connection.of(scope).gone:
                status = CLIENT_LEFT
                return
            record.error = STOPPED  # the server's drain time is over
            if status == 0:
                await error_response(_STOPPING)(scope, receive, framed_send)
            raise
        except GatewayError as error:
            note(record, error)
            await error_response(error)(scope, receive, framed_send)
        except Exception as error:  # noqa: BLE001 (the last resort: no stack trace reaches a client)
            GATEWAY.error("unexpected exception", exc_info=error, extra={"fields": {"id": record.request_id}})
            record.error = type(error).__name__
            if status == 0:
                internal = InternalError(
                    "The gateway made a mistake. Try again, and tell its operator the request id "
                    f"`{record.request_id}` if it persists."
                )
                await error_response(internal)(scope, receive, framed_send)
        finally:
            self._running.leave()
            self._aftermath.add(record, scope["method"], scope["path"], status)

    def _request_id(self, scope: Scope) -> str:
        """The client's own id, if it is short and plain, so that its logs and ours can be laid side by side."""
        own = sent_headers.of(scope).get(b"x-request-id")
        if own is not None and _SANE_ID.fullmatch(own):
            return own.decode()
        return f"req_{self._name}{next(self._numbers):012x}"

    def _with_headers(self, own: Iterable[Header], record: Record) -> list[Header]:
        headers, told = list(own), record.headers
        if record.error is not None:
            there = {name for name, _ in headers}  # an error knows better
            told = [header for header in told if header[0] not in there]
        headers += told
        headers += (
            (b"x-request-id", record.request_id.encode()),
            (b"openai-processing-ms", b"%d" % round(record.elapsed * 1000)),
            (b"server-timing", record.server_timing().encode()),
        )
        if self._running.draining:
            headers.append((b"connection", b"close"))
        return headers


def note(record: Record, error: GatewayError) -> None:
    record.error = error.error_code or error.type
    if error.__cause__ is not None:
        record.error += f" ({type(error.__cause__).__name__})"


def error_response(error: GatewayError) -> Response:
    return Response(error_body(error), error.status, headers=dict(error.headers), media_type="application/json")
