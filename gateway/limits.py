"""Limits in action: what a request will use is reserved before it runs, and settled when it is known.

While the state cannot be reached, `on_state_loss` decides: `allow` counts in this process alone, `deny` refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway import gates
from gateway.allowances import Team
from gateway.auth import Caller
from gateway.config import OnLoss
from gateway.errors import StateUnavailable
from gateway.gates import Gate, Standing
from gateway.metrics import Metrics
from gateway.routing import Route
from gateway.store import LimitStore

LEASE_SECONDS: Final = 5.0
"""How long a reservation outlives the deadline of its request, should the process die and never settle it."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request has taken, and from which home; `gates` is empty where no limit applies."""

    id: str
    gates: Sequence[Gate]
    standings: Sequence[Standing]
    home: LimitStore | None

    @property
    def headers(self) -> Mapping[str, str]:
        return gates.headers(self.gates, self.standings)

    @property
    def shadowed(self) -> Sequence[str]:
        return gates.shadowed(self.gates, self.standings)


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
        self._settling: set[asyncio.Task[None]] = set()

    def counts(self, caller: Caller, route: Route) -> bool:
        """Whether a limit of tokens or money applies, so that tokens have to be counted before anything is sent."""
        return any(gate.by_tokens for gate in gates.of_request(caller, route, self._teams, 0, 0, 0.0))

    async def reserve(self, caller: Caller, route: Route, tokens: int, seconds: float) -> Reservation:
        """Takes the request, its tokens and their cost from every limit that applies, for so many seconds.

        Raises RateLimited or QuotaExhausted, having taken nothing, and StateUnavailable.
        """
        nanos = route.cost(tokens) or 0
        wanted = gates.of_request(caller, route, self._teams, tokens, nanos, self._clock())
        name = uuid.uuid4().hex
        if not wanted:
            return Reservation(name, (), (), None)
        home = self._shared
        try:
            standings = await home.reserve(name, wanted, seconds + LEASE_SECONDS)
        except StateUnavailable:
            if self._on_loss == "deny":
                raise
            home = self._local
            self._metrics.counted_locally()
            standings = await home.reserve(name, wanted, seconds + LEASE_SECONDS)
        self._metrics.gates(wanted, standings)
        if gates.refused(wanted, standings):
            error = gates.refusal(wanted, standings)
            error.headers = {**gates.headers(wanted, standings), **error.headers}
            raise error
        return Reservation(name, wanted, standings, home)

    def settle(self, reservation: Reservation, route: Route, tokens: int) -> None:
        """Ends a reservation with what was really used; it happens beside the request, which need not wait for it."""
        if reservation.home is None:
            return
        used = {"requests": 1, "tokens": tokens, "concurrent": 0, "token_budget": tokens}
        used["usd_budget"] = route.cost(tokens) or 0
        given = {gate for gate, s in zip(reservation.gates, reservation.standings, strict=True) if s.wait is None}
        kept = [gate for gate in reservation.gates if gate in given]  # a shadow gate that did not fit gave nothing
        self._beside(reservation.home.settle(reservation.id, kept, [used[gate.kind] for gate in kept]))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        async def quietly() -> None:
            with contextlib.suppress(StateUnavailable):  # leases end by themselves, and the estimate stays counted
                await work

        task = asyncio.get_running_loop().create_task(quietly())
        self._settling.add(task)  # the event loop itself keeps no task alive
        task.add_done_callback(self._settling.discard)

    async def settled(self) -> None:
        """Waits for what is still being settled."""
        await asyncio.gather(*self._settling)
