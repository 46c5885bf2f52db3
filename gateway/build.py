"""From a checked `Config` to the things that serve: the only place that constructs."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from starlette.applications import Starlette

from gateway import assembly
from gateway.admin import SHORTEST_ADMIN_KEY, Admin
from gateway.app import application
from gateway.auth import Authenticator
from gateway.config import Config, ModelConfig
from gateway.dispatch import Dispatcher
from gateway.endpoints import Endpoints
from gateway.engines import Engines
from gateway.middleware import Running
from gateway.retry import Retry
from gateway.routing import Route, Routes
from gateway.service import Gateway
from gateway.store import Store
from gateway.store.embedded import EmbeddedStore
from gateway.token_sources import TokenSources
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as the process."""

    config: Config
    gateway: Gateway
    store: Store
    upstream: Upstream
    engines: Engines
    running: Running

    async def close(self) -> None:
        await self.engines.close()
        await self.upstream.close()
        await self.store.close()


def house(config: Config) -> House:
    """Loads local models, and opens the state; connects to no upstream. Raises BuildError or StoreError."""
    upstream, engines = Upstream(), Engines(_threads(config.server.workers))
    return House(config, gateway(config, upstream, engines), store(config), upstream, engines, Running())


def _threads(workers: int) -> int | None:
    """Of one forward pass: workers share the processors, and one alone leaves their number to the models' libraries."""
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


def gateway(config: Config, upstream: Upstream, engines: Engines | None = None) -> Gateway:
    """The routes with their backends, without the state that only callers need. Raises BuildError.

    Whoever gives `upstream` and `engines` closes them; engines that nobody gives end with the process.
    """
    made = routes(config.models, upstream, engines or Engines())
    return Gateway(
        routes=Routes(made),
        counters={route.tokenizer: assembly.counter(route) for route in made},
        dispatcher=Dispatcher(retry(), _loop_clock),
        random=random.random,
    )


def routes(models: Sequence[ModelConfig], upstream: Upstream, engines: Engines) -> list[Route]:
    """The models with their backends; what several of them use is made once. Raises BuildError."""
    sources = TokenSources(upstream, _loop_clock, time.time)
    return [assembly.route(model, engines, upstream, sources) for model in models]


def retry() -> Retry:
    return Retry(_loop_clock, asyncio.sleep, random.random)


def store(config: Config) -> Store:
    """Raises StoreError where the state cannot be used at all."""
    if config.state.file is not None:
        return EmbeddedStore(config.state.file)
    raise NotImplementedError


def web(house: House, until_stopped: AbstractContextManager[None] | None = None) -> Starlette:
    """The ASGI application of a house; `until_stopped` is held from the start to the stop of the server."""
    server = house.config.server

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        with until_stopped or nullcontext():
            yield
        await house.close()

    endpoints = Endpoints(
        gateway=house.gateway,
        authenticator=Authenticator(house.config.keys, house.store.find_key, time.time),
        usage_store=house.store,
        running=house.running,
        max_body=server.max_body,
        timeout=server.timeout,
        expose_targets=server.expose_targets,
        created=int(time.time()),
    )
    return application(endpoints, _admin(house), server.cors_origins, lifespan)


def _admin(house: House) -> Admin | None:
    """A short key can be guessed: with one there is no /admin, as without any."""
    key = house.config.admin_key
    if key is None or len(key) < SHORTEST_ADMIN_KEY:
        return None
    return Admin(house.store, key, house.config.keys, house.config.teams.keys())


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()
