"""Any ASGI app on a real socket of this machine, served by uvicorn from a thread of the test process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType

import uvicorn
from anyio.from_thread import start_blocking_portal
from starlette.types import ASGIApp


class Closing:
    """Leaving closes all that `_stack` holds."""

    _stack: ExitStack

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


@contextmanager
def served(app: ASGIApp, certificate: Path | None = None) -> Iterator[uvicorn.Server]:
    """Requests still open at the end see their clients go away."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_serving(app, certificate)) as server,
    ):
        yield server


def port_of(server: uvicorn.Server) -> int:
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port


def hang_up(server: uvicorn.Server, client: tuple[str, int]) -> None:
    """Closes a client's connection: ASGI has no word for it, and returning early makes uvicorn log an error."""
    for connection in server.server_state.connections:
        if connection.transport.get_extra_info("peername") == client:
            connection.transport.close()


@asynccontextmanager
async def _serving(app: ASGIApp, certificate: Path | None) -> AsyncIterator[uvicorn.Server]:
    """Starts and stops at once, where uvicorn's own `serve` looks every tenth of a second whether it should."""
    config = uvicorn.Config(
        app,
        port=0,
        http="httptools",
        ws="none",
        interface="asgi3",  # a bound method is not recognised as such
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_certfile=certificate,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    await server.on_tick(0)  # the date header
    try:
        yield server
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        await asyncio.gather(*server.server_state.tasks)
        for listener in server.servers:
            await listener.wait_closed()
