"""Tries a target again that failed and was left alone, so that nobody's request has to: with one golden text.

A target is tried once its breaker lets one call through, which is seldom while it fails; it needs no traffic for that.
One that an operator or a canary took out is not tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakKeyDictionary

from gateway import golden
from gateway.canary import GOLDEN
from gateway.golden import Serving
from gateway.health import Health
from gateway.logs import GATEWAY
from gateway.routing import Route, Target
from gateway.together import together
from providers.base import Fault, FaultKind

LOOK_SECONDS: Final = 1.0
PAUSE_SECONDS: Final = 60.0
"""After a trial that left everything open, like one that was refused."""


class Trials:
    """`serving` gives the gateway that serves now. `clock` is the event loop's."""

    def __init__(
        self,
        serving: Callable[[], Serving],
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._serving = serving
        self._clock = clock
        self._sleep = sleep
        self._not_before: WeakKeyDictionary[Health, float] = WeakKeyDictionary()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._sleep(LOOK_SECONDS)
            try:
                await self.turn()
            except Exception:  # noqa: BLE001 (one provider's mistake must not end the trials of all others)
                GATEWAY.error("the trial of a target has failed", exc_info=True)

    async def turn(self) -> None:
        """Tries whatever target is half-open, all at once."""
        now = self._clock()
        due = [
            (route, target)
            for route in self._serving().routes
            for target in route.targets
            if target.health.state(now) == "half-open" and now >= self._not_before.get(target.health, now)
        ]
        await together(self._try(route, target) for route, target in due)

    async def _try(self, route: Route, target: Target) -> None:
        ticket = target.health.begin(1, self._clock())
        if isinstance(ticket, Fault):  # somebody's request is trying it
            return
        self._not_before[target.health] = self._clock() + PAUSE_SECONDS
        try:
            outcome = await golden.ask(route, target, self._serving().counters[route.tokenizer], GOLDEN[:1])
        except BaseException:
            target.health.end(ticket, None, self._clock(), cut_off=True)
            raise
        if not isinstance(outcome, Fault) and outcome.dimensions != route.dimensions.native:
            outcome = Fault(FaultKind.MALFORMED, "the vector is not of the route's length")
        target.health.end(ticket, outcome if isinstance(outcome, Fault) else None, self._clock())
        if target.health.state(self._clock()) != "half-open":
            del self._not_before[target.health]
