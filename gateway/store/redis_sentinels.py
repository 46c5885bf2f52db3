"""Where the master is, as sentinels know it: all are asked at once, since one that is away must not take the time.

Sentinels may want the password of the Redis, or refuse one because they have none: each is asked both ways.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from typing import Any

from gateway.store.redis_dialing import FAILURES, Dial, pack
from gateway.store.redis_faults import NoMaster


class Sentinels:
    """`dial` is how the Redis itself is opened."""

    def __init__(self, hosts: Sequence[tuple[str, int]], service: str, dial: Dial) -> None:
        self._hosts = hosts
        self._service = service.encode()
        plain = dataclasses.replace(dial, user=None, password=None, database=0)
        self._dials = [plain] if dial.password is None else [plain, dataclasses.replace(dial, database=0)]

    async def master(self) -> tuple[str, int]:
        """What the first says that knows one; raises NoMaster."""
        asked = [asyncio.ensure_future(self._ask(dial, *host)) for host in self._hosts for dial in self._dials]
        try:
            for answer in asyncio.as_completed(asked):
                found = await answer
                if found is not None:
                    return found
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise NoMaster

    async def _ask(self, dial: Dial, host: str, port: int) -> tuple[str, int] | None:
        try:
            channel = await dial.open(host, port)
        except FAILURES:
            return None
        try:
            answer = await channel.ask(pack(("SENTINEL", "MASTERS")))
        finally:
            channel.abort()
        return None if isinstance(answer, Exception) else master_in(answer, self._service)


def master_in(answer: Any, service: bytes) -> tuple[str, int] | None:
    try:
        for told in answer:
            state = dict(zip(told[::2], told[1::2], strict=True))
            flags = state[b"flags"].split(b",")
            if state[b"name"] == service and b"master" in flags and not {b"s_down", b"o_down"}.intersection(flags):
                return state[b"ip"].decode(), int(state[b"port"])
    except (AttributeError, LookupError, TypeError, ValueError):  # it is no sentinel
        pass
    return None
