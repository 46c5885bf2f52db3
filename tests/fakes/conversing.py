"""A listener on this machine that talks with each connection by itself, and leaves none behind."""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Converse = Callable[[StreamReader, StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def conversing(converse: Converse, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Yields the port; what still talks when this is left is cancelled."""
    talking: set[asyncio.Task[None]] = set()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(converse(reader, writer))
        talking.add(task)
        task.add_done_callback(talking.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await listener.wait_closed()
