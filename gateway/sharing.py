"""Several small calls as one: what is sent for all of them, and what each gets of its answer.

A fault of the whole is everybody's. A call that one of them may have spoilt is repeated in parts, until whoever spoils
it stands alone: nobody is told that its call is wrong before it was sent by itself.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise

from gateway import planning
from gateway.allowances import Priority
from gateway.delivery import Answer, SharedFault
from gateway.together import together
from providers.base import EmbedCall, Fault, FaultKind
from providers.values import frozen

Ask = Callable[[EmbedCall, float], Awaitable[Answer | Fault]]
"""One try at the target, checked, until a time on the event loop's clock."""


@frozen
class Small:
    """A call with few inputs, and how long it can wait. Only calls of one lane, and of which as much is `wanted`, mix.

    `sizes` are its inputs' tokens, or an upper bound; `count` tells the tokens themselves.
    """

    call: EmbedCall = field(repr=False)
    sizes: Sequence[int]
    count: Callable[[], Awaitable[Sequence[int]]] = field(repr=False)
    until: float
    lane: Priority = "interactive"
    wanted: Hashable = None

    @property
    def alike(self) -> Hashable:
        """Equal for calls that may share one."""
        call = self.call
        extra = json.dumps(call.extra, sort_keys=True) if call.extra else ""
        of_texts = isinstance(call.inputs[0], str)
        return (self.lane, self.wanted, of_texts, call.dimensions, call.input_type, call.user, extra)


@dataclass(slots=True, eq=False)
class Rider:
    """A small call among others; its outcome is done as soon as it is known, or nobody wants it any more."""

    small: Small
    outcome: asyncio.Future[Answer | Fault]

    def tell(self, outcome: Answer | Fault) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


async def deliver(riders: Sequence[Rider], until: float, ask: Ask, may_repeat: Callable[[], bool]) -> None:
    """Tells all of them. `may_repeat` is asked for the one call too many that each parting costs.

    Where it refuses, each goes alone at once: those calls had been made without company, too.
    """
    riders = [rider for rider in riders if not rider.outcome.done()]
    if not riders:
        return
    inputs = [item for rider in riders for item in rider.small.call.inputs]
    outcome = await ask(replace(riders[0].small.call, inputs=inputs), until)
    if len(riders) == 1:
        riders[0].tell(outcome)
    elif isinstance(outcome, Answer):
        for rider, share in zip(riders, await _shares(riders, outcome), strict=True):
            rider.tell(share)
    elif _may_be_of_one(outcome):
        parts = _parts(riders, outcome.item) if may_repeat() else [[rider] for rider in riders]
        await together(deliver(part, until, ask, may_repeat) for part in parts)
    else:
        for rider in riders:
            rider.tell(SharedFault.of(outcome, len(riders)))


async def _shares(riders: Sequence[Rider], answer: Answer) -> list[Answer]:
    """Each one's vectors, and its part of the tokens that were reported, by those that it has."""
    ends = list(accumulate((len(rider.small.call.inputs) for rider in riders), initial=0))
    tokens: Sequence[int | None] = [None] * len(riders)
    if answer.tokens is not None:
        tokens = planning.shared_out(answer.tokens, [sum(await rider.small.count()) for rider in riders])
    return [
        replace(answer, vectors=answer.vectors[begin:end], tokens=share, shared=True)
        for (begin, end), share in zip(pairwise(ends), tokens, strict=True)
    ]


def _may_be_of_one(fault: Fault) -> bool:
    return fault.divisible or fault.kind in (FaultKind.REJECTED, FaultKind.MALFORMED)


def _parts(riders: Sequence[Rider], item: int | None) -> list[Sequence[Rider]]:
    """The one that an input at fault is of, and the others; halves where nobody knows it."""
    ends = list(accumulate(len(rider.small.call.inputs) for rider in riders))
    if item is None or not 0 <= item < ends[-1]:
        return [riders[: len(riders) // 2], riders[len(riders) // 2 :]]
    place = bisect_right(ends, item)
    return [[riders[place]], [*riders[:place], *riders[place + 1 :]]]
