"""A worker's side of its parent: what it begins with, is told to take, and asks; `crew` is the other side."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Client
from typing import Any, Final

from gateway.exposition import Families
from gateway.logs import GATEWAY
from gateway.reading import Contents
from gateway.reload import By, Outcome

GONE: Final = Outcome(problems=("the process that began this worker has ended; start the gateway again",))


@dataclass(frozen=True, slots=True)
class Address:
    """Where the parent listens, and what shows that a process is its worker."""

    place: str
    secret: bytes = field(repr=False)


class Link:
    """A worker's to its parent. `contents` are those that it begins with."""

    def __init__(self, address: Address) -> None:
        self._connection = Client(address.place, family="AF_UNIX", authkey=address.secret)
        _, self.contents = self._connection.recv()
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._sending = threading.Lock()

    async def ask(self, by: By) -> Outcome:
        """A reload, by the parent and so in every worker."""
        outcome: Outcome = await self._answered("ask", by)
        return outcome

    async def counted(self) -> Families | None:
        """What all workers have counted; None when the parent has ended."""
        found = await self._answered("count")
        return None if found is GONE else found

    async def _answered(self, *question: Any) -> Any:
        number = next(self._numbers)
        outcome = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.to_thread(self._send, (question[0], number, *question[1:]))
        except OSError:
            return GONE
        return await outcome

    def attend(self, take: Callable[[Contents], Awaitable[None]], count: Callable[[], Families]) -> None:
        """From now on serves what the parent says, and tells it what this worker has counted."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._attend, args=(loop, take, count), daemon=True).start()

    def _attend(
        self,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[Contents], Awaitable[None]],
        count: Callable[[], Families],
    ) -> None:
        with contextlib.suppress(OSError, EOFError, RuntimeError):  # the parent or this worker's own loop has ended
            while True:
                match self._connection.recv():
                    case ("take", contents):
                        asyncio.run_coroutine_threadsafe(_taken(take, contents), loop).result()
                        self._send(("taken",))
                    case ("tell", round_):
                        families = asyncio.run_coroutine_threadsafe(_counted(count), loop).result()
                        self._send(("counted", round_, families))
                    case ("outcome", number, outcome):
                        loop.call_soon_threadsafe(self._tell, number, outcome)
        with contextlib.suppress(RuntimeError):
            for number in list(self._asked):
                loop.call_soon_threadsafe(self._tell, number, GONE)

    def _tell(self, number: int, outcome: Any) -> None:
        future = self._asked.pop(number)
        if not future.done():
            future.set_result(outcome)

    def _send(self, message: tuple[Any, ...]) -> None:
        with self._sending:
            self._connection.send(message)


async def _counted(count: Callable[[], Families]) -> Families:
    """On the loop, whose time the targets' states are on."""
    return count()


async def _taken(take: Callable[[Contents], Awaitable[None]], contents: Contents) -> None:
    """A worker that cannot do what its parent could ends as if it were told to; the one in its place serves it."""
    try:
        await take(contents)
    except Exception as error:  # noqa: BLE001 (whatever it is, this worker must not go on with the former one)
        told = {"error": type(error).__name__}
        GATEWAY.error("this worker cannot take the new configuration, and is replaced", extra={"fields": told})
        os.kill(os.getpid(), signal.SIGTERM)
