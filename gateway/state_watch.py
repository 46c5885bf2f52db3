"""Whether the state can be reached: asked every second, told in the log when it changes, known to the balancer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.config import OnLoss
from gateway.errors import StateUnavailable
from gateway.logs import GATEWAY
from gateway.metrics import Metrics
from gateway.store import Store, unavailable

WATCH_SECONDS: Final = 1.0
MEANWHILE: Final = {
    "allow": "keys that are known are served, and counted in each process alone",
    "deny": "every request is refused",
}


class StateWatch:
    def __init__(
        self,
        store: Store,
        on_loss: OnLoss,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._metrics = metrics
        self._store = store
        self._on_loss = on_loss
        self._sleep = sleep
        self._reached: bool | None = None
        self._was_reached = False

    @property
    def ready(self) -> bool:
        """Whether a balancer may send requests: the state is there, or was, and can be done without."""
        return bool(self._reached) or (self._was_reached and self._on_loss == "allow")

    def require(self) -> None:
        """Raises StateUnavailable while the state is away, where nobody may be served without it."""
        if not self._reached and self._on_loss == "deny":
            raise unavailable()

    async def run(self) -> None:
        """Looks every second until cancelled."""
        while True:
            await self._sleep(WATCH_SECONDS)
            await self.look()

    async def look(self) -> None:
        try:
            await self._store.ping()
        except StateUnavailable as error:
            if self._reached is not False:
                told = {"reason": str(error.__cause__), "meanwhile": MEANWHILE[self._on_loss]}
                GATEWAY.error("the state cannot be reached; trying again every second", extra={"fields": told})
            self._reached = False
            self._metrics.state(up=False)
        else:
            if self._reached is False:
                GATEWAY.info("the state is reached again", extra={"fields": {"state": self._store.name}})
            self._reached = self._was_reached = True
            self._metrics.state(up=True)
