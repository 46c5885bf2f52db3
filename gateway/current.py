"""The generation that serves: what one configuration makes. A request takes it once, at its start, and ends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config import Config
from gateway.entrance import Entrance
from gateway.service import Gateway


@dataclass(slots=True, eq=False)
class Generation:
    """Everything that a reload makes anew; none of it changes afterwards but the count of its requests."""

    config: Config
    gateway: Gateway
    entrance: Entrance
    app: ASGIApp = field(repr=False)
    running: int = 0


class Current:
    """An ASGI application that is the newest generation's.

    `sweep` closes what no generation of `living` uses. It runs under `turn`, as whoever makes a generation has to, so
    that nothing is swept that is just being made.
    """

    generation: Generation
    sweep: Callable[[], Awaitable[None]]

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._leaving: set[Generation] = set()
        self._unswept = False
        self._sweeping: asyncio.Task[None] | None = None

    @property
    def living(self) -> Sequence[Generation]:
        """The newest, and those that still have a request to end."""
        return (self.generation, *self._leaving)

    def serve(self, generation: Generation) -> None:
        """From now on requests begin on this one."""
        former, self.generation = self.generation, generation
        self._leaving.add(former)
        if former.running == 0:
            self._left(former)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        generation = self.generation
        generation.running += 1
        try:
            await generation.app(scope, receive, send)
        finally:
            generation.running -= 1
            if generation.running == 0 and generation is not self.generation:
                self._left(generation)

    def _left(self, generation: Generation) -> None:
        self._leaving.discard(generation)
        self._unswept = True
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().create_task(self._swept())

    async def _swept(self) -> None:
        try:
            while self._unswept:
                async with self.turn:
                    self._unswept = False
                    await self.sweep()
        finally:
            self._sweeping = None

    async def idle(self) -> None:
        """Returns when nothing is being swept any more."""
        while self._sweeping is not None:
            await asyncio.wait({self._sweeping})
