"""From the start of a server to its stop: what is looked at before the first request, and what runs beside them all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.canaries import Canaries
from gateway.errors import StateUnavailable
from gateway.house import House
from gateway.logs import GATEWAY
from gateway.trials import Trials


def web(house: House, until_stopped: AbstractContextManager[None] | None = None) -> ASGIApp:
    """The ASGI application of a house; `until_stopped` is held from the start to the stop of the server."""
    of_server = Router(lifespan=lambda _: around(house, until_stopped))

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await (house.current if scope["type"] == "http" else of_server)(scope, receive, send)

    return application


@asynccontextmanager
async def around(house: House, until_stopped: AbstractContextManager[None] | None = None) -> AsyncIterator[None]:
    """What runs as long as the house serves."""
    await house.state.look()
    watch, trials = _canaries(house), Trials(lambda: house.current.generation.gateway, _loop_clock)
    await watch.look()  # what has drifted is not asked even once
    with suppress(StateUnavailable):  # nor what is drained
        await house.replicas.look()
    counting = (house.books.ledger.run(), house.books.limiter.run())
    work = (house.state.run(), *counting, house.reloader.watch(), house.replicas.run(), house.traffic.run())
    keeping = []
    if house.cache is not None:
        with suppress(StateUnavailable):
            await house.cache.learn()
        keeping.append(house.cache.run())
    async with _beside(*work, *keeping, watch.run(), trials.run()):
        with until_stopped or nullcontext():
            yield
    await house.close()


def _canaries(house: House) -> Canaries:
    interval = house.current.generation.config.server.canary_interval
    return Canaries(lambda: house.current.generation.gateway, house.spaces, house.metrics, interval)


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """What runs in the background until this is left."""
    tasks = [asyncio.create_task(one) for one in work]
    for task in tasks:
        task.add_done_callback(_tell)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        GATEWAY.error("what runs in the background has failed; restart the gateway", exc_info=task.exception())


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()
