"""One HTTP/1.1 answer, read as its bytes come, each in the cheapest way that is right.

A head that comes whole and is an ordinary one is read in one go, the body behind it is received where it stays, and
everything else is parsed. A body that ends early is a fault.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

from gateway import answer_head, compression
from gateway.answer_head import Head
from gateway.answer_parser import AnswerParser
from gateway.exchange_faults import BROKEN_OFF, CLOSED_EARLY, TOO_LARGE
from providers.base import Fault, Response

MOST_ROOM: Final = 2**25
"""Bytes that are set aside because a header promises them; a longer body is kept as it comes."""


class AnswerBytes:
    """Give it what arrives, until it is `done`; its `outcome` may be asked for as soon as nothing is written to `room`.

    `most` is the largest body, compressed or not. While there is `room`, what arrives belongs in there, and `fill`
    is told how much came: so the kernel writes a large body to where it stays.
    """

    done = False
    untouched = True
    """Whether not a byte has come yet."""
    room: memoryview | None = None
    _keep = False
    _outcome: Response | Fault | None = None
    _parser: AnswerParser | None = None
    _status = 0
    _headers: Mapping[str, str] = {}
    _coding: str | None = None
    _length = 0
    _body = b""
    _received: io.BytesIO | None = None
    _filled = 0

    def __init__(self, most: int) -> None:
        self._most = most

    @property
    def outcome(self) -> Response | Fault | None:
        """None until it is done."""
        if self._outcome is None and self.done:
            if self._received is not None:
                self._received.truncate(self._length)
                self._body, self._received = self._received.getvalue(), None  # which is no copy
            coding, body = self._coding, self._body
            plain = body if coding is None else compression.decoded(body, coding, self._most)
            self._outcome = plain if isinstance(plain, Fault) else Response(self._status, self._headers, plain)
        return self._outcome

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request: a whole answer has come, and nothing behind it."""
        return self.done and self._keep

    def feed(self, data: memoryview | bytes) -> None:
        if self.done:
            return
        if self.untouched:
            self.untouched = False
            head = answer_head.read(data)
            if head is not None and head.length <= MOST_ROOM:
                self._begin(head, data[head.size :])
                return
            self._parser = AnswerParser(self._most)
        if self._parser is not None:
            self._parse(self._parser, data)

    def fill(self, count: int) -> None:
        """So many bytes have come into `room`."""
        room, self.room = self.room, None
        self._filled += count
        if room is not None and self._filled < self._length:
            self.room = room[count:]
            return
        self._keep = self._keep and self._filled == self._length
        self._finish()

    def end(self) -> None:
        """The other side has closed its direction: the end of an answer that names no length."""
        if self._parser is not None and self._parser.until_end and not self.done:
            self._take(self._parser)
            self._keep = False
            self._finish()
        self._finish(CLOSED_EARLY)

    def lose(self) -> None:
        """The connection is gone."""
        self._finish(BROKEN_OFF)

    def _begin(self, head: Head, data: memoryview | bytes) -> None:
        """What follows the head is mostly the whole body, if that is not large."""
        self._status, self._headers = head.status, head.headers
        if head.length > self._most:
            self._finish(TOO_LARGE)
        elif len(data) < head.length:
            self._keep = True
            self._make_room(head.length, [data])
        else:
            self._body = bytes(data[: head.length])
            self._keep = len(data) == head.length
            self.done = True

    def _parse(self, parser: AnswerParser, data: memoryview | bytes) -> None:
        parser.feed(data)
        if parser.fault is not None:
            self._finish(parser.fault)
        elif parser.whole:
            self._take(parser)
            self._finish()
        elif parser.length is not None and parser.length <= MOST_ROOM:
            chunks = parser.chunks
            self._take(parser)
            self._make_room(parser.length, chunks)

    def _take(self, parser: AnswerParser) -> None:
        self._status, self._headers, self._keep = parser.status, parser.headers, parser.keep
        self._coding = parser.headers.get("content-encoding")
        self._body = parser.chunks[0] if len(parser.chunks) == 1 else b"".join(parser.chunks)

    def _make_room(self, length: int, chunks: Sequence[memoryview | bytes]) -> None:
        """Room for one byte more than is announced, so that an overlong body is noticed."""
        self._length, self._received = length, io.BytesIO(bytes(length + 1))
        self._filled = sum(map(self._received.write, chunks))
        self.room = self._received.getbuffer()[self._filled :]

    def _finish(self, fault: Fault | None = None) -> None:
        """The first outcome counts."""
        if not self.done:
            self.done = True
            if fault is not None:
                self._outcome, self._keep = fault, False
        self.room = None
        if self._parser is not None:
            self._parser.close()
