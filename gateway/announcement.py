"""Saying where the gateway is: once, when it serves and minds its signals, and never where it fails to start."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors import Multiprocess


class Announcement:
    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self.made = False
        self.exit: SystemExit | None = None
        """What it ended with where it could not be made; nothing should be served then."""

    def make(self) -> None:
        self.made = True
        try:
            self._announce()
        except SystemExit as error:
            self.exit = error


class AnnouncedServer(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, announcement: Announcement) -> None:
        super().__init__(settings)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await asyncio.to_thread(self._announcement.make)  # which has an event loop of its own
            self.should_exit = self.should_exit or self._announcement.exit is not None


class AnnouncedWorkers(Multiprocess):
    def __init__(self, settings: uvicorn.Config, listener: socket.socket, announcement: Announcement) -> None:
        super().__init__(settings, [listener])
        self._announcement = announcement

    def keep_subprocess_alive(self) -> None:
        """Twice a second; the announcement is made when all workers serve."""
        super().keep_subprocess_alive()
        if self._announcement.made or self.should_exit.is_set():
            return
        if all(worker.is_ready() for worker in self.processes):
            self._announcement.make()
            if self._announcement.exit is not None:
                self.should_exit.set()
