"""What flows on a client's connection: nothing is read that nobody wants, nor written that the client does not take."""

from __future__ import annotations

import asyncio
from typing import Final

JOINED: Final = 64 * 1024
"""Bytes of the longest body that is copied to be written with its head; above, a copy costs more than it saves."""


class Flow:
    __slots__ = ("_free", "_paused", "_transport", "clogged", "gone")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._paused = False
        self._free = asyncio.Event()
        self.clogged = False
        """The client takes less than it is sent."""
        self.gone = False
        """So is the client; nothing is written any more."""

    @property
    def closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        """When the client has taken what was written."""
        self._transport.close()

    def lose(self) -> None:
        """The client has gone."""
        self.gone = True
        self._free.set()

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def clog(self) -> None:
        self.clogged = True
        self._free.clear()

    def unclog(self) -> None:
        self.clogged = False
        self._free.set()

    async def free(self) -> None:
        """Until the client has taken most of what was written, or has gone."""
        await self._free.wait()

    def write(self, head: bytes, body: bytes = b"") -> None:
        """In one system call, where the client takes it all at once."""
        if len(body) <= JOINED:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
