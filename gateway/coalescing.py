"""Small calls to one target that come within a moment of each other travel as one: most providers count calls.

Where nothing is under way a call goes at once, and no timer is set. What comes meanwhile waits for company: until a
moment has passed or nothing is under way any more; at a target that has no free slot, until one of these calls is back.
A target that throttles gets fewer, larger calls: each time its moment is doubled, and shrinks again while it answers.
Whoever waits leaves when its own time is up or its client has gone, and the last one to leave cancels the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway import packing, sharing
from gateway.away import away
from gateway.delivery import Answer
from gateway.packing import Weight
from gateway.sharing import Ask, Rider, Small
from providers.base import EmbedCall, Fault, FaultKind, Limits

SMALL: Final = 8
"""Most inputs of a call that travels with others: more are worth a call of their own."""
MOST_INPUTS: Final = 256
"""Of one call that several share: no neighbour waits for more than a usual batch."""
MOMENT: Final = 0.005
"""Seconds: a tenth of what a fast provider takes."""
LONGEST_MOMENT: Final = 0.5
"""Seconds; more would not pass for an answer any more where somebody sits in front of it."""
RELIEF: Final = 0.95
"""What an answer leaves of a moment that throttling has made long."""
PART_OF_TIME: Final = 10
"""Nobody waits longer for company than this part of the time that it has."""


@dataclass(frozen=True, slots=True)
class Way:
    """To the target. `is_full` says that any call would wait for a slot; `may_repeat` is as in `sharing.deliver`."""

    ask: Ask
    is_full: Callable[[], bool]
    may_repeat: Callable[[], bool]


@dataclass(slots=True, eq=False)
class _Batch:
    way: Way
    riders: list[Rider] = field(default_factory=list)
    wanted: int = 0
    """How many riders have not left yet."""
    weight: Weight = field(default_factory=Weight)
    timer: asyncio.TimerHandle | None = None
    is_due: bool = False
    departed: float | None = None
    until: float = 0.0
    """The time of the rider who has most."""
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Line:
    """Of calls that are alike: how many are under way, and the batch that gathers."""

    alike: Hashable
    under_way: int = 0
    gathering: _Batch | None = None


class Coalescer:
    """Of one target, within the limits of one call to it.

    `extra_body` and `counts_alike` are the target's; each call tells `waited`, in its own context, how many seconds it
    waited for company.
    """

    def __init__(
        self,
        limits: Limits,
        extra_body: Mapping[str, Any],
        *,
        counts_alike: bool,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.moment = MOMENT
        self._limits = replace(limits, inputs=min(limits.inputs or MOST_INPUTS, MOST_INPUTS))
        self._extra_body = extra_body
        self._counts_alike = counts_alike
        self._waited = waited
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        """Lines in which something is under way or waits."""
        return len(self._lines)

    async def send(self, small: Small, way: Way) -> Answer | Fault:
        """What came of the call, as if it had gone alone, but for its tokens, which may be a share."""
        alike = small.alike
        line = self._lines.setdefault(alike, _Line(alike))
        if not line.under_way and line.gathering is None:
            line.under_way += 1
            try:
                return self._noted(await way.ask(small.call, small.until))
            finally:
                self._back(line)
        loop = asyncio.get_running_loop()
        came = loop.time()
        batch = self._batch(line, small, way)
        rider = Rider(small, loop.create_future())
        batch.riders.append(rider)
        batch.wanted += 1
        self._set_timer(line, batch, came + min(self.moment, (small.until - came) / PART_OF_TIME))
        own_time = loop.call_at(small.until, _is_late, batch, rider)
        try:
            with away():
                return await rider.outcome
        finally:
            own_time.cancel()
            batch.wanted -= 1
            if not batch.wanted:
                self._give_up(line, batch)
            if batch.departed is not None:
                self._waited(batch.departed - came)

    def _batch(self, line: _Line, small: Small, way: Way) -> _Batch:
        """The one that gathers, if the call fits in, else a new one."""
        weight, batch = self._weight(small), line.gathering
        if batch is not None and not (batch.weight + weight).within(self._limits):
            self._depart(line, batch)
            batch = None
        if batch is None:
            batch = line.gathering = _Batch(way)
        batch.weight += weight
        return batch

    def _weight(self, small: Small) -> Weight:
        """The body's frame is in that of each, which is a little more than it will be."""
        call = small.call
        frame = packing.BARE
        if self._limits.request_bytes is not None:
            frame = packing.frame(call.model, self._extra_body, call.extra, call.user)
        sizes = small.sizes if self._counts_alike else None
        return packing.weigh(call.inputs, sizes, self._limits, frame)

    def _set_timer(self, line: _Line, batch: _Batch, when: float) -> None:
        if batch.timer is not None and batch.timer.when() <= when:
            return
        if batch.timer is not None:
            batch.timer.cancel()
        batch.timer = asyncio.get_running_loop().call_at(when, self._is_due, line, batch)

    def _is_due(self, line: _Line, batch: _Batch) -> None:
        batch.is_due = True
        if not line.under_way or not batch.way.is_full():
            self._depart(line, batch)

    def _depart(self, line: _Line, batch: _Batch) -> None:
        loop = asyncio.get_running_loop()
        line.gathering = None
        line.under_way += 1
        if batch.timer is not None:
            batch.timer.cancel()
        batch.departed = loop.time()
        batch.until = max((r.small.until for r in batch.riders if not r.outcome.done()), default=batch.departed)
        batch.task = loop.create_task(self._travel(batch))
        batch.task.add_done_callback(lambda _: self._back(line))  # even if it is cancelled before it begins

    async def _travel(self, batch: _Batch) -> None:
        async def ask(call: EmbedCall, until: float) -> Answer | Fault:
            return self._noted(await batch.way.ask(call, until))

        try:
            await sharing.deliver(batch.riders, batch.until, ask, batch.way.may_repeat)
        except Exception as error:  # noqa: BLE001 (it is raised by those who wait)
            for rider in batch.riders:
                if not rider.outcome.done():
                    rider.outcome.set_exception(error)

    def _back(self, line: _Line) -> None:
        line.under_way -= 1
        batch = line.gathering
        if batch is not None and (batch.is_due or (not line.under_way and self.moment == MOMENT)):
            self._depart(line, batch)
        self._forget(line)

    def _give_up(self, line: _Line, batch: _Batch) -> None:
        if batch.task is not None:
            batch.task.cancel()
            return
        if batch.timer is not None:
            batch.timer.cancel()
        line.gathering = None
        self._forget(line)

    def _forget(self, line: _Line) -> None:
        if not line.under_way and line.gathering is None:
            del self._lines[line.alike]

    def _noted(self, outcome: Answer | Fault) -> Answer | Fault:
        if isinstance(outcome, Answer):
            self.moment = max(MOMENT, self.moment * RELIEF)
        elif outcome.kind is FaultKind.THROTTLED:
            self.moment = min(LONGEST_MOMENT, self.moment * 2)
        return outcome


def _is_late(batch: _Batch, rider: Rider) -> None:
    """Its own time is up. Where it has most of all, the call itself is late, and that is for the target to answer."""
    if batch.departed is None:
        rider.tell(Fault(FaultKind.NO_SLOT, "no slot became free in time"))
    elif rider.small.until < batch.until:
        rider.tell(Fault(FaultKind.TIMEOUT, "it did not answer in time"))
