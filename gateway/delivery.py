"""A job on its way through the targets: what has to be embedded, and what has come of it so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self, cast

from gateway.allowances import Priority
from gateway.planning import Plan
from gateway.policy import TABLE, Attempt
from providers.base import Fault, InputType
from providers.values import frozen

Counts = Callable[[], Awaitable[Sequence[int]]]
"""The tokens of a job's inputs, counted here."""


@frozen
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
    alias: str = ""
    """Of the route, for the metrics."""
    hedge: bool = False
    """Whether a second target may be asked while the first one takes its time."""
    counts: Counts | None = field(default=None, repr=False)
    """Where nobody counts, the plan's sizes have to do."""

    def only(self, places: Sequence[int]) -> Job:
        """For these of the plan's inputs alone."""

        async def counts() -> Sequence[int]:
            return await self.counted(places)

        return replace(self, plan=self.plan.only(places), counts=counts)

    async def counted(self, places: Sequence[int]) -> list[int]:
        """The tokens of each of these inputs."""
        every = self.plan.sizes if self.counts is None else await self.counts()
        return [every[place] for place in places]


@frozen
class Answer:
    """Right vectors of one batch, the tokens that the upstream billed for them if it says so, and who made them."""

    vectors: Sequence[bytes] = field(repr=False)
    tokens: int | None
    target: str
    shared: bool = False
    """Whether the tokens are a share, by counts, of what was billed for this and other calls together."""


@frozen
class SharedFault(Fault):
    """What a call came to that was made for so many riders together."""

    riders: int = 1

    @classmethod
    def of(cls, fault: Fault, riders: int) -> Self:
        """No item of it is any one rider's."""
        known = {each.name: getattr(fault, each.name) for each in fields(Fault)}
        return cls(**{**known, "item": None, "riders": riders})


@dataclass(slots=True)
class Delivery:
    """What has been delivered so far. Vectors are float32 bytes in the order of the plan's inputs, None where missing.

    `tokens` is the upstreams' own sum, None as soon as one of them did not say.
    """

    vectors: list[bytes | None] = field(repr=False)
    tokens: int | None = 0
    targets: list[str] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    charged: dict[int, int] = field(default_factory=dict)
    """How many times an upstream may have billed a position without delivering it, even if another delivered it."""
    shared: bool = False
    """Whether some of the tokens are a share of what was billed for several jobs together."""

    @property
    def delivered(self) -> list[int]:
        return [position for position, vector in enumerate(self.vectors) if vector is not None]

    @property
    def missing(self) -> list[int]:
        if None not in self.vectors:
            return []
        return [position for position, vector in enumerate(self.vectors) if vector is None]

    @property
    def complete(self) -> list[bytes] | None:
        return None if None in self.vectors else cast("list[bytes]", self.vectors)

    def keep(self, batch: Sequence[int], answer: Answer) -> None:
        vectors = self.vectors
        if len(batch) == len(vectors) == len(answer.vectors):  # all of them, in order
            vectors[:] = answer.vectors
        else:
            for position, vector in zip(batch, answer.vectors, strict=True):
                vectors[position] = vector
        self.tokens = None if answer.tokens is None or self.tokens is None else self.tokens + answer.tokens
        self.shared |= answer.shared
        if answer.target not in self.targets:
            self.targets.append(answer.target)

    def charge(self, batch: Sequence[int], times: int = 1) -> None:
        for position in batch:
            self.charged[position] = self.charged.get(position, 0) + times

    def fail(self, target: str, fault: Fault, batch: Sequence[int], plan: Plan, seconds: float) -> None:
        if TABLE[fault.kind].charged:
            self.charge(batch)
        self.attempts.append(Attempt(target, fault, [plan.origins[position] for position in batch], seconds))
