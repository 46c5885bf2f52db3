"""One HTTP/1.1 answer, read as its bytes come: framing, headers and limits, and no socket. The only httptools.

It is strict where a mistake could pass one answer's bytes for another's: two lengths, a length beside chunks, an
unknown transfer coding and a body that ends early are faults. https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
"""

from __future__ import annotations

import functools
from typing import Final

import httptools

from gateway import compression
from gateway.exchange_faults import BROKEN_OFF, CLOSED_EARLY, NOT_HTTP, TOO_LARGE
from providers.base import Fault, Response

MOST_FRAMING: Final = 2**16
"""Bytes that may come without one byte of a body: heads, interim answers, chunks' extensions, trailers."""
MOST_ROOM: Final = 2**25
"""Bytes that are set aside because a header promises them; a longer body is kept as it comes."""
_BODILESS: Final = (204, 304)


class AnswerBytes:
    """Give it what arrives, until there is an `outcome`.

    `most` is the largest body, compressed or not. While there is `room`, what arrives belongs in there, and `fill`
    is told how much came: so the kernel writes a large body to where it stays.
    """

    __slots__ = (
        *("outcome", "_keep", "untouched", "room", "_most", "_parser", "_headers", "_status", "_in_body"),
        *("_length", "_until_end", "_chunks", "_total", "_framing", "_whole", "_filled"),
    )

    def __init__(self, most: int) -> None:
        self.outcome: Response | Fault | None = None
        self.untouched = True
        """Whether not a byte has come yet."""
        self.room: memoryview | None = None
        self._most = most
        self._keep = False
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._status = 0
        self._in_body = False
        self._length: int | None = None
        self._until_end = False
        self._chunks: list[bytes] = []
        self._total = 0
        self._framing = 0
        self._whole = bytearray()
        self._filled = 0

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request: a whole answer has come, and nothing behind it."""
        return self._keep and isinstance(self.outcome, Response)

    def feed(self, data: memoryview | bytes) -> None:
        self.untouched = False
        parser, before = self._parser, self._total
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keep = False
            self._finish(NOT_HTTP)
        if self.outcome is not None:
            return
        self._framing = 0 if self._total > before else self._framing + len(data)
        if self._framing > MOST_FRAMING:
            self._finish(NOT_HTTP)
        elif self._length is not None and self._length <= MOST_ROOM:
            self._make_room(self._length)

    def fill(self, count: int) -> None:
        """So many bytes have come into `room`."""
        self._filled += count
        length = self._length or 0
        if self._filled < length:
            self.room = memoryview(self._whole)[self._filled :]
            return
        self._keep = self._keep and self._filled == length
        with memoryview(self._whole) as whole:
            self._deliver(bytes(whole[:length]))

    def end(self) -> None:
        """The other side has closed its direction: the end of an answer that names no length."""
        if self._until_end and self.outcome is None:
            self._keep = False
            self._deliver(b"".join(self._chunks))
        self._finish(CLOSED_EARLY)

    def lose(self) -> None:
        """The connection is gone."""
        self._finish(BROKEN_OFF)

    # ── what httptools calls ──────────────────────────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        self._keep = False  # if another one has been whole already, this is more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body or self.outcome is not None:
            return  # a trailer
        key, text = _name(name), _text(value)
        headers = self._headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.outcome is not None:
            return
        status, headers = parser.get_status_code(), self._headers
        length, coding = headers.get("content-length"), headers.get("transfer-encoding")
        if status < 200:
            if status == 101 or length is not None or coding is not None:
                self._finish(NOT_HTTP)
            return
        self._status = status
        self._in_body = True
        keep = parser.should_keep_alive()
        if status in _BODILESS:
            self._keep = keep and length is None and coding is None  # the parser would wait for a body
            self._deliver(b"")
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                self._finish(NOT_HTTP)
            self._keep = keep and parser.get_http_version() == "1.1"
        elif length is None:
            self._until_end = True
        elif int(length) > self._most:  # the parser has seen to it that it is a number
            self._finish(TOO_LARGE)
        else:
            self._length = int(length)
            self._keep = keep

    def on_body(self, data: bytes) -> None:
        if self.outcome is None:
            self._total += len(data)
            self._chunks.append(data)
            if self._total > self._most:
                self._finish(TOO_LARGE)

    def on_message_complete(self) -> None:
        if self.outcome is not None:
            return
        if self._in_body:
            self._deliver(self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks))
        else:
            self._headers = {}  # an interim answer is over, whose headers say nothing of the real one

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _make_room(self, length: int) -> None:
        """Room for one byte more than is announced, so that an overlong body is noticed."""
        self._whole = bytearray(length + 1)
        for chunk in self._chunks:
            self._whole[self._filled : self._filled + len(chunk)] = chunk
            self._filled += len(chunk)
        self._chunks = []
        self.room = memoryview(self._whole)[self._filled :]

    def _deliver(self, body: bytes) -> None:
        coding = self._headers.get("content-encoding")
        plain = body if coding is None else compression.decoded(body, coding, self._most)
        self._finish(plain if isinstance(plain, Fault) else Response(self._status, self._headers, plain))

    def _finish(self, outcome: Response | Fault) -> None:
        """The first outcome counts. The parser and this hold each other, which would keep both until a collection."""
        if self.outcome is None:
            self.outcome = outcome
        self.room = self._parser = None
        self._chunks = []


@functools.lru_cache(maxsize=256)
def _name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8").strip()
    except UnicodeDecodeError:
        return value.decode("latin-1").strip()
