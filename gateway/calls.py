"""One batch to one target: asked, checked, and tried again, as the target's health and the policy allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway import contract, tracing
from gateway.coalescing import SMALL, Coalescer, Way
from gateway.delivery import Answer, Job
from gateway.metrics import Metrics
from gateway.retry import Retry
from gateway.routing import Target
from gateway.sharing import Small
from providers.base import EmbedCall, Embeddings, Fault, FaultKind

TRY_SECONDS: Final = 20.0
"""Longest single try where the target names none."""
PATIENCE: Final = 5.0
"""A try that had fewer seconds, because its client has no more, tells little of the target if they were not enough."""
ROUNDING: Final = 0.001
"""Seconds; a sum of times is no exact one."""
WAIT_WITH_OTHERS_LEFT: Final = 1.0
"""After a first failure, the end of the last pause before the same target is tried again, if others could be asked."""


@dataclass(frozen=True, slots=True)
class Calls:
    """`clock` is the event loop's, which deadlines are on."""

    retry: Retry
    clock: Callable[[], float]
    metrics: Metrics = field(default_factory=Metrics)

    async def batch(
        self, job: Job, target: Target, batch: Sequence[int], deadline: float, others: int
    ) -> Answer | Fault:
        """`others` is how many targets could be asked after this one."""
        health = target.health
        call = EmbedCall(
            model=target.model,
            inputs=list(map(job.plan.inputs.__getitem__, batch)),
            dimensions=job.sent_dimensions,
            input_type=job.input_type if target.takes_role else None,
            user=job.user,
            extra=job.extra,
        )
        sent, spoilt = 0, False

        async def attempt() -> Answer | Fault:
            nonlocal sent, spoilt
            refusal = health.refusal_of_call(self.clock(), last_resort=not others)
            if refusal is not None:
                return refusal
            if not sent:
                health.retries.earn()
                health.hedges.earn(sum(map(job.plan.sizes.__getitem__, batch)))
            sent, until = sent + 1, self._try_until(target, deadline, others)
            coalescer = target.coalescer
            if coalescer is None or len(batch) > SMALL or spoilt:
                outcome = await self._try(job, target, call, until, others)
            else:
                outcome = await self._among_others(coalescer, job, target, batch, call, until, others)
                # Whatever broke the target may have been a neighbour's: it is not asked in company again.
                spoilt = isinstance(outcome, Fault) and outcome.kind is FaultKind.BROKEN
            return self._with_hint(outcome, target)

        def may_retry(fault: Fault) -> bool:
            """Not while it is left alone, but for a pause that the retry waits out."""
            refusal = health.refusal(self.clock())
            if refusal is not None and refusal.kind is not FaultKind.THROTTLED:
                return False
            if not sent:
                return True
            if not health.retries.take(self.clock()):
                return False
            self.metrics.retried(job.alias, target.name)
            return True

        patience = WAIT_WITH_OTHERS_LEFT if others else math.inf
        return await self.retry.run(attempt, deadline, patience, may_retry, lambda: sent)

    async def _try(self, job: Job, target: Target, call: EmbedCall, until: float, others: int) -> Answer | Fault:
        """One upstream call; its target's health, the metrics and the trace are told what came of it."""
        health, items, outcome = target.health, len(call.inputs), None
        ticket = health.begin(items, self.clock(), last_resort=not others)
        if isinstance(ticket, Fault):
            return ticket
        with tracing.call(target, job.alias, items, job.dimensions) as trace:
            try:
                embeddings = await target.backend.embed(call, until, job.lane)
                outcome = _checked(embeddings, job, target, items)
            finally:
                fault = outcome if isinstance(outcome, Fault) else None
                hurried = until - ticket.began < min(target.timeout or PATIENCE, PATIENCE) - ROUNDING
                now, cut_off = self.clock(), outcome is None
                health.end(ticket, fault, now, cut_off=cut_off, hurried=hurried, altered=bool(job.extra))
                error, tokens = _told(outcome)
                trace(error, tokens)
                self.metrics.called(job.alias, target, now - ticket.began, items, error, tokens)
        return outcome

    async def _among_others(
        self,
        coalescer: Coalescer,
        job: Job,
        target: Target,
        batch: Sequence[int],
        call: EmbedCall,
        until: float,
        others: int,
    ) -> Answer | Fault:
        """In one upstream call with what others have to send at the same moment, if there is any."""

        async def ask(call: EmbedCall, until: float) -> Answer | Fault:
            return await self._try(job, target, call, until, others)

        def is_full() -> bool:
            load = target.backend.load
            return load.running >= load.slots

        small = Small(
            call=call,
            sizes=[job.plan.sizes[position] for position in batch],
            count=lambda: job.counted(batch),
            until=until,
            lane=job.lane,
            wanted=(job.dimensions, job.kept),
        )
        way = Way(ask, is_full, lambda: target.health.retries.take(self.clock()))
        outcome = await coalescer.send(small, way)
        if isinstance(outcome, Answer) and outcome.shared:
            self.metrics.coalesced(job.alias, target.name)
        return outcome

    def _with_hint(self, outcome: Answer | Fault, target: Target) -> Answer | Fault:
        """Who throttles without saying how long is asked again when its pause is over."""
        if isinstance(outcome, Fault) and outcome.kind is FaultKind.THROTTLED and outcome.retry_after is None:
            refusal = target.health.refusal(self.clock())
            return outcome if refusal is None else replace(outcome, retry_after=refusal.retry_after)
        return outcome

    def _try_until(self, target: Target, deadline: float, others: int) -> float:
        """A hung target must not eat the time of those after it."""
        now = self.clock()
        own = target.timeout or min(TRY_SECONDS, (deadline - now) / (others + 1))
        return min(deadline, now + own)


def _told(outcome: Answer | Fault | None) -> tuple[str, int | None]:
    """What went wrong, "" for nothing, and the tokens that the target has reported."""
    if outcome is None:
        return "cancelled", None
    return (outcome.kind, None) if isinstance(outcome, Fault) else ("", outcome.tokens)


def _checked(outcome: Embeddings | Fault, job: Job, target: Target, items: int) -> Answer | Fault:
    if isinstance(outcome, Fault):
        return outcome
    vectors = contract.check(outcome, items, job.dimensions, job.kept)
    return vectors if isinstance(vectors, Fault) else Answer(vectors, contract.billed(outcome), target.name)
