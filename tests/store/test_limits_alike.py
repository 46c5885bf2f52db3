"""Memory and Redis count alike, digit for digit, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.gates import Kind
from gateway.store.memory import MemoryLimits
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink
from tests.fakes.asking import Ask, ask, reserve, settle
from tests.fakes.clock import FakeTime
from tests.fakes.redis_server import SECONDS, RedisServer

NOW = 1_790_000_000.123456


@dataclass(frozen=True)
class Both:
    runner: asyncio.Runner
    time: FakeTime
    redis: RedisStore
    numbers: Iterator[int]
    """For names that no example had before."""


@pytest.fixture(scope="module")
def both(running_redis: RedisServer) -> Iterator[Both]:
    time = FakeTime(NOW)
    with asyncio.Runner() as runner:
        store = RedisStore(RedisLink(Address.of(running_redis.url, None), timeout=SECONDS), time.clock)
        yield Both(runner, time, store, itertools.count())
        runner.run(store.close())


@dataclass(frozen=True)
class Reserve:
    gates: list[Ask]
    lease: float


@dataclass(frozen=True)
class Settle:
    which: int
    spent: list[int]
    again: bool


@dataclass(frozen=True)
class Pass:
    seconds: float


def gates() -> st.SearchStrategy[list[Ask]]:
    def gate(kind: Kind, subject: str, limit: int, amount: int, shadow: bool) -> Ask:
        ends = NOW + 3600 if kind.endswith("budget") and subject == "a" else None
        return ask(kind, subject, limit, 1 if kind == "concurrent" else amount, shadow=shadow, ends=ends)

    kinds = st.sampled_from(["requests", "tokens", "concurrent", "usd_budget", "token_budget"])
    # Two limits: an operator may change one while it is in use.
    one = st.builds(gate, kinds, st.sampled_from("ab"), st.sampled_from([3, 7]), st.integers(0, 9), st.booleans())
    return st.lists(one, min_size=1, max_size=4, unique_by=lambda each: each.gate.id)


STEPS = st.one_of(
    st.builds(Reserve, gates(), st.floats(0.5, 30)),
    st.builds(Settle, st.integers(0, 5), st.lists(st.integers(0, 20), min_size=4, max_size=4), st.booleans()),
    st.builds(Pass, st.floats(-5, 40)),
)


@settings(max_examples=100)
@given(st.lists(STEPS, min_size=1, max_size=25))
def test_alike(both: Both, steps: list[Reserve | Settle | Pass]) -> None:
    """After the same reservations, settlements and times both homes tell the same standings."""
    both.time.now = NOW
    memory, example = MemoryLimits(both.time.clock), next(both.numbers)

    async def run() -> None:
        open_: list[tuple[str, list[Ask]]] = []
        for number, step in enumerate(steps):
            if isinstance(step, Pass):
                both.time.now += step.seconds
            elif isinstance(step, Settle) and open_:
                name, taken = open_[step.which % len(open_)]
                if not step.again:
                    open_.remove((name, taken))
                for home in (memory, both.redis):
                    await settle(home, name, taken, step.spent[: len(taken)])
            elif isinstance(step, Reserve):
                asked = [
                    each._replace(gate=replace(each.gate, subject=f"{example}:{each.gate.subject}"))
                    for each in step.gates
                ]
                expected, found = [await reserve(home, str(number), asked, step.lease) for home in (memory, both.redis)]
                open_.append((str(number), [g for g, s in zip(asked, expected, strict=True) if s.wait is None]))
                assert expected == found

    both.runner.run(run())
