"""One connection to a fake upstream, spoken by hand, so that it can be broken where no server would break it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import orjson
from starlette.types import Message

from tests.fakes.openai_upstream import Recorded, Wire

MOST_HEAD: Final = 64 * 1024
RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER with no time at all: closing sends a reset."""


class RawWire(Wire):
    """`reused` tells whether another request came before on this connection."""

    def __init__(self, writer: StreamWriter, reused: bool) -> None:
        super().__init__(self._send_message, lambda sent: None)
        self.reused = reused
        self._writer = writer
        self._chunked = False

    def reset(self) -> None:
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._writer.transport.abort()

    async def _send_message(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[tuple[bytes, bytes]] = message["headers"]
            self._chunked = all(name != b"content-length" for name, _ in headers)
            if self._chunked:
                headers = [*headers, (b"transfer-encoding", b"chunked")]
            lines = [b"%b: %b\r\n" % pair for pair in headers]
            status = HTTPStatus(message["status"]) if message["status"] in set(HTTPStatus) else None
            phrase = status.phrase.encode() if status else b"Odd"
            self._writer.write(b"HTTP/1.1 %d %b\r\n%b\r\n" % (message["status"], phrase, b"".join(lines)))
            return
        chunk: bytes = message["body"]
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunk else b""
            chunk += b"" if message["more_body"] else b"0\r\n\r\n"
        self._writer.write(chunk)
        await self._writer.drain()


Answering = Callable[[Recorded, RawWire], Awaitable[None]]


async def converse(reader: StreamReader, writer: StreamWriter, answer: Answering, left: Callable[[], None]) -> None:
    """Answers one request after the other until either side has had enough; `left` is told who went before the end.

    An answer that was left half ends the connection.
    """
    carried = b""
    reused = False
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            request = _recorded(carried + await reader.readuntil(b"\r\n\r\n"))
            length = int(request.headers.get("content-length", "0"))
            request = _with_body(request, await reader.readexactly(length))
            wire = RawWire(writer, reused)
            answering = asyncio.ensure_future(answer(request, wire))
            leaving = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    left()
                    return  # whoever sends more before it has an answer is no client of ours either
                answering.result()
            finally:
                answering.cancel()
                leaving.cancel()
                settled = await asyncio.gather(answering, leaving, return_exceptions=True)
            if not wire.whole or writer.is_closing():
                return
            carried, reused = settled[1] if isinstance(settled[1], bytes) else b"", True


def _recorded(head: bytes) -> Recorded:
    """The head of a request; strict, as what is sent here was written by a machine."""
    request_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = request_line.split(" ")
    assert version == "HTTP/1.1", version
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        assert name.lower() not in headers, f"{name} came twice"
        headers[name.lower()] = value.strip()
    assert "host" in headers
    assert "transfer-encoding" not in headers, "a body of this size needs no chunks"
    path, _, query = target.partition("?")
    return Recorded(method, path, query, headers, None, b"")


def _with_body(request: Recorded, raw: bytes) -> Recorded:
    body = orjson.loads(raw) if raw else None
    return Recorded(request.method, request.path, request.query, request.headers, body, raw)
