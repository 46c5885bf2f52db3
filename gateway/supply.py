"""What is missing in the cache is brought by one flight for all who want it at the same time, and kept.

Whoever joins a flight gets what it delivers. What it does not deliver, its joiners send themselves, once and without
waiting for yet another: the deadline, the limits or the hanging up of one caller never fail the request of another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway import planning
from gateway.answers import UsageSource
from gateway.away import away
from gateway.cache import Cache
from gateway.cache_entry import Kept
from gateway.delivery import Delivery, Job
from gateway.dispatch import Dispatcher
from gateway.flights import Flight, Flights
from gateway.routing import Target
from providers.values import frozen

PATIENCE: Final = 0.5
"""Part of a request's time that it waits for another's flight; the rest is left to send what has not landed by then."""


@frozen
class Landed:
    """What a flight has brought: to whoever began it all, to the others what they want of it."""

    delivery: Delivery
    kept: Mapping[bytes, Kept]


@frozen
class Want:
    """A job that is to be kept: the key of each of its inputs, and what kind of number counted tokens are."""

    job: Job
    keys: Sequence[bytes]
    targets: Sequence[Target]
    deadline: float
    counted: UsageSource

    def only(self, places: Sequence[int]) -> Want:
        return replace(self, job=self.job.only(places), keys=[self.keys[place] for place in places])


@dataclass(frozen=True, slots=True)
class Supply:
    cache: Cache
    dispatcher: Dispatcher
    flights: Flights[Landed] = field(default_factory=Flights)

    async def bring(self, want: Want, *, joins: bool) -> tuple[Delivery, Mapping[int, Kept]]:
        """What this request itself has sent, over the whole job, and by place what it got from others.

        Between them they have every vector, or the delivery has the attempts that failed.
        """
        others, joined = self._others(want) if joins else ({}, {})
        delivery = Delivery([None] * len(want.keys))
        with self.flights.aboard(set(joined.values())):
            own = [place for place in range(len(want.keys)) if place not in others and place not in joined]
            if not await self._send(want, own, delivery):
                return delivery, others
            others |= await _landed(want, joined, self._patience(want))
        await self._send(want, [place for place in joined if place not in others], delivery)
        return delivery, others

    def _patience(self, want: Want) -> float:
        """Until when others are waited for: they may have more time, and so spend it on a target that hangs."""
        now = self.dispatcher.clock()
        return now + PATIENCE * max(0.0, want.deadline - now)

    def _others(self, want: Want) -> tuple[dict[int, Kept], dict[int, Flight[Landed]]]:
        """What has landed since it was looked up, and the flights of the same lane that bring the rest.

        Nobody in a hurry waits in the queue of those who are not.
        """
        landed, joined = {}, {}
        for place, key in enumerate(want.keys):
            if (flight := self.flights.find((want.job.lane, key))) is not None:
                joined[place] = flight
            elif (kept := self.cache.remembered(key)) is not None:
                landed[place] = kept
        return landed, joined

    async def _send(self, want: Want, places: Sequence[int], delivery: Delivery) -> bool:
        """Adds to the delivery; whether it now has all these places."""
        if not places:
            return True
        part = want if len(places) == len(want.keys) else want.only(places)
        flight = self.flights.start([(want.job.lane, key) for key in part.keys], self._fly(part))
        with self.flights.aboard([flight]):
            await asyncio.wait([flight.task])
        brought = flight.task.result().delivery
        for place, vector in zip(places, brought.vectors, strict=True):
            delivery.vectors[place] = vector
        both = delivery.tokens, brought.tokens
        delivery.tokens = None if None in both else sum(filter(None, both))
        delivery.shared |= brought.shared
        delivery.targets += [name for name in brought.targets if name not in delivery.targets]
        delivery.attempts += brought.attempts
        for position, times in brought.charged.items():
            delivery.charge([places[position]], times)
        return brought.complete is not None

    async def _fly(self, want: Want) -> Landed:
        delivery = await self.dispatcher.run(want.job, want.targets, want.deadline)
        kept = await self._kept(want, delivery)
        self.cache.keep(kept)
        return Landed(delivery, kept)

    async def _kept(self, want: Want, delivery: Delivery) -> dict[bytes, Kept]:
        """What was delivered, whatever became of the rest; tokens that were reported are shared out by counts."""
        delivered = delivery.delivered
        if not delivered:
            return {}
        reported, source = delivery.tokens, want.counted
        if reported is not None and len(delivered) == 1:
            tokens, source = [reported], want.counted if delivery.shared else "reported"
        else:
            tokens = await want.job.counted(delivered)
            tokens = tokens if reported is None else planning.shared_out(reported, tokens)
        now = self.cache.now()
        kept = {}
        for place, number in zip(delivered, tokens, strict=True):
            vector = delivery.vectors[place]
            if vector is not None:
                kept[want.keys[place]] = Kept(vector, number, source, now)
        return kept


async def _landed(want: Want, joined: Mapping[int, Flight[Landed]], until: float) -> dict[int, Kept]:
    """What the flights have brought by then."""
    if not joined:
        return {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            with away():
                await asyncio.wait({flight.task for flight in joined.values()})
    found = {}
    for place, flight in joined.items():
        task = flight.task
        if task.done() and not task.cancelled() and task.exception() is None:
            kept = task.result().kept.get(want.keys[place])
            if kept is not None:
                found[place] = kept
    return found
