"""A connection to a host: where a name has several addresses, a slow one is not waited for.

The two families of addresses take turns, each address begun a quarter of a second after the one before it, or as soon
as one has failed; the first that answers wins. uvloop's own `create_connection` tries one after the other, to the end.
https://www.rfc-editor.org/rfc/rfc8305#section-5
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from itertools import zip_longest
from typing import Final, TypeVar

ATTEMPT_DELAY: Final = 0.25
"""Seconds; what RFC 8305 recommends."""
MOST_HEARD: Final = 2**16
"""Bytes of a proxy's answer that are read before it has ended."""

_Address = TypeVar("_Address", bound=tuple[object, ...])


class Opening(asyncio.Protocol):
    """Listens on a connection that is not ready for requests yet."""

    def __init__(self) -> None:
        self.heard = b""
        self._news = asyncio.Event()
        self._closed = False

    async def head(self) -> bytes:
        """All that was heard, when an HTTP head is whole in it, it is too much, or the connection is closed."""
        while not (b"\r\n\r\n" in self.heard or self._closed or len(self.heard) > MOST_HEARD):
            self._news.clear()
            await self._news.wait()
        return self.heard

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._news.set()


Opened = tuple[asyncio.Transport, Opening]


async def connected(host: str, port: int, delay: float = ATTEMPT_DELAY) -> Opened:
    """Raises OSError when no address can be reached, or there is none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label that is longer than the DNS allows
        raise OSError(str(error)) from error
    return await _first(in_turns((family, str(address[0]), port) for family, _, _, _, address in found), delay)


def in_turns(addresses: Iterable[_Address]) -> list[_Address]:
    """By the first of each, its family: one of each in turn, and the system's first choice first."""
    families: dict[object, list[_Address]] = {}
    for address in dict.fromkeys(addresses):
        families.setdefault(address[0], []).append(address)
    return [one for turn in zip_longest(*families.values()) for one in turn if one is not None]


async def _first(addresses: list[tuple[socket.AddressFamily, str, int]], delay: float) -> Opened:
    won: list[Opened] = []
    failures = [OSError("the name has no address")]

    async def attempt(family: socket.AddressFamily, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            won.append(await loop.create_connection(Opening, host, port, family=family))
        except OSError as error:
            failures.append(error)

    running: set[asyncio.Task[None]] = set()
    try:
        for place, address in enumerate(addresses, 1):
            running.add(asyncio.create_task(attempt(*address)))
            others = place < len(addresses)
            while running and not won:
                patience = delay if others else None
                _, running = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if others:
                    break
            if won:
                return won.pop(0)
    finally:
        for task in running:
            task.cancel()
        for transport, _ in won:
            transport.abort()
    raise failures[-1]
