"""One batch to one target: asked, checked, and tried again, as the target's health and the policy allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway import contract, tracing
from gateway.coalescing import SMALL, Coalescer, Way
from gateway.delivery import Answer, Job, SharedFault
from gateway.health import Ticket
from gateway.lockstep import STEP
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
        call = _Call(self, job, target, batch, deadline, others)
        outcome = await call.attempt()
        if not isinstance(outcome, Fault):
            return outcome
        patience = WAIT_WITH_OTHERS_LEFT if others else math.inf
        return await self.retry.after(outcome, call.attempt, deadline, patience, call.may_retry, lambda: call.sent)


class _Call:
    """What is asked of one target, as often as it may be asked."""

    __slots__ = ("_batch", "_call", "_calls", "_deadline", "_health", "_job", "_others", "_spoilt", "_target", "sent")

    def __init__(
        self, calls: Calls, job: Job, target: Target, batch: Sequence[int], deadline: float, others: int
    ) -> None:
        inputs = job.plan.inputs
        self._calls = calls
        self._job = job
        self._target = target
        self._health = target.health
        self._batch = batch
        self._deadline = deadline
        self._others = others
        self._spoilt = False
        self._call = EmbedCall(
            target.model,
            inputs if len(batch) == len(inputs) else [inputs[position] for position in batch],
            job.sent_dimensions,
            job.input_type if target.takes_role else None,
            job.user,
            job.extra,
        )
        self.sent = 0

    async def attempt(self) -> Answer | Fault:
        now, target, health = self._calls.clock(), self._target, self._health
        # A hung target must not eat the time of those after it.
        deadline = self._deadline
        until = min(deadline, now + (target.timeout or min(TRY_SECONDS, (deadline - now) / (self._others + 1))))
        if target.coalescer is None or len(self._batch) > SMALL or self._spoilt:
            ticket = health.begin(len(self._call.inputs), now, last_resort=not self._others)
            if isinstance(ticket, Fault):
                return ticket
            self._goes()
            outcome = await self._asked(self._call, ticket, until)
        else:
            refusal = health.refusal_of_call(now, last_resort=not self._others)
            if refusal is not None:
                return refusal
            self._goes()
            outcome = await self._among_others(target.coalescer, until)
            # Whatever broke the target may have been a neighbour's: it is not asked in company again.
            self._spoilt = isinstance(outcome, Fault) and outcome.kind is FaultKind.BROKEN
        return outcome if isinstance(outcome, Answer) else self._with_hint(outcome)

    def _goes(self) -> None:
        """The first time it earns what later ones, and copies at other targets, may take."""
        if not self.sent:
            self._health.retries.earn()
            if self._job.hedge:
                self._health.hedges.earn(sum(map(self._job.plan.sizes.__getitem__, self._batch)))
        self.sent += 1

    def may_retry(self, fault: Fault) -> bool:
        """Not while the target is left alone, but for a pause that the retry waits out."""
        now = self._calls.clock()
        refusal = self._health.refusal(now)
        if refusal is not None and refusal.kind is not FaultKind.THROTTLED:
            return False
        if not self.sent:
            return True
        # of one call that was made for many together, which is made again for many, each pays its part
        if not self._health.retries.take(now, 1 / fault.riders if isinstance(fault, SharedFault) else 1.0):
            return False
        self._calls.metrics.retried(self._job.alias, self._target.name)
        return True

    async def _asked(self, call: EmbedCall, ticket: Ticket, until: float) -> Answer | Fault:
        """One upstream call; its target's health, the metrics and the trace are told what came of it."""
        job, target, items = self._job, self._target, ticket.items
        outcome: Answer | Fault | None = None
        error, tokens = "cancelled", None
        span = tracing.begin(target, job.alias, items, job.dimensions)
        try:
            found = await target.backend.embed(call, until, job.lane)
            if isinstance(found, Embeddings):
                await STEP
                vectors, tokens = contract.check(found, items, job.dimensions, job.kept), contract.billed(found)
                outcome = vectors if isinstance(vectors, Fault) else Answer(vectors, tokens, target.name)
            else:
                outcome = found
            return outcome
        finally:
            now = self._calls.clock()
            if isinstance(outcome, Answer):
                error = ""
                self._health.end(ticket, None, now)
            else:
                if outcome is not None:
                    error, tokens = outcome.kind, None
                hurried = until - ticket.began < min(target.timeout or PATIENCE, PATIENCE) - ROUNDING
                cut_off, altered = outcome is None, bool(job.extra)
                self._health.end(ticket, outcome, now, cut_off=cut_off, hurried=hurried, altered=altered)
            if span is not None:
                span.end(error, tokens)
            self._calls.metrics.called(job.alias, target, now - ticket.began, items, error, tokens)

    async def _among_others(self, coalescer: Coalescer, until: float) -> Answer | Fault:
        """In one upstream call with what others have to send at the same moment, if there is any."""
        calls, job, target = self._calls, self._job, self._target

        async def ask(call: EmbedCall, until: float) -> Answer | Fault:
            ticket = self._health.begin(len(call.inputs), calls.clock(), last_resort=not self._others)
            return ticket if isinstance(ticket, Fault) else await self._asked(call, ticket, until)

        def is_full() -> bool:
            load = target.backend.load
            return load.running >= load.slots

        small = Small(
            call=self._call,
            sizes=[job.plan.sizes[position] for position in self._batch],
            count=lambda: job.counted(self._batch),
            until=until,
            lane=job.lane,
            wanted=(job.dimensions, job.kept),
        )
        way = Way(ask, is_full, lambda: self._health.retries.take(calls.clock()))
        outcome = await coalescer.send(small, way)
        if isinstance(outcome, Answer) and outcome.shared:
            calls.metrics.coalesced(job.alias, target.name)
        return outcome

    def _with_hint(self, fault: Fault) -> Fault:
        """Who throttles without saying how long is asked again when its pause is over."""
        if fault.kind is not FaultKind.THROTTLED or fault.retry_after is not None:
            return fault
        refusal = self._health.refusal(self._calls.clock())
        return fault if refusal is None else replace(fault, retry_after=refusal.retry_after)
