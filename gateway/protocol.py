"""Uvicorn's HTTP protocol, whose own refusals wear the envelope too, whose headers have a limit, and which tells when a
client hangs up.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.answers import error_body
from gateway.connection import CONNECTION, Connection
from gateway.errors import GatewayError, HeadersTooLarge, InvalidRequest

MAX_HEADER_BYTES: Final = 64 * 1024
"""Of all headers of one request; more than any client needs, and than most balancers let through."""


class EnvelopeProtocol(HttpToolsProtocol):
    _in_head = False
    _head_bytes = 0
    _refused = False
    _cycle: RequestResponseCycle | None = None
    """The one that is being answered; uvicorn's own `cycle` is the last that was read, behind which others may wait."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        self._connection = Connection()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cycle is not None:
            self._cycle.disconnected = True
        self.pipeline.clear()
        super().connection_lost(exc)
        self._connection.hang_up()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()
        self.scope[CONNECTION] = self._connection  # type: ignore[typeddict-unknown-key]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._cycle = cycle
        if cycle.scope["method"] != "HEAD":  # whose answer is a head alone
            cycle.transport = cast("asyncio.Transport", _Joining(cycle))
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """A large body stops the reading, without which nobody would notice that the client hangs up."""
        super().on_message_complete()
        if not self.pipeline:
            self.flow.resume_reading()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Counts what comes before a head is whole: the parser shows neither a long URL nor half a header."""
        if self._refused:
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self._refuse(HeadersTooLarge(f"The request's headers are larger than {MAX_HEADER_BYTES} bytes."))

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("This is not an HTTP request that can be read: its method or its form is unknown."))

    def _refuse(self, error: GatewayError) -> None:
        self._refused = True
        body = error_body(error)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (error.status, HTTPStatus(error.status).phrase.encode(), len(body), body)
        )
        self.transport.close()


class _Joining:
    """What uvicorn uses of a transport: an answer's head goes out with the first of its body, in one system call."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.writelines((head, data))
        elif head is None and self._cycle.response_started:
            self._head = data
        else:
            self._head = head  # before an answer there may be an interim one
            self._transport.write(data)

    def close(self) -> None:
        if self._head:
            self._transport.write(self._head)
        self._transport.close()
