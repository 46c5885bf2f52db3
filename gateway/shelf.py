"""The different inputs of one request beside what the cache has of them: what must be sent, and all of it together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, cast

from gateway import usage
from gateway.answers import UsageSource
from gateway.auth import Caller
from gateway.cache import Cache
from gateway.cache_control import CacheControl
from gateway.cache_entry import Kept
from gateway.delivery import Delivery
from gateway.dimensions import Length
from gateway.errors import NotCached
from gateway.planning import Plan
from gateway.routing import Route
from gateway.wire import EmbeddingsRequest
from providers.base import InputType


@dataclass(slots=True)
class Shelf:
    """`keys` has one for each of the plan's inputs, or none where this request has nothing to do with the cache.

    `kept` is by position what need not be sent, `missing` are the other positions and `misses` their plan.
    """

    plan: Plan
    control: CacheControl
    cache: Cache | None = None
    keys: Sequence[bytes] = field(default=(), repr=False)
    kept: dict[int, Kept] = field(default_factory=dict)
    missing: Sequence[int] = ()
    misses: Plan = field(init=False)

    def __post_init__(self) -> None:
        self.missing, self.misses = range(len(self.plan.inputs)), self.plan

    @classmethod
    def of(
        cls,
        cache: Cache | None,
        request: EmbeddingsRequest,
        caller: Caller,
        route: Route,
        role: InputType | None,
        length: Length,
        plan: Plan,
    ) -> Self:
        control = request.cache_control
        if cache is None or not (route.cache and caller.cache and control.keeps):
            return cls(plan, control)
        recipe = cache.recipe(route, caller, length, role, request.extra)
        return cls(plan, control, cache, recipe.keys(plan.inputs))

    @property
    def looks_up(self) -> bool:
        return self.cache is not None and self.control.looks_up

    @property
    def wanted(self) -> Sequence[bytes]:
        """The keys of what is missing."""
        return [self.keys[position] for position in self.missing]

    async def look_up(self, dimensions: int, model: str) -> None:
        """Never raises: what cannot be looked up is missing."""
        if self.cache is None or not self.looks_up:
            return
        found = await self.cache.find(self.keys, dimensions, model)
        self.kept = {position: kept for position, kept in enumerate(found) if kept is not None}
        if self.kept:
            self.missing = [position for position, kept in enumerate(found) if kept is None]
            self.misses = self.plan.only(self.missing)

    def check(self) -> None:
        """Raises NotCached where the client wants nothing else than what is there."""
        if self.control.only_if_cached and self.missing:
            raise NotCached(
                f"{len(self.missing)} of {len(self.plan.inputs)} different inputs are not in the cache, and the "
                "request's `Cache-Control: only-if-cached` allows no backend to be asked."
            )

    def add(self, others: Mapping[int, Kept]) -> None:
        """By place in `missing`: what has been sent for others meanwhile."""
        self.kept |= {self.missing[place]: kept for place, kept in others.items()}

    def vectors(self, delivery: Delivery) -> list[bytes] | None:
        """Of all the plan's inputs; None if any is still missing. The delivery is that of `misses`."""
        if not self.kept:
            return delivery.complete
        vectors: list[bytes | None] = [None] * len(self.plan.inputs)
        for position, vector in zip(self.missing, delivery.vectors, strict=True):
            vectors[position] = vector
        for position, kept in self.kept.items():
            vectors[position] = kept.vector
        return None if None in vectors else cast("list[bytes]", vectors)

    @property
    def saved(self) -> int:
        """Tokens that were not sent."""
        return sum(kept.tokens for kept in self.kept.values())

    @property
    def cached(self) -> int | None:
        """How many of the request's inputs needed nothing to be sent; None where no cache is used."""
        if self.cache is None:
            return None
        if self.plan.plain:
            return len(self.kept)
        return sum(all(part in self.kept for part in parts) for parts in self.plan.uses)

    @property
    def sent(self) -> Plan:
        """What was sent for this request."""
        if not self.kept:
            return self.plan
        return self.plan.only([position for position in self.missing if position not in self.kept])

    def with_kept(self, tokens: int, source: UsageSource) -> tuple[int, UsageSource]:
        """The tokens of all inputs of the request, given those of what was sent, repetitions included."""
        if not self.kept:
            return tokens, source
        repeats = self.plan.repeats
        tokens += sum(repeats[position] * kept.tokens for position, kept in self.kept.items())
        return tokens, usage.worst([source, *{kept.source for kept in self.kept.values()}])
