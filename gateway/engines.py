"""The models inside this process: each is loaded once, however many routes use it, and stopped with the process."""

from __future__ import annotations

from gateway.backends import Local
from gateway.batcher import Batcher
from gateway.routing import Backend
from providers.engine import Engine, LocalModel, LocalProvider, Transformer


class Engines:
    """`threads` is how many one forward pass may use; None leaves it to the models' libraries."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._loaded: dict[tuple[str, str, str], Engine | Transformer] = {}
        self._batchers: dict[int, Batcher] = {}

    def get(self, provider: LocalProvider, path: str, name: str) -> Engine | Transformer:
        """Raises EngineError when it cannot be loaded."""
        key = (provider.name, path, name if provider.reads_name else "")
        if key not in self._loaded:
            self._loaded[key] = provider.load(LocalModel(path, name, self._threads))
        return self._loaded[key]

    def backend(self, engine: Engine | Transformer, max_concurrency: int) -> Backend:
        """Of an engine from here. All routes of a transformer share its queue."""
        if not isinstance(engine, Transformer):
            return Local(engine, max_concurrency)
        return self._batchers.setdefault(id(engine), Batcher(engine))

    async def close(self) -> None:
        for batcher in self._batchers.values():
            await batcher.close()
