"""The first bad item of a batch is found in few calls, and what is good is kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.halving import deliver
from providers.base import Fault, FaultKind

REFUSED = Fault(FaultKind.REJECTED, "too large", 413, divisible=True)
PLAIN = Fault(FaultKind.REJECTED, "no", 400)
GOOD = "good"


class Upstream:
    """Refuses runs that hold a bad item, and those of more than `most` items."""

    def __init__(self, bad: Collection[int] = (), most: int = 10_000, fault: Fault = REFUSED) -> None:
        self.asked: list[Sequence[int]] = []
        self._bad = bad
        self._most = most
        self._fault = fault

    async def ask(self, run: Sequence[int]) -> str | Fault:
        self.asked.append(run)
        await asyncio.sleep(0)
        return self._fault if len(run) > self._most or any(item in self._bad for item in run) else GOOD

    @property
    def extra(self) -> int:
        return len(self.asked) - 1


def good(runs: Sequence[tuple[Sequence[int], str | Fault]]) -> set[int]:
    return {item for run, outcome in runs if outcome == GOOD for item in run}


def named(runs: Sequence[tuple[Sequence[int], str | Fault]]) -> int:
    """The item that the first fault names."""
    run, fault = next((run, outcome) for run, outcome in runs if isinstance(outcome, Fault))
    assert isinstance(fault, Fault)
    assert fault.item is not None
    return run[fault.item]


SIZES = st.integers(1, 300)


@given(SIZES.flatmap(lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), min_size=1))))
async def test_bad_items(case: tuple[int, set[int]]) -> None:
    """Whatever items are bad, the first is named after at most 2·log2 n extra calls, and all runs make up the batch."""
    size, bad = case
    upstream = Upstream(bad)
    runs = await deliver(range(size), upstream.ask)

    assert min(bad) == named(runs)
    assert upstream.extra <= 2 * math.ceil(math.log2(size))
    assert list(range(size)) == sorted(item for run, _ in runs for item in run)


@given(SIZES.flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
async def test_good_items_are_kept(case: tuple[int, int]) -> None:
    """With one bad item, all others are delivered."""
    size, bad = case

    assert set(range(size)) - {bad} == good(await deliver(range(size), Upstream([bad]).ask))


@given(SIZES, st.integers(1, 300))
async def test_too_large(size: int, most: int) -> None:
    """A batch that is just too large is delivered in pieces, or given up once 2·log2 n calls were fruitless."""
    upstream = Upstream(most=most)
    runs = await deliver(range(size), upstream.ask)
    fruitless = sum(len(run) > most for run in upstream.asked[1:])
    delivered = good(runs) == set(range(size))

    assert delivered or fruitless > 2 * math.ceil(math.log2(size))
    assert fruitless <= 2 * math.ceil(math.log2(size)) + 2


@pytest.mark.parametrize(("size", "most"), [(300, 32), (2048, 128), (96, 10), (1000, 63)])
async def test_pieces(size: int, most: int) -> None:
    """A limit that is a sixteenth of what was thought still delivers everything."""
    assert set(range(size)) == good(await deliver(range(size), Upstream(most=most).ask))


async def test_whole() -> None:
    """What is good at once costs no extra call."""
    upstream = Upstream()

    assert [(range(5), GOOD)] == await deliver(range(5), upstream.ask)
    assert 0 == upstream.extra


@pytest.mark.parametrize("fault", [PLAIN, Fault(FaultKind.TIMEOUT, "")])
async def test_other_faults(fault: Fault) -> None:
    """No other fault is halved."""
    upstream = Upstream([2], fault=fault)

    assert [(range(5), fault)] == await deliver(range(5), upstream.ask)
    assert 0 == upstream.extra


async def test_one_alone() -> None:
    """An item that is refused alone is named without another call."""
    upstream = Upstream([0])
    ((run, fault),) = await deliver(range(1), upstream.ask)

    assert (range(1), 0, 0) == (run, fault.item if isinstance(fault, Fault) else None, upstream.extra)


async def test_another_fault_ends_it() -> None:
    """When a half fails for another reason, nothing further is asked, and the other one shares its fault."""

    class Failing(Upstream):
        async def ask(self, run: Sequence[int]) -> str | Fault:
            outcome = await super().ask(run)
            return Fault(FaultKind.TIMEOUT, "") if run == range(4) else outcome

    upstream = Failing([0, 7])
    runs = await deliver(range(8), upstream.ask)

    assert [(range(4), Fault(FaultKind.TIMEOUT, "")), (range(4, 8), Fault(FaultKind.TIMEOUT, ""))] == runs
    assert 2 == upstream.extra
