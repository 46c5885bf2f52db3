"""How many calls may run at once. Nobody waits past a deadline, and nobody waits in vain who could have known it.

A call that finds no slot is refused at once when its lane is full, or when by the pace of late it would get no answer
in time: so what is above the capacity costs those within it nothing. The estimate never keeps a free slot from anybody.
So it is always renewed by the calls that run, and a slow hour is forgotten a few calls after it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.allowances import Priority
from gateway.away import waited
from gateway.lanes import Lanes, Pace
from gateway.routing import Load
from providers.base import Fault, FaultKind

MOST_WAITING: Final = 4_096
"""Of calls in one lane: two of the largest requests at a target that takes one input a call."""


class Slots:
    def __init__(self, limit: int) -> None:
        self._lanes: Lanes[asyncio.Future[bool]] = Lanes(limit)
        self._paces: dict[Priority, Pace] = {"interactive": Pace(), "bulk": Pace()}

    @property
    def load(self) -> Load:
        bulk = self._lanes.waiting("bulk")
        return Load(
            self._lanes.waiting("interactive") + bulk,
            sum(self._lanes.running.values()),
            self._lanes.limit,
            waiting_bulk=bulk,
        )

    async def take(self, deadline: float, lane: Priority) -> Fault | float:
        """Since when a slot is held, or why none is before `deadline`; it has to be given back."""
        now = asyncio.get_running_loop().time()
        if self.take_at_once(lane, now):
            return now
        refusal = await self._wait(deadline, lane)
        if refusal is not None:
            return refusal
        now = asyncio.get_running_loop().time()
        self._paces[lane].begin(now)
        return now

    def take_at_once(self, lane: Priority, now: float) -> bool:
        """Whether a slot is held since now, there being one that nobody waits for."""
        if not self._lanes.take(lane):
            return False
        self._paces[lane].begin(now)
        return True

    def give_back(self, began: float, lane: Priority) -> None:
        self._paces[lane].end(began, asyncio.get_running_loop().time())
        self._release(lane)

    async def _wait(self, deadline: float, lane: Priority) -> Fault | None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        wait = self._expected(lane, began)
        latest = deadline - self._paces[lane].needed(began)
        if self._lanes.waiting(lane) >= MOST_WAITING:
            return Fault(FaultKind.NO_SLOT, "too many calls wait for a slot already", retry_after=wait or None)
        if began + wait >= latest:
            return _none_in_time(wait)
        turn: asyncio.Future[bool] = loop.create_future()
        self._lanes.join(turn, lane)
        timer = loop.call_at(latest, self._give_up, turn, lane)
        try:
            granted = await turn
        except asyncio.CancelledError:
            if not turn.cancelled() and turn.result():  # the slot came in the moment of the cancellation
                self._release(lane)
            raise
        finally:
            timer.cancel()
            self._lanes.leave(turn, lane)
            waited(loop.time() - began)
        return None if granted else _none_in_time(self._expected(lane, loop.time()))

    def _expected(self, lane: Priority, now: float) -> float:
        """Seconds until one who comes now has a slot."""
        running, ahead = self._lanes.running, self._lanes.ahead(lane)
        held = {each: pace.held(now) for each, pace in self._paces.items()}
        first_free = sum(running[each] * held[each] for each in running) / max(1, sum(running.values()))
        return (first_free + sum(ahead[each] * held[each] for each in ahead)) / self._lanes.most[lane]

    def _release(self, lane: Priority) -> None:
        self._lanes.release(lane)
        while self._lanes.anybody_waits and (found := self._lanes.next()) is not None:
            turn, lane = found
            if turn.done():  # cancelled, and not yet come to leave
                self._lanes.release(lane)
            else:
                turn.set_result(True)

    def _give_up(self, turn: asyncio.Future[bool], lane: Priority) -> None:
        if not turn.done():
            self._lanes.leave(turn, lane)
            turn.set_result(False)


def _none_in_time(wait: float) -> Fault:
    return Fault(FaultKind.NO_SLOT, "no slot becomes free in time", retry_after=wait or None)
