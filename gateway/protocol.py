"""A client's connection: HTTP/1.1 in and out, as uvicorn's server wants it of a protocol of its own.

Uvicorn's own, which does for every request what ours never needs, took an eighth of a request's time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, cast

import httptools
import uvicorn
from uvicorn.server import ServerState

from gateway import lockstep
from gateway.answers import error_body
from gateway.connection import CONNECTION, Connection
from gateway.errors import GatewayError, HeadersTooLarge, InternalError, InvalidRequest
from gateway.flow import Flow
from gateway.logs import GATEWAY
from gateway.request_head import plain, target
from gateway.turn import AnswerError, Turn
from gateway.turn_head import Header, head

MAX_HEADER_BYTES: Final = 64 * 1024
"""Of all headers of one request; more than any client needs, and than most balancers let through."""
_TRAILER: Final = cast("list[Header]", deque[Header](maxlen=0))
"""Forgets what is appended: what comes after a body is no header of anything."""
_ASGI: Final = {"version": "3.0", "spec_version": "2.3"}
_MISTAKE: Final = "The gateway made a mistake. Try again, and tell its operator if it persists."
_UNREADABLE: Final = "This is not an HTTP request that can be read: its method or its form is unknown."


class ClientProtocol(asyncio.Protocol):
    """`state` is of all connections; uvicorn waits for those, and for the tasks, that are in it when it stops."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._app = config.loaded_app
        self._patience = config.timeout_keep_alive
        self._state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._connection = Connection()
        self._parser = httptools.HttpRequestParser(self)
        # what comes after a request that was to be the last is never answered; refusing it would hide the answer
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._answering: Turn | None = None
        self._waiting = deque[Turn]()  # those that have been read, too
        self._reading: Turn | None = None  # whose body is still coming: the last of all that are there
        self._url = b""
        self._headers: list[Header] = []
        self._told = False  # that the parser has made something of what came,
        self._kept = 0  # or else how many bytes it has kept to itself
        self._plain_head = b""
        self._refusal: GatewayError | None = None

    # ── the connection ────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is one
        self._flow = Flow(transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = tuple(peer[:2]) if isinstance(peer, tuple) else None
        self._server = tuple(own[:2]) if isinstance(own, tuple) else None
        self._state.connections.add(self)  # type: ignore[arg-type]  # which names uvicorn's own classes
        self._since = self._loop.time()
        self._timer = self._loop.call_later(self._patience, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._state.connections.discard(self)
        self._timer.cancel()
        self._waiting.clear()
        self._flow.lose()
        if self._answering is not None:
            self._answering.tell()
        self._connection.hang_up()
        self._answering = self._reading = None
        del self._parser  # which holds on to this one's methods: nothing is left for the garbage collector to find

    def pause_writing(self) -> None:
        self._flow.clog()

    def resume_writing(self) -> None:
        self._flow.unclog()

    def shutdown(self) -> None:
        """Called by uvicorn: what has been asked is answered, and nothing after it."""
        if self._answering is None:
            self._flow.close()
        else:
            (self._waiting[-1] if self._waiting else self._answering).keep_alive = False

    def _look(self) -> None:
        """Closes the connection when no whole head has come for so long. One timer looks again and again: a new one for
        every request would cost more than all else that is done for it here.
        """
        now = self._loop.time()
        left = self._patience if self._answering is not None else self._since + self._patience - now
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._flow.close()

    # ── what comes in ─────────────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Counts what the parser keeps to itself: a long URL, half a header, what may stand between a body's parts."""
        if self._refusal is not None:
            return
        self._told = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(InvalidRequest(_UNREADABLE))
            return
        self._kept = 0 if self._told else self._kept + len(data)
        if self._kept > MAX_HEADER_BYTES:
            self._refuse(HeadersTooLarge(f"The request's headers are larger than {MAX_HEADER_BYTES} bytes."))

    def _stay(self, rest: memoryview) -> None:
        """Who would like another protocol is heard in this one: its head is read again, as if it had not asked.

        The parser takes whatever follows that head for the other protocol.
        """
        while True:
            try:
                self._parser.feed_data(self._plain_head)
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                self._refuse(InvalidRequest(_UNREADABLE))
                return

    def on_message_begin(self) -> None:
        self._url, self._headers = b"", []

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._told = True
        parser, headers = self._parser, self._headers
        path, raw_path, query = target(self._url)
        if parser.should_upgrade():
            self._plain_head = plain(parser.get_method(), self._url, headers)
            return
        version = parser.get_http_version()
        scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": self._client,
            "server": self._server,
            "state": self._app_state.copy(),
            CONNECTION: self._connection,
        }
        self._headers = _TRAILER
        keep_alive = version != "1.0" and parser.should_keep_alive()
        turn = self._reading = Turn(scope, self._flow, keep_alive, self._state.default_headers, self._ended)
        if self._answering is None:
            self._begin(turn)
        else:
            self._waiting.append(turn)
            self._flow.pause()

    def on_body(self, chunk: bytes) -> None:
        self._told = True
        if self._reading is not None:
            self._reading.take(chunk)

    def on_message_complete(self) -> None:
        """A large body stops the reading, without which nobody would notice that the client hangs up."""
        if self._reading is not None:
            self._reading.complete()
            self._reading = None
        if not self._waiting:
            self._flow.resume()

    # ── what goes out ─────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, turn: Turn) -> None:
        self._answering = turn
        task = self._connection.task = self._loop.create_task(self._answer(turn))
        turn.task = task
        self._state.tasks.add(task)
        lockstep.come(self._loop)

    async def _answer(self, turn: Turn) -> None:
        try:
            await self._app(turn.scope, turn.receive, turn.send)
            if not turn.answered and not self._flow.gone:
                raise AnswerError("There is no answer.")
        except asyncio.CancelledError:
            self._flow.close()  # the server's drain time is over
            raise
        except BaseException as error:  # noqa: BLE001 (the last resort, for what comes out of other languages, too)
            GATEWAY.error("unexpected exception", exc_info=error)
            if not turn.over:
                self._leave(InternalError(_MISTAKE))
        finally:
            self._state.tasks.discard(turn.task)

    def _ended(self) -> None:
        self._state.total_requests += 1
        self._answering = None
        self._since = self._loop.time()
        self._flow.resume()
        if self._flow.closing:
            return
        if self._waiting:
            self._begin(self._waiting.popleft())
        elif self._refusal is not None:
            self._leave(self._refusal)

    def _refuse(self, error: GatewayError) -> None:
        """Nothing more can be read. What has been read is answered first: clients take answers in their order."""
        self._refusal = error
        if self._reading is not None and self._waiting:
            self._waiting.pop()  # it is the one whose body cannot be read
        elif self._reading is not None and self._answering is None:
            self._flow.close()  # it has its answer
        elif self._reading is not None or self._answering is None:
            self._leave(error)

    def _leave(self, error: GatewayError) -> None:
        body = error_body(error)
        kind, length = (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))
        self._flow.write(head(error.status, [kind, length, (b"connection", b"close")]), body)
        self._flow.close()
        self._flow.lose()
