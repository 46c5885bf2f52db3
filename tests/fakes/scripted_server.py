"""A server on this machine that answers each connection by a script: for what no decent server does."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from tests.fakes.conversing import conversing

Script = Callable[[StreamReader, StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def says(*answers: bytes, then_waits: bool = True) -> Script:
    """One answer a request; then it waits for the client to go, or goes first."""

    async def script(reader: StreamReader, writer: StreamWriter) -> None:
        for answer in answers:
            await whole_request(reader)
            writer.write(answer)
        if then_waits:
            await reader.read()

    return script


async def whole_request(reader: StreamReader) -> bytes:
    """Its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return await reader.readexactly(sum(lengths))


class ScriptedServer:
    """The last script goes on for all further connections. A connection is closed when its script ends."""

    def __init__(self, *scripts: Script) -> None:
        self.url = ""
        self.accepted = 0
        self.requests = 0
        self._scripts = scripts

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedServer]:
        async with conversing(self._converse) as port:
            self.url = f"http://127.0.0.1:{port}/"
            yield self

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
        self.accepted += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await script(reader, writer)
        finally:
            writer.close()

    async def request(self, reader: StreamReader) -> bytes:
        """A whole request, which is counted; its body."""
        body = await whole_request(reader)
        self.requests += 1
        return body
