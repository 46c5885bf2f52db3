"""Time that passes only when somebody sleeps."""

from __future__ import annotations


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
