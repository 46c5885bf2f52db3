"""Uvicorn's HTTP protocol, whose own refusals wear the envelope too, and whose headers have a limit."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.answers import error_body
from gateway.errors import GatewayError, HeadersTooLarge, InvalidRequest

MAX_HEADER_BYTES: Final = 64 * 1024
"""Of all headers of one request; more than any client needs, and than most balancers let through."""


class EnvelopeProtocol(HttpToolsProtocol):
    _in_head = False
    _head_bytes = 0
    _refused = False

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

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
