"""A process changes its configuration while it serves: the new one is built beside the old, and then takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.assembly import BuildError
from gateway.config import Config
from gateway.current import Current, Generation
from gateway.reading import Contents
from gateway.reload import WATCH_SECONDS, By, Outcome, Provision, Refused, Watched, tell, wanted


class Reloader:
    """`make` builds a generation beside the one that serves, in a thread; it may raise BuildError."""

    def __init__(
        self, provision: Provision, current: Current, make: Callable[[Config, Generation], Generation]
    ) -> None:
        self.watched = Watched(provision.contents)
        self._provision = provision
        self._current = current
        self._make = make
        self._line = asyncio.Lock()
        self._reloads: set[asyncio.Task[Outcome]] = set()

    async def reload(self, by: By) -> Outcome:
        """Goes on to its end even if whoever asked for it leaves."""
        task = asyncio.get_running_loop().create_task((self._provision.parent or self._reload)(by))
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        return await asyncio.shield(task)

    async def _reload(self, by: By) -> Outcome:
        async with self._line:
            contents: Contents = {}
            try:
                running = self._current.generation.config
                config, found = await asyncio.to_thread(wanted, self._provision.file, running, contents)
                await self.take(config)
                outcome = Outcome(found, config.warnings)
            except Refused as refused:
                outcome = Outcome(problems=refused.problems)
            if contents:
                self.watched.contents = contents
        tell(by, outcome)
        return outcome

    async def take_contents(self, contents: Contents) -> None:
        """Serves what the parent has read and found good."""
        await self.take(await asyncio.to_thread(self._provision.file.read, contents))

    async def take(self, config: Config) -> None:
        """Serves a configuration from now on. Raises Refused, having changed nothing, where it cannot be brought up."""
        async with self._current.turn:
            try:
                made = await asyncio.to_thread(self._make, config, self._current.generation)
            except BuildError as error:
                await self._current.sweep()
                raise Refused([str(error)]) from None
            self._current.serve(made)

    async def watch(self) -> None:
        """Looks every other second until cancelled, where the configuration that serves wants it.

        A worker leaves it to its parent.
        """
        while self._provision.parent is None:
            await asyncio.sleep(WATCH_SECONDS)
            watching = self._current.generation.config.server.watch
            if watching and await asyncio.to_thread(self.watched.changed):
                await self.reload("watch")
