"""Asks one target for the golden texts' vectors, on the way that a request goes: its role, prompt, length and checks.

Past the cache, past the books, and past whatever keeps the target from being asked: nobody else is asked instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway import admission, contract, packing
from gateway.canary import GOLDEN
from gateway.errors import GatewayError
from gateway.routing import Route, Target
from gateway.tokens import Counter
from providers import codec
from providers.base import EmbedCall, Fault, FaultKind, Input

SECONDS: Final = 20.0
"""Longest time for an answer, where the target names none that is shorter."""


class Serving(Protocol):
    """What of a gateway is looked after."""

    @property
    def routes(self) -> Iterable[Route]: ...

    @property
    def counters(self) -> Mapping[str, Counter]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """Finite vectors, none all zero, all of one length, which may be a wrong one; and the tokens billed, if told."""

    vectors: Sequence[bytes] = field(repr=False)
    tokens: int | None

    @property
    def dimensions(self) -> int:
        return len(self.vectors[0]) // codec.FLOAT32.itemsize


async def ask(route: Route, target: Target, counter: Counter, texts: Sequence[str] = GOLDEN) -> Answer | Fault:
    """One call, or as few as the target's limits allow; each once."""
    role = route.role(None)
    try:
        admitted = [await admission.admit([text], role, route, counter) for text in texts]
    except GatewayError as error:
        return Fault(FaultKind.REJECTED, str(error))
    inputs = [one for each in admitted for one in each.inputs]
    if len(inputs) != len(texts):
        return Fault(FaultKind.REJECTED, "the golden texts are too long for this model")
    sizes = [size for each in admitted for size in each.sizes] if target.counts_alike else None
    deadline = asyncio.get_running_loop().time() + min(target.timeout or SECONDS, SECONDS)
    vectors: list[bytes] = []
    tokens: int | None = 0
    for batch in packing.pack(inputs, sizes, range(len(inputs)), target.limits):
        answer = await _call(route, target, [inputs[position] for position in batch], deadline)
        if isinstance(answer, Fault):
            return answer
        vectors += answer.vectors
        tokens = None if tokens is None or answer.tokens is None else tokens + answer.tokens
    if len({len(vector) for vector in vectors}) > 1:
        return Fault(FaultKind.MALFORMED, "the vectors are of different lengths")
    return Answer(contract.unit_length(vectors) if route.normalize else vectors, tokens)


async def _call(route: Route, target: Target, inputs: Sequence[Input], deadline: float) -> Answer | Fault:
    """Vectors of another length than the route's are an answer here: the comparison has to tell of it."""
    call = EmbedCall(
        model=target.model,
        inputs=inputs,
        input_type=route.role(None) if target.takes_role else None,
    )
    outcome = await target.backend.embed(call, deadline, "bulk")
    if isinstance(outcome, Fault):
        return outcome
    length = len(outcome.vectors[0]) // codec.FLOAT32.itemsize if outcome.vectors else route.dimensions.native
    vectors = contract.check(outcome, len(inputs), length)
    return vectors if isinstance(vectors, Fault) else Answer(vectors, contract.billed(outcome))
