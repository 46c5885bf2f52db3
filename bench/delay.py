"""An upstream that takes 50 ms, for which nginx has no directive: `python -m bench.delay PORT FILE`.

The leanest server that asyncio allows, over uvloop: it finds where a request ends, and sends the file when its time has
come. It knows one answer, and neither pipelining nor chunked bodies, which no client here sends.
"""

from __future__ import annotations

import asyncio
import pathlib
import re
import sys
from typing import Final, cast

import uvloop

SECONDS: Final = 0.05
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Slow(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._read += data
        head = self._read.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._read, 0, head + 2)
        if length is not None and len(self._read) >= head + 4 + int(length[1]):
            self._read = b""
            asyncio.get_running_loop().call_later(SECONDS, self._send)

    def _send(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._answer)


async def serve(port: int, body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Slow(answer), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), pathlib.Path(sys.argv[2]).read_bytes()))
