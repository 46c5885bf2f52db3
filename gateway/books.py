"""What one request costs its caller: reserved before it runs, settled and written down after it, whatever happens.

Quotas and costs follow what went upstream. Tokens come back only for batches that were never sent, or that were
refused unprocessed; a request that is cut off in the middle keeps its estimate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from gateway import admission, usage
from gateway.allowances import Team
from gateway.answers import UsageSource
from gateway.auth import Caller
from gateway.delivery import Delivery
from gateway.ledger import Ledger
from gateway.limits import Limiter, Reservation
from gateway.metrics import Metrics
from gateway.planning import Plan
from gateway.record import Record
from gateway.routing import Route
from gateway.store import Usage
from gateway.store.memory import MemoryLimits
from gateway.tokens import Counter


class Entry:
    """One request. `tokens` is what it will be charged with if nothing more becomes known of it."""

    __slots__ = (
        *("tokens", "source", "saved", "_limiter", "_ledger", "_caller", "_route", "_counter", "_record", "_inputs"),
        *("_reservation", "_counts"),
    )

    def __init__(
        self,
        limiter: Limiter,
        ledger: Ledger,
        caller: Caller,
        route: Route,
        counter: Counter,
        record: Record,
        inputs: int,
    ) -> None:
        self._limiter = limiter
        self._ledger = ledger
        self._caller = caller
        self._route = route
        self._counter = counter
        self._record = record
        self._inputs = inputs
        self._reservation: Reservation | None = None
        self._counts: Sequence[int] | None = None
        self.tokens = 0
        self.source: UsageSource = "estimated"
        self.saved = 0
        """Tokens of what the cache had, and of what others had sent already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        tokens, cost = self.tokens, self._route.cost(self.tokens)
        if self._reservation is not None:
            self._limiter.settle(self._reservation, tokens, cost or 0)
        used = Usage(requests=1, errors=int(raised is not None), inputs=self._inputs, cached=self.saved)
        setattr(used, self.source, tokens)
        if cost is None:
            used.unpriced = tokens
        else:
            used.nanos = cost
        self._record.used = used
        self._ledger.add(self._caller, self._route.alias, used)

    async def reserve(self, plan: Plan, deadline: float) -> None:
        """Takes the request and its tokens from every limit that applies; `deadline` is on the event loop's clock.

        Raises RateLimited or QuotaExhausted with nothing taken, and StateUnavailable.
        """
        gates = self._limiter.gates(self._caller, self._route)
        estimate = sum(await self.counts(plan)) if gates.by_tokens else 0
        if gates.each:
            seconds = max(0.0, deadline - asyncio.get_running_loop().time())
            cost = self._route.cost(estimate) or 0
            reservation = self._reservation = await self._limiter.reserve(gates, estimate, cost, seconds)
            self._record.headers, self._record.shadowed = reservation.headers, reservation.shadowed
        # Only now: what is refused uses nothing. Without a count the sizes are the most that it can be.
        self.tokens = estimate if gates.by_tokens else sum(plan.sizes)

    async def charge(self, reported: int | None, plan: Plan, delivery: Delivery) -> None:
        """`reported` is what the upstreams billed for what they delivered, None if one did not say: then it is counted.

        What one of them may have billed without delivering it is counted on top.
        """
        counts = await self.counts(plan) if reported is None or delivery.charged else ()
        undelivered = sum(counts[position] * times for position, times in delivery.charged.items()) if counts else 0
        if reported is not None:
            self.tokens = reported + undelivered
        else:
            self.tokens = sum(counts[position] for position in delivery.delivered) + undelivered
        by_counts = reported is None or delivery.shared
        self.source = usage.of_counts(self._route, self._counter) if by_counts else "reported"

    async def counts(self, plan: Plan) -> Sequence[int]:
        """The tokens of what is to be sent, counted once."""
        if self._counts is None:
            self._counts = await admission.count(plan.inputs, self._counter)
        return self._counts


@dataclass(frozen=True, slots=True)
class Books:
    limiter: Limiter
    ledger: Ledger

    def of(self, teams: Mapping[str, Team]) -> Books:
        """The same books for other teams."""
        return Books(self.limiter.of(teams), self.ledger)

    def entry(self, caller: Caller, route: Route, counter: Counter, inputs: int, record: Record) -> Entry:
        """A request's entry; it is settled and written down when it is left, even by an exception."""
        return Entry(self.limiter, self.ledger, caller, route, counter, record, inputs)


def unkept(clock: Callable[[], float]) -> Books:
    """Books for whoever has no state: limits of models hold in this process, and nothing is written down."""
    limits = MemoryLimits(clock)
    return Books(Limiter(limits, limits, {}, "allow", clock, Metrics()), Ledger(None, clock))
