"""From a checked `Config` to the things that serve: the only place that constructs."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass

from starlette.applications import Starlette

from gateway import auth, tokens
from gateway.app import application
from gateway.auth import Authenticator, KeyRecord
from gateway.backends import Local, Remote
from gateway.config import Config, FileKey, ModelConfig, TargetConfig
from gateway.dispatch import Dispatcher
from gateway.endpoints import Endpoints
from gateway.middleware import Running
from gateway.retry import Retry
from gateway.routing import Backend, Route, Routes, Target
from gateway.service import Gateway
from gateway.store import Store
from gateway.store.embedded import EmbeddedStore
from gateway.tokens import Counter
from gateway.upstream import Upstream, Via
from gateway.wire import OWN_FIELDS
from providers import PROVIDERS
from providers.base import Endpoint, Engine, EngineError, LocalProvider, Provider


class BuildError(Exception):
    """A configuration that is right, but cannot be brought up on this machine; the message says what to do."""


@dataclass(frozen=True, slots=True)
class House:
    """Everything that lives as long as the process."""

    config: Config
    gateway: Gateway
    store: Store
    upstream: Upstream
    running: Running

    async def close(self) -> None:
        await self.upstream.close()
        await self.store.close()


def house(config: Config) -> House:
    """Loads local models, and opens the state; connects to no upstream. Raises BuildError or StoreError."""
    upstream = Upstream()
    return House(config, gateway(config, upstream), store(config), upstream, Running())


def gateway(config: Config, upstream: Upstream) -> Gateway:
    """The routes with their backends, without the state that only callers need. Raises BuildError."""
    engines = _Engines()
    routes = [_route(model, engines, upstream) for model in config.models]
    return Gateway(
        routes=Routes(routes),
        counters={route.tokenizer: _counter(route) for route in routes},
        dispatcher=Dispatcher(Retry(_loop_clock, asyncio.sleep, random.random), _loop_clock),
        random=random.random,
    )


def _counter(route: Route) -> Counter:
    try:
        return tokens.counter(route.tokenizer)
    except ValueError as error:
        raise BuildError(f"models.{route.alias}.tokenizer: {error}") from None
    except ImportError:
        raise BuildError(
            f"models.{route.alias}.tokenizer: a tokenizer.json needs the package's extra: "
            'run `scripts/setup`, or `pip install ".[local]"` in its folder.'
        ) from None


def store(config: Config) -> Store:
    return EmbeddedStore(config.state_file)


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
        authenticator=Authenticator(map(key_record, house.config.keys), house.store.find_key, time.time),
        running=house.running,
        max_body=server.max_body,
        timeout=server.timeout,
        expose_targets=server.expose_targets,
        created=int(time.time()),
    )
    return application(endpoints, server.cors_origins, lifespan)


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()


def key_record(key: FileKey) -> KeyRecord:
    return KeyRecord(
        id=f"file:{key.name}",
        name=key.name,
        sha256=key.sha256,
        models=key.models,
        expires=auth.moment(key.expires),
    )


class _Engines:
    """Each local model once, however many routes use it."""

    def __init__(self) -> None:
        self._loaded: dict[tuple[str, str], Engine] = {}

    def get(self, provider: LocalProvider, path: str) -> Engine:
        key = (provider.name, path)
        if key not in self._loaded:
            self._loaded[key] = provider.load(path)
        return self._loaded[key]


def _route(model: ModelConfig, engines: _Engines, upstream: Upstream) -> Route:
    owned = set(OWN_FIELDS)
    for target in model.targets:
        provider = PROVIDERS[target.provider]
        owned |= provider.owned if isinstance(provider, Provider) else set()
    return Route(
        alias=model.alias,
        aliases=model.aliases,
        space=model.space,
        dimensions=model.dimensions,
        limits=model.limits,
        targets=[_target(target, model, engines, upstream) for target in model.targets],
        tokenizer=model.tokenizer,
        tokenizer_known=model.tokenizer_known,
        client_tokens=model.client_tokens,
        passes_token_ids=all(target.token_ids for target in model.targets),
        prompts=model.prompts,
        input_types=model.input_types,
        default_input_type=model.default_input_type,
        normalize=model.normalize,
        client_extra=model.client_extra,
        owned=frozenset(owned),
    )


def _target(target: TargetConfig, model: ModelConfig, engines: _Engines, upstream: Upstream) -> Target:
    provider = PROVIDERS[target.provider]
    backend: Backend
    where = f"models.{model.alias}: target `{target.name}`"
    if isinstance(provider, LocalProvider):
        try:
            engine = engines.get(provider, target.path or "")
        except EngineError as error:
            raise BuildError(f"{where}: {error}") from None
        if engine.dimensions != model.dimensions.native:
            raise BuildError(
                f"{where}: its vectors have {engine.dimensions} dimensions, and the configuration says "
                f"{model.dimensions.native}. Set `dimensions.native` to what the model makes."
            )
        backend = Local(engine, target.max_concurrency)
    else:
        via = Via(target.proxy, target.ca_file)
        try:
            upstream.pool(via)
        except (OSError, ValueError) as error:
            raise BuildError(f"{where}: its `proxy` or `ca_file` cannot be used ({type(error).__name__}).") from None
        backend = Remote(provider, _endpoint(target), upstream, via, target.max_concurrency)
    return Target(
        name=target.name,
        provider=target.provider,
        model=target.model,
        backend=backend,
        limits=target.limits,
        counts_alike=target.counts_alike and model.tokenizer == "cl100k_base",
        takes_role=target.takes_role,
        priority=target.priority,
        weight=target.weight,
        timeout=target.timeout,
    )


def _endpoint(target: TargetConfig) -> Endpoint:
    return Endpoint(
        base_url=target.base_url or "",
        api_key=target.api_key,
        api_version=target.api_version,
        region=target.region,
        project=target.project,
        headers=target.headers,
        extra_body=target.extra_body,
        base64=target.base64,
    )
