"""A Redis in this process that says OK to whatever it is told: who waits for it waits for no other process."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import AsyncExitStack
from typing import Self

from tests.fakes.conversing import conversing


class PingedServer:
    """Serves from entering to leaving; `hang` lets the connections that there are hang, new ones are answered."""

    def __init__(self) -> None:
        self.accepted = 0
        self._hanging = asyncio.Event()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.url = f"redis://127.0.0.1:{await self._stack.enter_async_context(conversing(self._converse))}"
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._stack.aclose()

    def hang(self) -> None:
        self._hanging.set()
        self._hanging = asyncio.Event()

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.accepted += 1
        hanging = self._hanging
        try:
            while line := await reader.readline():
                for _ in range(2 * int(line[1:])):  # of each word its length and itself
                    await reader.readline()
                if not hanging.is_set():
                    writer.write(b"+OK\r\n")
        finally:
            writer.close()
