"""What a process does when it is told to stop, or to read its configuration anew."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gateway.middleware import Running
from gateway.reload import Outcome
from gateway.reloader import Reloader


@contextmanager
def hanging_up(reloader: Reloader) -> Iterator[None]:
    """SIGHUP reads the configuration anew: https://en.wikipedia.org/wiki/SIGHUP#Modern_usage"""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[Outcome]] = set()

    def begin() -> None:
        task = loop.create_task(reloader.reload("signal"))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    before = signal.signal(signal.SIGHUP, lambda _signum, _frame: loop.call_soon_threadsafe(begin))
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@contextmanager
def draining(running: Running, seconds: float) -> Iterator[None]:
    """SIGTERM first turns readiness off; for up to `seconds` what runs finishes, and balancers are told. Then it stops.

    The listening socket stays open meanwhile: a balancer that has not noticed yet is still answered.
    """
    stop = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def finish(signum: int) -> None:
        await running.until_left(seconds)
        if callable(stop):
            stop(signum, None)

    def begin(signum: int) -> None:
        if running.draining:
            return
        running.drain(loop.time())
        tasks.add(loop.create_task(finish(signum)))

    def on_signal(signum: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, signum)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
