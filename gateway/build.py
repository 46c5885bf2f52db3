"""From a checked `Config` to the things that serve: the only place that constructs."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from gateway import assembly, entrance
from gateway.admin import Admin
from gateway.app import application
from gateway.books import Books, unkept
from gateway.cache import Cache
from gateway.cache_memory import Memory
from gateway.config import Config, ModelConfig, StateConfig
from gateway.dispatch import Dispatcher
from gateway.endpoints import Endpoints
from gateway.engines import Engines
from gateway.entrance import Entrance
from gateway.flights import Flights
from gateway.ledger import Ledger
from gateway.limits import Limiter
from gateway.logs import GATEWAY
from gateway.metrics import Metrics
from gateway.middleware import Running
from gateway.retry import Retry
from gateway.routing import Route, Routes
from gateway.service import Gateway
from gateway.state_watch import StateWatch
from gateway.store import Store
from gateway.store.embedded import EmbeddedStore
from gateway.store.memory import MemoryLimits
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_cache import RedisCache
from gateway.store.redis_link import RedisLink
from gateway.supply import Supply
from gateway.telemetry import Telemetry
from gateway.token_sources import TokenSources
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as the process."""

    config: Config
    gateway: Gateway
    store: Store
    entrance: Entrance
    upstream: Upstream
    engines: Engines
    running: Running
    books: Books
    state: StateWatch
    metrics: Metrics
    cache: Cache | None

    async def close(self) -> None:
        """Settles and writes down what is left; none of it is left out because another part failed."""
        async with AsyncExitStack() as last_first:
            last_first.push_async_callback(self.store.close)
            last_first.push_async_callback(self.books.ledger.write)
            last_first.push_async_callback(self.books.limiter.settled)
            if self.cache is not None:
                last_first.push_async_callback(self.cache.close)
            last_first.push_async_callback(self.upstream.close)
            last_first.push_async_callback(self.engines.close)


def house(config: Config) -> House:
    """Loads local models, and opens the state; connects to no upstream. Raises BuildError or StoreError."""
    upstream, engines = Upstream(), Engines(_threads(config.server.workers))
    trusted = entrance.trusted(config, upstream)
    kept, on_loss = store(config), config.state.on_loss
    metrics = Metrics()
    books = Books(
        Limiter(kept, MemoryLimits(time.time), config.teams, on_loss, time.time, metrics),
        Ledger(kept, time.time),
    )
    vectors = cache(config, metrics)
    return House(
        config=config,
        gateway=gateway(config, upstream, engines, books, vectors),
        store=kept,
        entrance=entrance.entrance(config, kept, trusted),
        upstream=upstream,
        engines=engines,
        running=Running(),
        books=books,
        state=StateWatch(kept, on_loss, metrics),
        metrics=metrics,
        cache=vectors,
    )


def _threads(workers: int) -> int | None:
    """Of one forward pass: workers share the processors, and one alone leaves their number to the models' libraries."""
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


def gateway(
    config: Config,
    upstream: Upstream,
    engines: Engines | None = None,
    books: Books | None = None,
    cache: Cache | None = None,
) -> Gateway:
    """The routes with their backends. Raises BuildError.

    Whoever gives `upstream` and `engines` closes them; engines that nobody gives end with the process. Without books
    nothing is written down.
    """
    made = routes(config.models, upstream, engines or Engines())
    dispatcher = Dispatcher(retry(), _loop_clock)
    return Gateway(
        routes=Routes(made),
        counters={route.tokenizer: assembly.counter(route) for route in made},
        dispatcher=dispatcher,
        books=books or unkept(time.time),
        random=random.random,
        supply=None if cache is None else Supply(cache, dispatcher, Flights()),
    )


def routes(models: Sequence[ModelConfig], upstream: Upstream, engines: Engines) -> list[Route]:
    """The models with their backends; what several of them use is made once. Raises BuildError."""
    sources = TokenSources(upstream, _loop_clock, time.time)
    return [assembly.route(model, engines, upstream, sources) for model in models]


def retry() -> Retry:
    return Retry(_loop_clock, asyncio.sleep, random.random)


def store(config: Config) -> Store:
    """Raises StoreError where the state cannot be used at all; a Redis is not connected to before it is asked."""
    state = config.state
    if state.file is not None:
        return EmbeddedStore(state.file)
    return RedisStore(_link(state))


def _link(state: StateConfig) -> RedisLink:
    return RedisLink(Address.of(state.url or "", state.password), state.ca_file)


def cache(config: Config, metrics: Metrics) -> Cache | None:
    """Raises StoreError where the state's CA file cannot be used."""
    kept = config.cache
    if kept is None:
        return None
    return Cache(Memory(kept.memory), redis_cache(config), kept.ttl, kept.scope, time.time, metrics)


def redis_cache(config: Config) -> RedisCache | None:
    """Over connections of its own: a slow cache must not hold up limits."""
    kept = config.cache
    return RedisCache(_link(config.state), kept.ttl) if kept is not None and kept.redis else None


def web(house: House, until_stopped: AbstractContextManager[None] | None = None) -> Starlette:
    """The ASGI application of a house; `until_stopped` is held from the start to the stop of the server."""
    server = house.config.server

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await house.state.look()
        work = [house.state.run(), house.books.ledger.run(), house.books.limiter.run()]
        if house.cache is not None:
            await house.cache.learn()
            work.append(house.cache.run())
        async with _beside(*work):
            with until_stopped or nullcontext():
                yield
        await house.close()

    endpoints = Endpoints(
        gateway=house.gateway,
        authenticator=house.entrance.authenticator,
        usage_store=house.store,
        running=house.running,
        state=house.state,
        max_body=server.max_body,
        timeout=server.timeout,
        expose_targets=server.expose_targets,
        created=int(time.time()),
    )
    return application(endpoints, _admin(house), _telemetry(house), server.cors_origins, lifespan)


def _admin(house: House) -> Admin | None:
    guard = house.entrance.admin_guard
    if not guard.is_open:
        return None
    return Admin(house.store, guard, house.config.keys, house.config.teams.keys(), house.cache)


def _telemetry(house: House) -> Telemetry | None:
    guard = house.entrance.admin_guard
    if house.config.server.metrics == "public":
        return Telemetry(house.metrics, None)
    return Telemetry(house.metrics, guard) if guard.is_open else None


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
