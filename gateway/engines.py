"""The models inside this process: each is loaded once, however many routes use it, and stopped with the process."""

from __future__ import annotations

from collections.abc import Collection

from gateway.backends import Local
from gateway.batcher import Batcher
from gateway.routing import Backend
from providers.engine import Engine, LocalModel, LocalProvider, Transformer

Key = tuple[str, str, str]
"""What tells models apart: the provider, the path, and the name where the provider reads it."""


class Engines:
    """`threads` is how many one forward pass may use; None leaves it to the models' libraries."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._loaded: dict[Key, Engine | Transformer] = {}
        self._batchers: dict[int, Batcher] = {}

    def get(self, provider: LocalProvider, path: str, name: str) -> Engine | Transformer:
        """Raises EngineError when it cannot be loaded."""
        key = key_of(provider, path, name)
        if key not in self._loaded:
            self._loaded[key] = provider.load(LocalModel(path, name, self._threads))
        return self._loaded[key]

    def backend(self, engine: Engine | Transformer, max_concurrency: int) -> Backend:
        """Of an engine from here. All routes of a transformer share its queue."""
        if not isinstance(engine, Transformer):
            return Local(engine, max_concurrency)
        return self._batchers.setdefault(id(engine), Batcher(engine))

    async def keep(self, keys: Collection[Key | None]) -> None:
        """Stops all others, and forgets them. Nobody may ask them any more."""
        for key in [key for key in self._loaded if key not in keys]:
            batcher = self._batchers.pop(id(self._loaded.pop(key)), None)
            if batcher is not None:
                await batcher.close()

    async def close(self) -> None:
        await self.keep(())


def key_of(provider: LocalProvider, path: str, name: str) -> Key:
    return (provider.name, path, name if provider.reads_name else "")
