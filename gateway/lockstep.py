"""Requests that come together take each step together, a few at a time.

What a step needs, its code above all, takes the processor far longer to fetch from memory than to run; each of many
requests that run one after the other fetches all of it anew. So each waits at some places until those beside it are as
far, and what one has fetched is there for the others. A group goes all the way before the next one begins, so that the
first are not as late as the last. Who is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator
from typing import Any, Final

ABREAST: Final = 16
"""Requests of a group. With more, each of a group would be as late as its last; with fewer, less is shared."""


class _Ways:
    """Those of one event loop. `coming` have come in this turn of it, `going` are on their way to their next step, and
    `line` waits at the entrance.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.loop = loop
        self.coming = 0
        self.going = 0
        self.line = deque[asyncio.Future[None]]()

    def all_have_come(self) -> None:
        self.coming = 0

    def go_on(self) -> None:
        """One of those that are going has its turn. Behind the last of them the next group may enter."""
        self.going -= 1
        line = self.line
        if line and not self.going:
            while line and self.going < ABREAST:
                waiter = line.popleft()
                if not waiter.done():  # who is cancelled has left
                    waiter.set_result(None)
                    self.going += 1


class _Here(threading.local):
    """Each thread has an event loop of its own, if any."""

    ways = _Ways(None)


def come(loop: asyncio.AbstractEventLoop) -> None:
    """What a request has waited for outside is there, and the event loop will resume it in its next turn."""
    ways = _HERE.ways
    if ways.loop is not loop:
        ways = _HERE.ways = _Ways(loop)
    ways.coming += 1
    if ways.coming == 1:
        loop.call_soon(ways.all_have_come)


class Entrance:
    """Awaited by a request that has come, before anything else."""

    def __await__(self) -> Generator[Any, None, None]:
        ways = _HERE.ways
        if ways.coming < 2 and not ways.going:
            return
        if ways.line or ways.going >= ABREAST:
            waiter = asyncio.get_running_loop().create_future()
            ways.line.append(waiter)
            try:
                yield from waiter
            finally:
                if waiter.done() and not waiter.cancelled():
                    ways.go_on()
        else:
            ways.going += 1
            try:
                yield
            finally:
                ways.go_on()


class Step:
    """Awaited between two steps, where a request may be cancelled and any other may come before it."""

    def __await__(self) -> Generator[Any, None, None]:
        ways = _HERE.ways
        if ways.going:
            ways.going += 1
            try:
                yield
            finally:
                ways.go_on()


_HERE: Final = _Here()
ENTRANCE: Final = Entrance()
STEP: Final = Step()
