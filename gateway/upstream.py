"""One request to an upstream before a deadline, as a whole `Response` or a `Fault`.

It never follows a redirect, keeps no cookie, verifies TLS, and reads no more than a set size.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection
from typing import Final, NamedTuple

from gateway import trust
from gateway.exchange_faults import TIMED_OUT
from gateway.pool import Pool
from gateway.ways import Proxy, Way
from providers.base import Fault, Request, Response

CONNECT_SECONDS: Final = 5.0
_SCRATCH: Final = 2**16
"""Bytes that are read at a time until an answer's length is known."""


class Via(NamedTuple):
    """How a target is reached: targets that agree share one pool of connections."""

    proxy: str | None = None
    ca_file: str | None = None


class Upstream:
    """Pools of connections, one for each way of reaching targets. All of them belong to one event loop."""

    def __init__(self, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._pools: dict[Via, Pool] = {}
        self._connect_seconds = connect_seconds
        self._scratch = memoryview(bytearray(_SCRATCH))
        self._platform: ssl.SSLContext | None = None

    def pool(self, via: Via) -> Pool:
        """The pool of a way, made when first asked for.

        Raises OSError when its certificate file is no such thing, ValueError when its proxy's URL is none.
        """
        found = self._pools.get(via)
        if found is None:
            found = self._pools[via] = Pool(self._way(via), self._connect_seconds, self._scratch)
        return found

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        """Sends and reads all before `deadline`, which is on the event loop's clock. Failure is a value.

        An answer of more than `max_answer` bytes, decompressed, is given up as soon as that many have come.
        """
        if deadline <= asyncio.get_running_loop().time():
            return TIMED_OUT
        return await self.pool(via).send(request, deadline, max_answer)

    def keep(self, ways: Collection[Via]) -> None:
        """Lets go of the pools of all other ways; requests that are under way there are not disturbed."""
        for via in self._pools.keys() - set(ways):
            self._pools.pop(via).retire()

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()

    def _way(self, via: Via) -> Way:
        proxy = None if via.proxy is None else Proxy.of(via.proxy)
        tls = self._of_platform() if via.ca_file is None else trust.context(via.ca_file)
        return Way(tls, proxy, self._of_platform() if proxy is not None and proxy.origin.secure else None)

    def _of_platform(self) -> ssl.SSLContext:
        """Reading its authorities takes 20 ms and more, so it is done once."""
        if self._platform is None:
            self._platform = trust.context(None)
        return self._platform
