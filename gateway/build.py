"""From a checked `Config` to the things that serve: the only place that constructs.

The console and a Redis are imported where they are configured: together they would take 12 MB of every worker.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gateway import assembly, canaries, carry_over, entrance, tracing
from gateway.admin import Admin
from gateway.aftermath import Aftermath
from gateway.app import application
from gateway.books import Books, unkept
from gateway.cache import Cache
from gateway.cache_memory import Memory
from gateway.config import Config, ModelConfig, StateConfig
from gateway.current import Current, Generation
from gateway.dispatch import Dispatcher
from gateway.endpoints import Endpoints
from gateway.engines import Engines
from gateway.entrance import Entrance
from gateway.house import House
from gateway.ledger import Ledger
from gateway.limits import Limiter
from gateway.metrics import Metrics
from gateway.middleware import Running
from gateway.reload import Provision
from gateway.reloader import Reloader
from gateway.replicas import Replicas
from gateway.retry import Retry
from gateway.routing import Route, Routes
from gateway.service import Gateway
from gateway.source import Source
from gateway.spaces import Spaces
from gateway.state_watch import StateWatch
from gateway.store import Store, ValueStore
from gateway.store.embedded import EmbeddedStore
from gateway.store.memory import MemoryLimits
from gateway.store.redis_address import Address
from gateway.supply import Supply
from gateway.target_admin import TargetAdmin
from gateway.telemetry import Counted, Telemetry
from gateway.token_sources import TokenSources
from gateway.tokens import Counter
from gateway.traffic import Traffic
from gateway.upstream import Upstream

if TYPE_CHECKING:
    from gateway.console.site import Console
    from gateway.store.redis_link import RedisLink


def house(config: Config, provision: Provision | None = None, counted: Counted | None = None) -> House:
    """Loads local models, and opens the state; connects to no upstream. Raises BuildError or StoreError.

    Without a `provision` the configuration stays as it is. `counted` is who knows what all processes of this port have
    counted; without it this is the only one.
    """
    upstream, engines = Upstream(), Engines(_threads(config.server.workers))
    entrance.trusted(config, upstream)  # what is wrong with them is said before the state is opened
    kept, on_loss = store(config), config.state.on_loss
    metrics = Metrics()
    limiter = Limiter(kept, MemoryLimits(time.time), {}, on_loss, time.time, metrics)
    current = Current()
    spaces, replicas = Spaces(kept), Replicas(kept, lambda: current.generation.gateway.routes, _loop_clock)
    traffic = Traffic(kept, replicas.name, time.time)
    made = House(
        store=kept,
        upstream=upstream,
        engines=engines,
        sources=TokenSources(upstream, _loop_clock, time.time),
        running=Running(),
        books=Books(limiter, Ledger(kept, time.time)),
        state=StateWatch(kept, on_loss, metrics),
        metrics=metrics,
        counted=counted,
        tracing=tracing.start(config.tracing),
        spaces=spaces,
        cache=cache(config, kept, metrics, spaces),
        replicas=replicas,
        traffic=traffic,
        aftermath=Aftermath(metrics, traffic.count),
        current=current,
        reloader=Reloader(provision or Provision(Source(None)), current, lambda *both: generation(made, *both)),
        began=int(time.time()),
    )
    current.sweep = made.sweep
    current.generation = generation(made, config, None)
    metrics.watch(lambda: current.generation.gateway.target_states())
    return made


def generation(house: House, config: Config, before: Generation | None) -> Generation:
    """What a configuration makes of the house, with what is as it was `before`. It is not served yet.

    Loads local models, so that a thread is the place for it. Raises BuildError; what was made until then is swept.
    """
    if before is None:
        door = entrance.entrance(config, house.store, entrance.trusted(config, house.upstream))
    else:
        trusted = entrance.trusted(config, house.upstream, before.entrance.trusted)
        door = entrance.renewed(before.entrance, config, trusted)
    made = routes(config.models, house.upstream, house.engines, house.sources)
    if before is not None:
        former = zip(before.config.models, before.gateway.routes, strict=True)
        made = carry_over.carried(zip(config.models, made, strict=True), former)
    house.replicas.mark(made)
    counters = {} if before is None else before.gateway.counters
    serving = _gateway(made, counters, house.books.of(config.teams), house.metrics, house.cache)
    canaries.hold(made, house.spaces.verdicts)  # what is known to have drifted is not asked even once
    endpoints = Endpoints(
        gateway=serving,
        authenticator=door.authenticator,
        usage_store=house.store,
        running=house.running,
        state=house.state,
        max_body=config.server.max_body,
        timeout=config.server.timeout,
        expose_targets=config.server.expose_targets,
        created=house.began,
    )
    guard = door.admin_guard
    admin = Admin(house.store, guard, config, house.reloader.reload, house.cache) if guard.is_open else None
    targets = TargetAdmin(house.replicas, guard) if guard.is_open else None
    reader = None if config.server.metrics == "public" else guard
    telemetry = Telemetry(house.metrics, house.counted, reader) if reader is None or reader.is_open else None
    console = _console(house, config, door, serving) if guard.is_open else None
    app = application(
        *(endpoints, admin, targets, telemetry, console, config.server.cors_origins),
        *(house.aftermath, house.tracing),
    )
    return Generation(config, serving, door, app)


def _console(house: House, config: Config, door: Entrance, serving: Gateway) -> Console:
    from gateway.console.site import Console

    return Console(
        config=config,
        guard=door.admin_guard,
        failures=door.failures,
        code_flow=entrance.code_flow(config, door.trusted, house.upstream),
        store=house.store,
        gateway=serving,
        replicas=house.replicas,
        spaces=house.spaces,
        traffic=house.traffic,
        reload_now=house.reloader.reload,
    )


def _threads(workers: int) -> int | None:
    """Of one forward pass: workers share the processors, and one alone leaves their number to the models' libraries."""
    return max(1, (os.cpu_count() or 1) // workers) if workers > 1 else None


def gateway(config: Config, upstream: Upstream) -> Gateway:
    """The gateway alone, for whoever embeds without a server; nothing is written down. Raises BuildError.

    Whoever gives `upstream` closes it; the engines end with the process.
    """
    return _gateway(routes(config.models, upstream, Engines()), {}, unkept(time.time), Metrics())


def _gateway(
    made: Sequence[Route],
    counters: Mapping[str, Counter],
    books: Books,
    metrics: Metrics,
    cache: Cache | None = None,
) -> Gateway:
    """`counters` are those that are there already."""
    dispatcher = Dispatcher(retry(), _loop_clock, metrics)
    return Gateway(
        routes=Routes(made),
        counters={route.tokenizer: counters.get(route.tokenizer) or assembly.counter(route) for route in made},
        dispatcher=dispatcher,
        books=books,
        random=random.random,
        supply=None if cache is None else Supply(cache, dispatcher),
    )


def routes(
    models: Sequence[ModelConfig], upstream: Upstream, engines: Engines, sources: TokenSources | None = None
) -> list[Route]:
    """The models with their backends; what several of them use is made once. Raises BuildError."""
    sources = sources or TokenSources(upstream, _loop_clock, time.time)
    return [assembly.route(model, engines, upstream, sources) for model in models]


def retry() -> Retry:
    return Retry(_loop_clock, asyncio.sleep, random.random)


def store(config: Config) -> Store:
    """Raises StoreError where the state cannot be used at all; a Redis is not connected to before it is asked."""
    state = config.state
    if state.file is not None:
        return EmbeddedStore(state.file)
    from gateway.store.redis import RedisStore

    return RedisStore(_link(state))


def cache(config: Config, values: ValueStore, metrics: Metrics, spaces: Spaces) -> Cache | None:
    """Its Redis is that of the state, over links of its own: what is slow here must not hold up limits."""
    kept = config.cache
    if kept is None:
        return None
    shared = None
    if kept.redis:
        from gateway.store.redis_cache import RedisCache

        shared = RedisCache(lambda: _link(config.state), kept.ttl)
    return Cache(Memory(kept.memory), shared, values, kept.ttl, kept.scope, time.time, metrics, spaces.generation)


def _link(state: StateConfig) -> RedisLink:
    from gateway.store.redis_link import RedisLink

    return RedisLink(Address.of(state.url or "", state.password), state.ca_file)


def _loop_clock() -> float:
    return asyncio.get_running_loop().time()
