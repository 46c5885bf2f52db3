"""The way to one Redis: one connection, made when it is needed, and again when the last one is of no more use.

All commands share it: a Redis does one after the other anyway, and a system call can carry many of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from gateway.store.patience import within
from gateway.store.redis_channel import RedisChannel
from gateway.store.redis_dialing import FAILURES, Dial, Words, pack
from gateway.store.redis_faults import Lost, NoMaster

_NOT_OPENED: Final = (*FAILURES, NoMaster)


class RedisServer:
    """`find` tells where it is, or raises NoMaster. Every outcome is a value: an answer, or an exception."""

    def __init__(self, find: Callable[[], Awaitable[tuple[str, int]]], dial: Dial) -> None:
        self._find = find
        self._dial = dial
        self._channel: RedisChannel | None = None
        self._former: list[RedisChannel] = []
        """Others may still wait for answers there."""
        self._opening: asyncio.Task[RedisChannel | Exception] | None = None
        self._closed = False

    def ask(self, words: Words) -> asyncio.Future[Any]:
        return self._send(pack(words))

    def ask_all(self, each: Sequence[Words]) -> asyncio.Future[Any]:
        """The list of all answers, or an exception instead of it."""
        return self._send(b"".join(map(pack, each)), len(each))

    def _send(self, commands: bytes, together: int = 0) -> asyncio.Future[Any]:
        channel = self._channel
        if channel is not None and channel.usable:
            return channel.ask(commands, together)
        return asyncio.get_running_loop().create_task(self._open_and_send(commands, together))

    async def _open_and_send(self, commands: bytes, together: int) -> Any:
        opened = await self._opened()
        return opened if isinstance(opened, Exception) else await opened.ask(commands, together)

    def leave(self) -> None:
        """What follows goes over another connection: it may lead to another server by now."""
        if self._channel is not None:
            self._channel.retire()

    async def close(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        for channel in self._former:
            await channel.close()

    async def _opened(self) -> RedisChannel | Exception:
        """Whoever leaves meanwhile leaves it to the others."""
        if self._closed:
            return Lost()
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        opening = self._opening
        await asyncio.wait({opening})
        if opening.cancelled():  # by `close`
            return Lost()
        channel = opening.result()
        return channel if isinstance(channel, Exception) or channel.usable else Lost()

    async def _open(self) -> RedisChannel | Exception:
        try:
            async with within(self._dial.seconds):
                channel = await self._dial.open(*await self._find())
        except _NOT_OPENED as failure:
            return failure
        finally:
            self._opening = None
        self._former = [one for one in self._former if not one.lost.is_set()]
        self._former.append(channel)
        self._channel = channel
        return channel
