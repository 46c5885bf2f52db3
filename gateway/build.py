"""From a checked `Config` to the things that serve: the only place that constructs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from starlette.applications import Starlette

from gateway import assembly, entrance
from gateway.admin import Admin
from gateway.app import application
from gateway.assembly import Engines, TokenSources
from gateway.config import Config
from gateway.dispatch import Dispatcher
from gateway.endpoints import Endpoints
from gateway.entrance import Entrance
from gateway.middleware import Running
from gateway.retry import Retry
from gateway.routing import Routes
from gateway.service import Gateway
from gateway.store import Store
from gateway.store.embedded import EmbeddedStore
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as the process."""

    config: Config
    gateway: Gateway
    store: Store
    entrance: Entrance
    upstream: Upstream
    running: Running

    async def close(self) -> None:
        await self.upstream.close()
        await self.store.close()


def house(config: Config) -> House:
    """Loads local models, and opens the state; connects to no upstream. Raises BuildError or StoreError."""
    upstream = Upstream()
    routes, trusted = gateway(config, upstream), entrance.trusted(config, upstream)
    state = store(config)
    return House(config, routes, state, entrance.entrance(config, state, trusted), upstream, Running())


def gateway(config: Config, upstream: Upstream) -> Gateway:
    """The routes with their backends, without the state that only callers need. Raises BuildError."""
    engines, sources = Engines(), TokenSources(upstream, _loop_clock, time.time)
    routes = [assembly.route(model, engines, upstream, sources) for model in config.models]
    return Gateway(
        routes=Routes(routes),
        counters={route.tokenizer: assembly.counter(route) for route in routes},
        dispatcher=Dispatcher(Retry(_loop_clock, asyncio.sleep, random.random), _loop_clock),
        random=random.random,
    )


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
        authenticator=house.entrance.authenticator,
        usage_store=house.store,
        running=house.running,
        max_body=server.max_body,
        timeout=server.timeout,
        expose_targets=server.expose_targets,
        created=int(time.time()),
    )
    return application(endpoints, _admin(house), server.cors_origins, lifespan)


def _admin(house: House) -> Admin | None:
    guard = house.entrance.admin_guard
    return Admin(house.store, guard, house.config.keys, house.config.teams.keys()) if guard.is_open else None


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()
