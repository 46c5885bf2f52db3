"""Who used what: sums by day, key and model, written down once a second.

A crash loses at most what came since the last writing; a writing that fails is tried again, whole and once. What no
home can ever take is given up, so that the rest is written.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import uuid
from collections.abc import Callable
from typing import Final

from gateway.auth import Caller
from gateway.errors import StateUnavailable
from gateway.logs import GATEWAY
from gateway.store import Usage, UsageKey, UsageStore

WRITE_SECONDS: Final = 1.0


DAY: Final = 86_400


@functools.lru_cache(maxsize=2)
def _day(number: int) -> str:
    """The date of the day of UTC that begins so many days after the epoch."""
    return datetime.datetime.fromtimestamp(number * DAY, datetime.UTC).date().isoformat()


class Ledger:
    """`clock` is in seconds since the epoch; without a `store` nothing is kept."""

    def __init__(self, store: UsageStore | None, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._sums: dict[UsageKey, Usage] = {}
        self._batch: tuple[str, dict[UsageKey, Usage]] | None = None
        self._failing = False

    def add(self, caller: Caller, model: str, usage: Usage) -> None:
        if self._store is None:
            return
        key = UsageKey(_day(int(self._clock() // DAY)), caller.key_id, caller.name, caller.team or "", model)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = Usage()
        sums.add(usage)

    async def run(self) -> None:
        """Writes every second until cancelled; `write` afterwards writes the rest."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """What a home did not take stays for the next time, under the same name, so that nothing counts twice."""
        if self._store is None:
            return
        try:
            await self._add(self._store)
            if self._sums:
                self._batch, self._sums = (uuid.uuid4().hex, self._sums), {}
                await self._add(self._store)
            await self._store.save()
            if self._failing:
                GATEWAY.info("usage is written down again")
            self._failing = False
        except Exception as error:  # noqa: BLE001 (whatever it is, the next second is another chance)
            if not self._failing:
                told = {"error": type(error).__name__}
                GATEWAY.error(
                    "usage cannot be written down; it is kept in memory until the state is back",
                    extra={"fields": told},
                )
            self._failing = True

    async def _add(self, store: UsageStore) -> None:
        if self._batch is None:
            return
        try:
            await store.add_usage(*self._batch)
        except StateUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 (a number too large for the home, say: it would fail for ever)
            told = {"error": type(error).__name__, "sums": len(self._batch[1])}
            GATEWAY.error("usage that the state can never take is given up", extra={"fields": told})
        self._batch = None
