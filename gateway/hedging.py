"""A second copy of a small job that takes long: when, where, and which of the two answers counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.delivery import Job
from gateway.routing import Target

MOST_INPUTS: Final = 8
"""Larger jobs nobody waits for with a cursor in front of them, and they cost more."""

_OutcomeT = TypeVar("_OutcomeT")


@dataclass(frozen=True, slots=True)
class Hedge:
    """Whom to ask, after so many seconds, while the first target, to whom it costs extra tokens, has not answered."""

    target: Target
    spare: Target
    delay: float
    tokens: int

    def may_start(self, now: float) -> bool:
        """Takes what it costs, if both targets are well and there is something left to be taken."""
        calm = self.target.health.calm(now) and self.spare.health.calm(now)
        return calm and self.target.health.hedges.take(now, self.tokens) and self.spare.health.retries.take(now)


def hedge(job: Job, target: Target, others: Sequence[Target], now: float) -> Hedge | None:
    """None where the job, or what is known of the targets, does not allow one."""
    items = len(job.plan.inputs)
    if not job.hedge or job.lane != "interactive" or items > MOST_INPUTS:
        return None
    delay = target.health.latency(items).p95
    spare = next((other for other in others if other.health.calm(now)), None)
    return None if delay is None or spare is None else Hedge(target, spare, delay, sum(job.plan.sizes))


async def race(
    first: Coroutine[Any, Any, _OutcomeT],
    second: Callable[[], Coroutine[Any, Any, _OutcomeT]],
    pause: Awaitable[None],
    may_start: Callable[[], bool],
    wins: Callable[[_OutcomeT], bool],
) -> list[_OutcomeT | None]:
    """What came of the first, and of the second if it was begun after the pause; None for one that was cut off.

    The first outcome that wins cuts the other off; without one, both are awaited.
    """
    running = [asyncio.create_task(first)]
    waking = asyncio.ensure_future(pause)
    try:
        await asyncio.wait((*running, waking), return_when=asyncio.FIRST_COMPLETED)
        if not running[0].done() and may_start():
            running.append(asyncio.create_task(second()))
        done: set[asyncio.Task[_OutcomeT]] = set()
        while len(done) < len(running) and not any(wins(task.result()) for task in done):
            done, _ = await asyncio.wait(
                running, return_when=asyncio.ALL_COMPLETED if done else asyncio.FIRST_COMPLETED
            )
        return [task.result() if task in done else None for task in running]
    finally:
        for task in (*running, waking):
            task.cancel()
        await asyncio.gather(*running, waking, return_exceptions=True)
