"""Answers of every kind, parsed as their bytes come: framing, headers and limits, and no socket. The only httptools.

It is strict where a mistake could pass one answer's bytes for another's: two lengths, a length beside chunks, and an
unknown transfer coding are faults. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
"""

from __future__ import annotations

from typing import Final

import httptools

from gateway import answer_head
from gateway.exchange_faults import NOT_HTTP, TOO_LARGE
from providers.base import Fault

MOST_FRAMING: Final = 2**16
"""Bytes that may come without one byte of a body: heads, interim answers, chunks' extensions, trailers."""
_BODILESS: Final = (204, 304)


class AnswerParser:
    """Feed it until there is a `fault`, or it is `whole`; `most` is the largest body, as it comes.

    `length` is set where a head has been read that names one.
    """

    __slots__ = (
        *("fault", "whole", "keep", "status", "headers", "length", "until_end", "chunks"),
        *("_most", "_parser", "_lines", "_in_body", "_total", "_framing"),
    )

    def __init__(self, most: int) -> None:
        self.fault: Fault | None = None
        self.whole = False
        self.keep = False
        """Whether the connection may carry another request, as far as the bytes say that have come."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.length: int | None = None
        self.until_end = False
        """Whether the body goes on until the connection ends."""
        self.chunks: list[bytes] = []
        self._most = most
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._lines: list[tuple[bytes, bytes]] = []
        self._in_body = False
        self._total = 0
        self._framing = 0

    def feed(self, data: memoryview | bytes) -> None:
        parser, before = self._parser, self._total
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.keep = False
            self._fail(NOT_HTTP)
        self._framing = 0 if self._total > before else self._framing + len(data)
        if self._framing > MOST_FRAMING:
            self._fail(NOT_HTTP)

    def close(self) -> None:
        """The parser and this hold each other, which would keep both until a collection."""
        self._parser = None

    def _fail(self, fault: Fault) -> None:
        """The first outcome counts."""
        if self.fault is None and not self.whole:
            self.fault = fault

    # ── what httptools calls ──────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self.keep = False  # if another one has been whole already, this is more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body and not self.whole:  # else a trailer
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.fault is not None or self.whole:
            return
        status, headers = parser.get_status_code(), answer_head.told(self._lines)
        self._lines = []  # those of an interim answer say nothing of the real one
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if status < 200:
            if status == 101 or length is not None or coding is not None:
                self._fail(NOT_HTTP)
            return
        self.status, self.headers = status, headers
        self._in_body = True
        keep = parser.should_keep_alive()
        if status in _BODILESS:
            self.keep = keep and length is None and coding is None  # the parser would wait for a body
            self.whole = True
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                self._fail(NOT_HTTP)
            self.keep = keep and parser.get_http_version() == "1.1"
        elif length is None:
            self.until_end = True
        elif int(length) > self._most:  # the parser has seen to it that it is a number
            self._fail(TOO_LARGE)
        else:
            self.length = int(length)
            self.keep = keep

    def on_body(self, data: bytes) -> None:
        if self.fault is None and not self.whole:
            self._total += len(data)
            self.chunks.append(data)
            if self._total > self._most:
                self._fail(TOO_LARGE)

    def on_message_complete(self) -> None:
        if self.fault is None and self._in_body:
            self.whole = True
