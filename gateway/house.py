"""What lives as long as the process: connections, loaded models, the state, what is counted, and who serves now."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway import assembly, entrance, memory
from gateway.aftermath import Aftermath
from gateway.books import Books
from gateway.cache import Cache
from gateway.current import Current
from gateway.engines import Engines
from gateway.metrics import Metrics
from gateway.middleware import Running
from gateway.reloader import Reloader
from gateway.replicas import Replicas
from gateway.spaces import Spaces
from gateway.state_watch import StateWatch
from gateway.store import Store
from gateway.telemetry import Counted
from gateway.token_sources import TokenSources
from gateway.tracing import Tracing
from gateway.traffic import Traffic
from gateway.upstream import Upstream


@dataclass(frozen=True, slots=True)
class House:
    """What a configuration makes of it is the generation in `current`."""

    store: Store
    upstream: Upstream
    engines: Engines
    sources: TokenSources
    running: Running
    books: Books
    """Of no team: each generation has them with its own."""
    state: StateWatch
    metrics: Metrics
    tracing: Tracing | None
    counted: Counted | None
    """Who knows what all processes of this port have counted, where there are several."""
    cache: Cache | None
    spaces: Spaces
    replicas: Replicas
    traffic: Traffic
    aftermath: Aftermath
    current: Current
    reloader: Reloader
    began: int
    """In seconds since the epoch."""

    async def close(self) -> None:
        """Settles and writes down what is left; none of it is left out because another part failed."""
        async with AsyncExitStack() as last_first:
            if self.tracing is not None:
                last_first.push_async_callback(self.tracing.close)
            last_first.push_async_callback(self.store.close)
            last_first.push_async_callback(self.books.ledger.write)
            last_first.push_async_callback(self.books.limiter.settled)
            if self.cache is not None:
                last_first.push_async_callback(self.cache.close)
            last_first.push_async_callback(self.upstream.close)
            last_first.push_async_callback(self.engines.close)
            last_first.push_async_callback(self.current.idle)
            last_first.callback(self.aftermath.settle)

    async def sweep(self) -> None:
        """Closes what no living generation uses."""
        living = [generation.config for generation in self.current.living]
        targets = [target for config in living for model in config.models for target in model.targets]
        providers = {way for config in living for way in entrance.ways(config)}
        self.upstream.keep({way for target in targets for way in assembly.ways(target)} | providers)
        await self.engines.keep({assembly.engine_key(target) for target in targets})
        memory.forget_former()
