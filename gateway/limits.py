"""Limits in action: what a request will use is reserved before it runs, and settled when it is known.

While the state cannot be reached, `on_state_loss` decides: `allow` counts in this process alone, `deny` refuses.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from gateway import gates as rules
from gateway import notices
from gateway.allowances import Team
from gateway.auth import Caller
from gateway.config import OnLoss
from gateway.errors import StateUnavailable
from gateway.gates import NONE, Gate, Gates, Standings
from gateway.metrics import Metrics
from gateway.routing import Route
from gateway.store import LimitStore
from gateway.turn_head import Header
from providers.values import frozen

LEASE_SECONDS: Final = 5.0
"""How long a reservation outlives the deadline of its request, should the process die and never settle it."""
AGAIN_SECONDS: Final = 1.0
WAITING: Final = 10_000
"""Most settlements that wait for a home to be back; of what is beyond them leases end, and estimates stay spent."""
REMEMBERED: Final = 10_000
"""Pairs of a caller and a route whose gates are made already."""


@frozen
class Reservation:
    """What a request of so many tokens and such a cost has taken, and from which home; nothing where nothing limits."""

    id: str
    gates: Gates
    standings: Standings
    home: LimitStore | None
    tokens: int = 0
    nanos: int = 0
    ends: float = 0.0
    """When its leases end by themselves, in seconds since the epoch."""
    shadowed: Sequence[str] = ()
    """The shadow limits that would have refused it, which gave nothing."""

    @property
    def headers(self) -> Sequence[Header]:
        return notices.headers(self.gates, self.standings)


NOTHING: Final = Reservation("", NONE, Standings(()), None)


@frozen
class _Settlement:
    home: LimitStore
    reservation: str
    gates: Sequence[Gate]
    amounts: Sequence[int]
    spent: Sequence[int]
    ends: float

    async def run(self) -> None:
        await self.home.settle(self.reservation, self.gates, self.amounts, self.spent)

    def only(self, places: Sequence[int]) -> _Settlement:
        return replace(
            self,
            gates=[self.gates[place] for place in places],
            amounts=[self.amounts[place] for place in places],
            spent=[self.spent[place] for place in places],
        )

    def of_leases(self) -> _Settlement:
        """What may be done twice. A bucket may not: it keeps the estimate, and is full again soon anyway."""
        return self.only([place for place, gate in enumerate(self.gates) if not gate.refills])


class Limiter:
    """`clock` is in seconds since the epoch; `local` counts while `shared` cannot."""

    def __init__(
        self,
        shared: LimitStore,
        local: LimitStore,
        teams: Mapping[str, Team],
        on_loss: OnLoss,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._metrics = metrics
        self._shared = shared
        self._local = local
        self._teams = teams
        self._on_loss = on_loss
        self._clock = clock
        self._name, self._numbers = uuid.uuid4().hex, itertools.count()
        self._settling: set[asyncio.Task[None]] = set()
        self._waiting: deque[_Settlement] = deque()
        self._gates: dict[tuple[str, str], tuple[Caller, Route, Gates]] = {}

    def of(self, teams: Mapping[str, Team]) -> Limiter:
        """The same for other teams: both settle together what either has reserved."""
        other = copy.copy(self)
        other._teams, other._gates = teams, {}
        return other

    def gates(self, caller: Caller, route: Route) -> Gates:
        """Those that hold now. They are made once, and again when a budget's next period has begun."""
        now, name = self._clock(), (caller.key_id, route.alias)
        known = self._gates.get(name)
        if known is not None and known[0] is caller and known[1] is route and now < known[2].ends:
            return known[2]
        if len(self._gates) >= REMEMBERED:
            self._gates.clear()
        made = rules.of(caller, route, self._teams, now)
        self._gates[name] = (caller, route, made)
        return made

    async def reserve(self, gates: Gates, tokens: int, nanos: int, seconds: float) -> Reservation:
        """Takes the request, its tokens and their cost from every limit that applies, for so many seconds.

        Raises RateLimited or QuotaExhausted, having taken nothing, and StateUnavailable.
        """
        if not gates.each:
            return NOTHING
        name, lease, home = f"{self._name}-{next(self._numbers)}", seconds + LEASE_SECONDS, self._shared
        amounts, ends = gates.amounts(tokens, nanos), self._clock() + lease
        if (memory := home.at_once) is not None:
            standings = memory.take(name, gates.each, amounts, lease)
        else:
            home, standings = await self._reserve(name, gates.each, amounts, lease, ends)
        gates.lefts = standings.lefts
        if gates.budgets:
            self._metrics.budgets(gates, standings)
        shadowed: Sequence[str] = ()
        if standings.waits:
            self._metrics.refusals(gates, standings)
            if rules.refused(gates, standings):
                error = notices.refusal(gates, amounts, standings)
                told = {name.decode(): value.decode() for name, value in notices.headers(gates, standings)}
                error.headers = {**told, **error.headers}
                raise error
            shadowed = rules.shadowed(gates, standings)
        return Reservation(name, gates, standings, home, tokens, nanos, ends, shadowed)

    async def _reserve(
        self, name: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float, ends: float
    ) -> tuple[LimitStore, Standings]:
        """At the shared home, or at the local one while that is away."""
        home = self._shared
        try:
            return home, await home.reserve(name, gates, amounts, lease)
        except (StateUnavailable, asyncio.CancelledError) as failure:
            # It may have been done, and would be spent when its lease ends.
            self._wait(_Settlement(home, name, gates, amounts, [0] * len(gates), ends))
            if self._on_loss == "deny" or not isinstance(failure, StateUnavailable):
                raise
        self._metrics.counted_locally()
        return self._local, await self._local.reserve(name, gates, amounts, lease)

    def settle(self, reservation: Reservation, tokens: int, nanos: int) -> None:
        """Ends a reservation with what was really used; it happens beside the request, which need not wait for it."""
        gates = reservation.gates.rest if tokens != reservation.tokens else reservation.gates.leases
        home = reservation.home
        if home is None or not gates.each:
            return
        name, spent = reservation.id, gates.amounts(tokens, nanos)
        amounts = gates.amounts(reservation.tokens, reservation.nanos)
        if not reservation.shadowed and (memory := home.at_once) is not None:
            memory.give_back(name, gates.each, amounts, spent)
            return
        settlement = _Settlement(home, name, gates.each, amounts, spent, reservation.ends)
        if reservation.shadowed:
            places = [place for place, gate in enumerate(gates.each) if gate.id not in reservation.shadowed]
            settlement = settlement.only(places)
        task = asyncio.get_running_loop().create_task(self._settle(settlement))
        self._settling.add(task)  # the event loop itself keeps no task alive
        task.add_done_callback(self._settling.discard)

    async def _settle(self, settlement: _Settlement) -> None:
        try:
            await settlement.run()
        except StateUnavailable:
            self._wait(settlement)

    def _wait(self, settlement: _Settlement) -> None:
        settlement = settlement.of_leases()
        if settlement.gates and len(self._waiting) < WAITING:
            self._waiting.append(settlement)

    async def run(self) -> None:
        """Tries every second, until cancelled, what could not be settled; `settled` afterwards tries the rest."""
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            await self._again()

    async def settled(self) -> None:
        """Waits for what is still being settled, and tries once more what could not be."""
        await asyncio.gather(*self._settling)
        await self._again()

    async def _again(self) -> None:
        """One after the other, until one fails; what is cancelled meanwhile stays, and may be done twice."""
        while self._waiting:
            settlement = self._waiting[0]
            try:
                if self._clock() < settlement.ends:  # afterwards it would change nothing
                    await settlement.run()
            except StateUnavailable:
                self._waiting.rotate(-1)  # the fault may be its own
                return
            self._waiting.popleft()
