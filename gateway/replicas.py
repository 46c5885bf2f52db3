"""This process among all that share one state: what it tells them of its targets, and what an operator tells all.

A target that is drained is asked nothing by any of them until it is restored. The mark is kept in the state; while that
is away, what was known last holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import gateway
from gateway.errors import NotFound, StateUnavailable
from gateway.inputs import quoted
from gateway.routing import Route, Target
from gateway.store import ValueStore

LOOK_SECONDS: Final = 2.0
"""How often each process tells of itself, and looks what is drained."""
FORGOTTEN_SECONDS: Final = 15.0
"""A process that has told nothing for so long is gone."""
_REPLICAS: Final = "replicas"
_MARKS: Final = "drained"
_OUT, _IN = b"out", b"in"
RESTORED_SECONDS: Final = 86_400.0
"""How long it is remembered that a target was restored: a process that knows it as drained must not think that the
state has lost the mark, and put it back."""


async def drain(store: ValueStore, alias: str, target: str) -> None:
    """Every process learns it at its next look. Raises StateUnavailable, as do the next three."""
    await store.put_value(_MARKS, _mark(alias, target), _OUT)


async def restore(store: ValueStore, alias: str, target: str) -> None:
    await store.put_value(_MARKS, _mark(alias, target), _IN, RESTORED_SECONDS)


async def drained(store: ValueStore) -> frozenset[tuple[str, str]]:
    """The alias and name of every target that is."""
    return frozenset(name for name, mark in (await _marks(store)).items() if mark == _OUT)


async def _marks(store: ValueStore) -> dict[tuple[str, str], bytes]:
    return {tuple(json.loads(name)): mark for name, mark in (await store.values(_MARKS)).items()}


async def told(store: ValueStore) -> list[Mapping[str, Any]]:
    """What every process that runs has last told, in the order of their names."""
    return [json.loads(value) for _, value in sorted((await store.values(_REPLICAS)).items())]


class Replicas:
    """`routes` gives those that are served now; `clock` is the event loop's."""

    def __init__(
        self,
        store: ValueStore,
        routes: Callable[[], Iterable[Route]],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._routes = routes
        self._clock = clock
        self._sleep = sleep
        self._since = time.time()
        self._drained: frozenset[tuple[str, str]] = frozenset()
        self.name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"

    async def run(self) -> None:
        """Tells and looks until cancelled; then this process is no longer listed."""
        try:
            while True:
                with contextlib.suppress(StateUnavailable):  # whose watch tells of it
                    await self.look()
                    await self._tell()
                await self._sleep(LOOK_SECONDS)
        finally:
            with contextlib.suppress(StateUnavailable):  # it will be forgotten by itself
                await self._store.drop_value(_REPLICAS, self.name)

    async def look(self) -> None:
        """Learns what is drained, and tells it to a state that has forgotten; raises StateUnavailable."""
        marks = await _marks(self._store)
        forgotten = self._drained - marks.keys()
        for alias, target in forgotten:
            await self._store.put_value(_MARKS, _mark(alias, target), _OUT, only_if_absent=True)
        self._drained = forgotten | {name for name, mark in marks.items() if mark == _OUT}
        self.mark()

    def mark(self, routes: Iterable[Route] | None = None) -> None:
        """Puts what is drained on the targets that are served now, or on those that are about to be."""
        for route in self._routes() if routes is None else routes:
            for target in route.targets:
                target.health.drained = (route.alias, target.name) in self._drained

    async def drain(self, alias: str, target: str) -> None:
        """Raises NotFound for a target that this process does not serve, and StateUnavailable."""
        self._require(alias, target)
        await drain(self._store, alias, target)
        await self.look()

    async def restore(self, alias: str, target: str) -> None:
        """Of a target that is no longer served, too: its mark would wait for one of its name."""
        if (alias, target) not in await drained(self._store):
            self._require(alias, target)
        await restore(self._store, alias, target)
        await self.look()

    async def reports(self) -> Sequence[Mapping[str, Any]]:
        """Every process's own, this one's first. Where the state is away, this one's alone."""
        try:
            others = [one for one in await told(self._store) if one["replica"] != self.name]
        except StateUnavailable:
            others = []
        return [self.report(), *others]

    def report(self) -> Mapping[str, Any]:
        """Plain data; how fresh it is, `at` tells, in seconds since the epoch."""
        now = self._clock()
        return {
            "replica": self.name,
            "version": gateway.__version__,
            "since": round(self._since, 3),
            "at": round(time.time(), 3),
            "targets": [_told(route, target, now) for route, target in self._targets()],
        }

    async def _tell(self) -> None:
        await self._store.put_value(_REPLICAS, self.name, json.dumps(self.report()).encode(), FORGOTTEN_SECONDS)

    def _targets(self) -> Iterable[tuple[Route, Target]]:
        return [(route, target) for route in self._routes() for target in route.targets]

    def _require(self, alias: str, target: str) -> None:
        if all((route.alias, served.name) != (alias, target) for route, served in self._targets()):
            raise NotFound(
                f"The model `{quoted(alias)}` has no target `{quoted(target)}`. `GET /admin/targets` lists them all."
            )


def _mark(alias: str, target: str) -> str:
    return json.dumps([alias, target])


def _told(route: Route, target: Target, now: float) -> dict[str, Any]:
    load = target.backend.load
    return {
        "model": route.alias,
        "space": route.space,
        "target": target.name,
        "provider": target.provider,
        "upstream_model": target.model,
        "priority": target.priority,
        "weight": target.weight,
        "waiting": load.waiting,
        "running": load.running,
        "slots": load.slots,
        **target.health.report(now),
    }
