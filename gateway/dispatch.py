"""A job over its targets: batches run side by side, and what one target could not deliver flows to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway import contract, planning
from gateway.policy import TABLE, Attempt
from gateway.retry import Retry
from gateway.routing import Target
from providers.base import EmbedCall, Embeddings, Fault, Input, InputType

TRY_SECONDS: Final = 20.0
"""Longest single try where the target names none."""
WAIT_WITH_OTHERS_LEFT: Final = 1.0
"""Longest pause before trying the same target again while another one could be asked."""


@dataclass(frozen=True, slots=True)
class Job:
    """What has to be embedded, alike for every target.

    `dimensions` is the length that must come back; `kept` of them are what the client will get, None for all.
    """

    inputs: Sequence[Input] = field(repr=False)
    sizes: Sequence[int]
    dimensions: int
    kept: int | None = None
    sent_dimensions: int | None = None
    input_type: InputType | None = None
    user: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Delivery:
    """What has been delivered so far. Vectors are float32 bytes in the order of the inputs, None where missing.

    `tokens` is the upstreams' own sum, None as soon as one of them did not say.
    """

    vectors: list[bytes | None] = field(repr=False)
    tokens: int | None = 0
    targets: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def missing(self) -> list[int]:
        return [position for position, vector in enumerate(self.vectors) if vector is None]

    @property
    def complete(self) -> list[bytes] | None:
        whole = [vector for vector in self.vectors if vector is not None]
        return whole if len(whole) == len(self.vectors) else None


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """`clock` is the event loop's, which deadlines are on."""

    retry: Retry
    clock: Callable[[], float]

    async def run(self, job: Job, targets: Sequence[Target], deadline: float) -> Delivery:
        """Asks the targets in the order given until nothing is missing, or no other target may help."""
        delivery = Delivery([None] * len(job.inputs))
        for place, target in enumerate(targets):
            others = len(targets) - place - 1
            batches = planning.pack(
                job.inputs, job.sizes if target.counts_alike else None, delivery.missing, target.limits
            )
            faults = await self._ask(job, target, batches, delivery, deadline, others)
            if not faults or any(not TABLE[fault.kind].next_target for fault in faults):
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
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._batch(job, target, batch, deadline, others)) for batch in batches]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the log shows where an exception was raised, and a group nowhere
        faults: list[Fault] = []
        for batch, task in zip(batches, tasks, strict=True):
            outcome = task.result()
            if isinstance(outcome, Fault):
                faults.append(outcome)
                delivery.attempts.append(Attempt(target.name, outcome, batch))
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
    ) -> tuple[list[bytes], int | None] | Fault:
        call = EmbedCall(
            model=target.model,
            inputs=[job.inputs[position] for position in batch],
            dimensions=job.sent_dimensions,
            input_type=job.input_type if target.takes_role else None,
            user=job.user,
            extra=job.extra,
        )
        latest = min(deadline, self.clock() + WAIT_WITH_OTHERS_LEFT) if others else deadline

        async def attempt() -> Embeddings | Fault:
            return await target.backend.embed(call, self._try_until(target, deadline, others))

        outcome = await self.retry.run(attempt, latest)
        if isinstance(outcome, Fault):
            return outcome
        vectors = contract.check(outcome, len(batch), job.dimensions, job.kept)
        return vectors if isinstance(vectors, Fault) else (vectors, outcome.prompt_tokens)

    def _try_until(self, target: Target, deadline: float, others: int) -> float:
        """A hung target must not eat the time of those after it."""
        now = self.clock()
        own = target.timeout or min(TRY_SECONDS, (deadline - now) / (others + 1))
        return min(deadline, now + own)
