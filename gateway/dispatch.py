"""A job over its targets: batches run side by side, and what one target could not deliver flows to the next."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from itertools import chain
from typing import Any

from gateway import halving, hedging, packing
from gateway.calls import Calls
from gateway.delivery import Answer, Delivery, Job
from gateway.hedging import Hedge
from gateway.metrics import Metrics
from gateway.policy import TABLE
from gateway.retry import Retry
from gateway.routing import Target
from gateway.together import together
from providers.base import Fault

Batch = Sequence[int]
Runs = Sequence[tuple[Batch, Answer | Fault, float]]
"""Of batches or pieces of them: what each came to, and after how many seconds."""


def _is_final(fault: Fault) -> bool:
    """Whether no other target may help. One may take the batch that is too large here, while no item of it is."""
    return not TABLE[fault.kind].next_target and not (fault.divisible and fault.item is None)


class Dispatcher:
    """`clock` is the event loop's, which deadlines are on."""

    def __init__(self, retry: Retry, clock: Callable[[], float], metrics: Metrics | None = None) -> None:
        self.retry = retry
        self.clock = clock
        self.metrics = metrics or Metrics()
        self._calls = Calls(retry, clock, self.metrics)

    async def run(self, job: Job, targets: Sequence[Target], deadline: float) -> Delivery:
        """Asks the targets in the order given until nothing is missing, or no other target may help.

        What is missing of all batches is packed anew for the next target, once it is known: a target that is down
        fails them all, and the next one may take more at a time.
        """
        delivery = Delivery([None] * len(job.plan.inputs))
        left = list(targets)
        while left:
            target = left.pop(0)
            failed_before = len(delivery.attempts)
            await self._ask(job, target, delivery, deadline, left)
            if None not in delivery.vectors:
                break
            if any(_is_final(attempt.fault) for attempt in delivery.attempts[failed_before:]):
                break
            if left:
                self.metrics.fell_back(job.alias, target.name)
        return delivery

    async def _ask(self, job: Job, target: Target, delivery: Delivery, deadline: float, left: list[Target]) -> None:
        """Runs what is missing at one target, and books what came of each run."""
        batches = _pack(job, target, delivery.missing if delivery.attempts else range(len(delivery.vectors)))
        others = 0
        if left:
            now = self.clock()
            others = sum([other.health.willing(now) for other in left])
            if job.hedge and len(batches) == 1 and not delivery.attempts:
                hedge = hedging.hedge(job, target, left, now)
                if hedge is not None:
                    first = self._runs(job, target, batches, deadline, others)
                    await self._race(first, hedge, job, delivery, deadline, left)
                    return
        if len(batches) > 1:
            _book(await self._runs(job, target, batches, deadline, others), target, job, delivery)
            return
        (batch,), begun = batches, self.clock()
        outcome = await self._calls.batch(job, target, batch, deadline, others)
        if isinstance(outcome, Answer):
            delivery.keep(batch, outcome)
        else:
            tried = outcome, self.clock() - begun
            _book(await self._runs(job, target, batches, deadline, others, tried), target, job, delivery)

    async def _race(
        self,
        first: Coroutine[Any, Any, Runs],
        hedge: Hedge,
        job: Job,
        delivery: Delivery,
        deadline: float,
        left: list[Target],
    ) -> None:
        """Of two copies one is kept, and both may have to be paid. A spare target that failed is no longer `left`."""
        wanted = delivery.missing
        results = await hedging.race(
            first,
            lambda: self._runs(job, hedge.spare, _pack(job, hedge.spare, wanted), deadline, 0),
            self.retry.sleep(hedge.delay),
            lambda: hedge.may_start(self.clock()),
            _whole,
        )
        kept = next((place for place, runs in enumerate(results) if runs is not None and _whole(runs)), 0)
        for place, (target, runs) in enumerate(zip((hedge.target, hedge.spare), results, strict=False)):
            if runs is None:
                delivery.charge(wanted)
            else:
                _book(runs, target, job, delivery, kept=place == kept)
            if target is hedge.spare:
                self.metrics.hedged(job.alias, target.name, won=place == kept)
                if runs is not None and not _whole(runs):
                    left.remove(target)

    async def _runs(
        self,
        job: Job,
        target: Target,
        batches: Sequence[Batch],
        deadline: float,
        others: int,
        tried: tuple[Fault, float] | None = None,
    ) -> Runs:
        """All batches at one target side by side, halved where that helps.

        `tried` is what the only one has come to already, and after how many seconds.
        """
        took: dict[tuple[int, int], float] = {}  # by the first position of a run and its length

        async def ask(batch: Batch) -> Answer | Fault:
            begun = self.clock()
            outcome = await self._calls.batch(job, target, batch, deadline, others)
            took[batch[0], len(batch)] = self.clock() - begun
            return outcome

        def may_halve() -> bool:
            return target.health.retries.take(self.clock())

        if tried is not None:
            (batch,) = batches
            took[batch[0], len(batch)] = tried[1]
            found = await halving.after(tried[0], batch, ask, may_halve)
        else:
            delivered = await together(halving.deliver(batch, ask, may_halve) for batch in batches)
            found = list(chain.from_iterable(delivered))
        return [(run, outcome, took[run[0], len(run)]) for run, outcome in found]


def _pack(job: Job, target: Target, wanted: Sequence[int]) -> list[Sequence[int]]:
    plan, limits = job.plan, target.limits
    return packing.pack(
        plan.inputs,
        plan.sizes if target.counts_alike else None,
        wanted,
        limits,
        packing.frame(target.model, target.extra_body, job.extra, job.user)
        if limits.request_bytes is not None
        else packing.BARE,
    )


def _whole(runs: Runs) -> bool:
    return all(isinstance(outcome, Answer) for _, outcome, _ in runs)


def _book(runs: Runs, target: Target, job: Job, delivery: Delivery, *, kept: bool = True) -> None:
    """What is not kept was delivered by another, and is billed all the same."""
    for batch, outcome, seconds in runs:
        if isinstance(outcome, Fault):
            delivery.fail(target.name, outcome, batch, job.plan, seconds)
        elif kept:
            delivery.keep(batch, outcome)
        else:
            delivery.charge(batch)
