"""However inputs are packed, halved, cut and answered, each gets the vector that it would get alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.allowances import Priority
from gateway.answers import Result
from gateway.auth import Caller
from gateway.books import unkept
from gateway.dimensions import Dimensions
from gateway.dispatch import Dispatcher
from gateway.record import Record
from gateway.retry import Retry
from gateway.routing import Load, Route, Routes, Target
from gateway.service import Gateway
from gateway.tokens import TiktokenCounter
from gateway.vocabulary import cl100k
from gateway.wire import EmbeddingsRequest
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Input, Limits
from tests.fakes.backends import DIMENSIONS, vector_of
from tests.fakes.clock import FakeTime

COUNTER = TiktokenCounter()
FAR = 1e9
"""Seconds on a clock that the event loop's own, by which tokens are counted in time, does not reach."""


def text_of(item: Input) -> str:
    return item if isinstance(item, str) else cl100k().decode(item)


class Upstream:
    """Answers in its own time and order, refuses batches over its limits, and fails some of its calls.

    `turns` are those of the event loop that each call takes. Its own cap of items is another than it was told to have.
    """

    load = Load(waiting=0, running=0, slots=1)

    def __init__(self, limits: Limits, cap: int, turns: Iterator[int], fails: Iterator[bool]) -> None:
        self.limits = limits
        self.wrong: list[str] = []
        self._cap = cap
        self._turns = turns
        self._fails = fails

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        turns = next(self._turns)
        for _ in range(turns):
            await asyncio.sleep(0)
        self.wrong += self._wrong(call.inputs)
        if next(self._fails):
            return Fault(FaultKind.TIMEOUT, "")
        if len(call.inputs) > self._cap:
            return Fault(FaultKind.REJECTED, "too many", 413, divisible=True)
        order = sorted(range(len(call.inputs)), key=lambda place: (place * 7 + turns) % 11)
        vectors = [vector_of(text_of(call.inputs[place])) for place in order]
        return Embeddings(vectors, order, sum(COUNTER.count(text_of(item)) for item in call.inputs))

    def _wrong(self, inputs: Sequence[Input]) -> list[str]:
        """What no call may be."""
        sizes = [COUNTER.count(text_of(item)) for item in inputs]
        found = {
            "empty": not inputs,
            "the same twice": len({text_of(item) for item in inputs}) < len(inputs),
            "two kinds": len(set(map(type, inputs))) > 1,
            "too many": len(inputs) > (self.limits.inputs or len(inputs)),
            "too many tokens": len(inputs) > 1 and sum(sizes) > (self.limits.request_tokens or sum(sizes)),
            "an input too long": max(sizes) > (self.limits.input_tokens or max(sizes)),
        }
        return [name for name, holds in found.items() if holds]


async def embedded(route: Route, inputs: Sequence[Input], role: Any) -> Result:
    time = FakeTime(now=FAR)
    dispatcher = Dispatcher(Retry(time.clock, time.sleep, lambda: 0.0), time.clock)
    house = Gateway(Routes([route]), {"cl100k_base": COUNTER}, dispatcher, unkept(time.clock), lambda: 0.5)
    request = EmbeddingsRequest("small", inputs, input_type=role)
    return await house.embed(request, Caller("k1", "anyone", ("*",)), FAR + 60, Record("r", time.clock, FAR))


WORDS = st.sampled_from(["a", "b", "cat", "mat", "naïve", "日本", "👩‍👧", "supercalifragilistic", "\n"])
TEXTS = st.lists(WORDS, min_size=1, max_size=24).map(" ".join)
INPUTS = st.lists(TEXTS, min_size=3, max_size=8, unique=True).flatmap(
    lambda texts: st.lists(st.sampled_from(texts), min_size=3, max_size=12)
)


@st.composite
def routes(draw: st.DrawFn) -> tuple[Route, Route, list[Upstream]]:
    """A route, the same with one target that is always right and has no limits, and the upstreams of the first."""
    input_tokens = draw(st.integers(12, 24))
    upstreams = [
        Upstream(
            Limits(draw(st.sampled_from([None, 2, 5])), input_tokens, draw(st.sampled_from([None, 24, 60]))),
            draw(st.sampled_from([1, 2, 3, 100])),
            iter(lambda: draw(st.integers(0, 6)), None),
            iter(partial(draw, fails), None),
        )
        for fails in (st.sampled_from([False, False, False, True]), st.just(False))
    ]
    targets = [
        Target(
            f"t{place}",
            "fake",
            "m",
            upstream,
            replace(upstream.limits, request_bytes=draw(st.sampled_from([None, 1_500, 2_000]))),
            counts_alike=draw(st.booleans()),
            priority=place,
        )
        for place, upstream in enumerate(upstreams)
    ]
    prompts: Any = draw(st.sampled_from([{}, {"query": "find: {text}", "document": "{text} ."}]))
    route = Route(
        "small",
        "our/space",
        Dimensions(DIMENSIONS),
        targets,
        Limits(input_tokens=input_tokens),
        passes_token_ids=draw(st.booleans()),
        prompts=prompts,
        input_types=list(prompts),
        default_input_type="document" if prompts else None,
        normalize=True,
        too_long=draw(st.sampled_from(["truncate", "average"])),
    )
    plain = Upstream(Limits(), 10_000, iter(lambda: 0, None), iter(lambda: False, None))
    return route, replace(route, targets=[Target("t", "fake", "m", plain)]), upstreams


@given(routes(), INPUTS, st.booleans(), st.sampled_from(["query", "document"]))
async def test_one_by_one(case: tuple[Route, Route, list[Upstream]], texts: list[str], as_ids: bool, role: str) -> None:
    """N inputs give the N vectors that each gives alone, usage and the report of what was cut included."""
    route, plain, upstreams = case
    inputs: list[Input] = [cl100k().encode(text) if as_ids else text for text in texts]
    together = await embedded(route, inputs, role)
    alone = [await embedded(plain, [item], role) for item in inputs]

    assert [] == [wrong for upstream in upstreams for wrong in upstream.wrong]
    assert [result.vectors[0] for result in alone] == together.vectors
    assert [item for item, result in enumerate(alone) if result.cut_items] == list(together.cut_items)
    assert sum(result.tokens for result in alone) == together.tokens
