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
    _header_bytes = 0

    def on_message_begin(self) -> None:
        self._header_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise ValueError("too many bytes of headers")  # which the parser reports as a bad request
        super().on_header(name, value)

    def send_400_response(self, msg: str) -> None:
        error: GatewayError
        if self._header_bytes > MAX_HEADER_BYTES:
            error = HeadersTooLarge(f"The request's headers are larger than {MAX_HEADER_BYTES} bytes.")
        else:
            error = InvalidRequest("This is not an HTTP request that can be read: its method or its form is unknown.")
        body = error_body(error)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (error.status, HTTPStatus(error.status).phrase.encode(), len(body), body)
        )
        self.transport.close()
