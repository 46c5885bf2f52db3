"""A job over its targets: batches run side by side, and what one target could not deliver flows to the next."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from gateway import contract, halving, planning
from gateway.allowances import Priority
from gateway.planning import Plan
from gateway.policy import TABLE, Attempt
from gateway.retry import Retry
from gateway.routing import Target
from gateway.together import together
from providers.base import EmbedCall, Embeddings, Fault, InputType

TRY_SECONDS: Final = 20.0
"""Longest single try where the target names none."""
WAIT_WITH_OTHERS_LEFT: Final = 1.0
"""After a first failure, the end of the last pause before the same target is tried again, if others could be asked."""

Answer = tuple[Sequence[bytes], int | None]
"""Right vectors, and the tokens that the upstream billed for them."""


@dataclass(frozen=True, slots=True)
class Job:
    """What has to be embedded, alike for every target.

    `dimensions` is the length that must come back; `kept` of them are what the client will get, None for all.
    """

    plan: Plan
    dimensions: int
    kept: int | None = None
    sent_dimensions: int | None = None
    input_type: InputType | None = None
    user: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
    lane: Priority = "interactive"


@dataclass(slots=True)
class Delivery:
    """What has been delivered so far. Vectors are float32 bytes in the order of the plan's inputs, None where missing.

    `tokens` is the upstreams' own sum, None as soon as one of them did not say.
    """

    vectors: list[bytes | None] = field(repr=False)
    tokens: int | None = 0
    targets: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    charged: set[int] = field(default_factory=set)
    """Positions that an upstream may have billed without delivering them, even if another delivered them then."""

    @property
    def delivered(self) -> list[int]:
        return [position for position, vector in enumerate(self.vectors) if vector is not None]

    @property
    def missing(self) -> list[int]:
        return [position for position, vector in enumerate(self.vectors) if vector is None]

    @property
    def complete(self) -> list[bytes] | None:
        whole = [vector for vector in self.vectors if vector is not None]
        return whole if len(whole) == len(self.vectors) else None


def _is_final(fault: Fault) -> bool:
    """Whether no other target may help. One may take the batch that is too large here, while no item of it is."""
    return not TABLE[fault.kind].next_target and not (fault.divisible and fault.item is None)


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """`clock` is the event loop's, which deadlines are on."""

    retry: Retry
    clock: Callable[[], float]

    async def run(self, job: Job, targets: Sequence[Target], deadline: float) -> Delivery:
        """Asks the targets in the order given until nothing is missing, or no other target may help."""
        plan = job.plan
        delivery = Delivery([None] * len(plan.inputs))
        for place, target in enumerate(targets):
            others = len(targets) - place - 1
            batches = planning.pack(
                plan.inputs,
                plan.sizes if target.counts_alike else None,
                delivery.missing,
                target.limits,
                planning.frame(target.model, target.extra_body, job.extra, job.user)
                if target.limits.request_bytes is not None
                else planning.BARE,
            )
            faults = await self._ask(job, target, batches, delivery, deadline, others)
            if not faults or any(map(_is_final, faults)):
                break
        return delivery

    async def _ask(
        self,
        job: Job,
        target: Target,
        batches: Sequence[Sequence[int]],
        delivery: Delivery,
        deadline: float,
        others: int,
    ) -> list[Fault]:
        """Runs all batches at one target and books what came of each."""

        async def ask(batch: Sequence[int]) -> Answer | Fault:
            return await self._batch(job, target, batch, deadline, others)

        outcomes = await together(halving.deliver(batch, ask) for batch in batches)
        faults: list[Fault] = []
        for batch, outcome in chain.from_iterable(outcomes):
            if isinstance(outcome, Fault):
                faults.append(outcome)
                if TABLE[outcome.kind].charged:
                    delivery.charged.update(batch)
                origins = [job.plan.origins[position] for position in batch]
                delivery.attempts.append(Attempt(target.name, outcome, origins))
                continue
            vectors, tokens = outcome
            for position, vector in zip(batch, vectors, strict=True):
                delivery.vectors[position] = vector
            delivery.tokens = None if tokens is None or delivery.tokens is None else delivery.tokens + tokens
            if target.name not in delivery.targets:
                delivery.targets.append(target.name)
        return faults

    async def _batch(
        self, job: Job, target: Target, batch: Sequence[int], deadline: float, others: int
    ) -> Answer | Fault:
        call = EmbedCall(
            model=target.model,
            inputs=[job.plan.inputs[position] for position in batch],
            dimensions=job.sent_dimensions,
            input_type=job.input_type if target.takes_role else None,
            user=job.user,
            extra=job.extra,
        )

        async def attempt() -> Embeddings | Fault:
            return await target.backend.embed(call, self._try_until(target, deadline, others), job.lane)

        outcome = await self.retry.run(attempt, deadline, WAIT_WITH_OTHERS_LEFT if others else math.inf)
        if isinstance(outcome, Fault):
            return outcome
        vectors = contract.check(outcome, len(batch), job.dimensions, job.kept)
        return vectors if isinstance(vectors, Fault) else (vectors, contract.billed(outcome))

    def _try_until(self, target: Target, deadline: float, others: int) -> float:
        """A hung target must not eat the time of those after it."""
        now = self.clock()
        own = target.timeout or min(TRY_SECONDS, (deadline - now) / (others + 1))
        return min(deadline, now + own)
