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

from gateway import gates
from gateway.allowances import Team
from gateway.auth import Caller
from gateway.config import OnLoss
from gateway.errors import StateUnavailable
from gateway.gates import Gate, Standing
from gateway.metrics import Metrics
from gateway.routing import Route
from gateway.store import LimitStore
from providers.values import frozen

LEASE_SECONDS: Final = 5.0
"""How long a reservation outlives the deadline of its request, should the process die and never settle it."""
AGAIN_SECONDS: Final = 1.0
WAITING: Final = 10_000
"""Most settlements that wait for a home to be back; of what is beyond them leases end, and estimates stay spent."""


@frozen
class Reservation:
    """What a request has taken, and from which home; `gates` is empty where no limit applies."""

    id: str
    gates: Sequence[Gate]
    standings: Sequence[Standing]
    home: LimitStore | None
    ends: float = 0.0
    """When its leases end by themselves, in seconds since the epoch."""

    @property
    def headers(self) -> Mapping[str, str]:
        return gates.headers(self.gates, self.standings)

    @property
    def shadowed(self) -> Sequence[str]:
        return gates.shadowed(self.gates, self.standings)


NOTHING: Final = Reservation("", (), (), None)


@frozen
class _Settlement:
    home: LimitStore
    reservation: str
    gates: Sequence[Gate]
    spent: Sequence[int]
    ends: float

    async def run(self) -> None:
        await self.home.settle(self.reservation, self.gates, self.spent)

    def of_leases(self) -> _Settlement:
        """What may be done twice. A bucket may not: it keeps the estimate, and is full again soon anyway."""
        kept = [pair for pair in zip(self.gates, self.spent, strict=True) if not pair[0].refills]
        return replace(self, gates=[gate for gate, _ in kept], spent=[amount for _, amount in kept])


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

    def of(self, teams: Mapping[str, Team]) -> Limiter:
        """The same for other teams: both settle together what either has reserved."""
        other = copy.copy(self)
        other._teams = teams
        return other

    def counts(self, caller: Caller, route: Route) -> bool:
        """Whether a limit of tokens or money applies, so that tokens have to be counted before anything is sent."""
        return gates.by_tokens(caller, route, self._teams)

    async def reserve(self, caller: Caller, route: Route, tokens: int, seconds: float) -> Reservation:
        """Takes the request, its tokens and their cost from every limit that applies, for so many seconds.

        Raises RateLimited or QuotaExhausted, having taken nothing, and StateUnavailable.
        """
        now, nanos = self._clock(), route.cost(tokens) or 0
        wanted = gates.of_request(caller, route, self._teams, tokens, nanos, now)
        if not wanted:
            return NOTHING
        name, lease = f"{self._name}-{next(self._numbers)}", seconds + LEASE_SECONDS
        ends = now + lease
        home = self._shared
        try:
            standings = await home.reserve(name, wanted, lease)
        except (StateUnavailable, asyncio.CancelledError) as failure:
            # It may have been done, and would be spent when its lease ends.
            self._wait(_Settlement(home, name, wanted, [0] * len(wanted), ends))
            if self._on_loss == "deny" or not isinstance(failure, StateUnavailable):
                raise
            home = self._local
            self._metrics.counted_locally()
            standings = await home.reserve(name, wanted, lease)
        self._metrics.gates(wanted, standings)
        if gates.refused(wanted, standings):
            error = gates.refusal(wanted, standings)
            error.headers = {**gates.headers(wanted, standings), **error.headers}
            raise error
        return Reservation(name, wanted, standings, home, ends)

    def settle(self, reservation: Reservation, route: Route, tokens: int) -> None:
        """Ends a reservation with what was really used; it happens beside the request, which need not wait for it."""
        if reservation.home is None:
            return
        used = {"requests": 1, "tokens": tokens, "concurrent": 0, "token_budget": tokens}
        used["usd_budget"] = route.cost(tokens) or 0
        found = zip(reservation.gates, reservation.standings, strict=True)
        kept = [gate for gate, standing in found if standing.wait is None]  # a shadow gate without room gave nothing
        spent = [used[gate.kind] for gate in kept]
        work = self._settle(_Settlement(reservation.home, reservation.id, kept, spent, reservation.ends))
        task = asyncio.get_running_loop().create_task(work)
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
