"""Time that passes only when somebody sleeps, and the turn that other tasks need."""

from __future__ import annotations

import asyncio


class FakeTime:
    """`clock` and `sleep` as the event loop has them; `pauses` remembers who slept how long."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


async def settle() -> None:
    """Lets every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)
