"""A request's time away: while at least one of its calls is, counted once however many are."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gateway import away
from gateway.away import Away
from tests.fakes import virtual_time

SPANS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=6)
"""When each call begins, and how long it is away."""


async def call(begins: int, takes: int) -> None:
    await asyncio.sleep(begins)
    with away.away():
        await asyncio.sleep(takes)


@given(SPANS)
def test_side_by_side(spans: list[tuple[int, int]]) -> None:
    """Calls that are away at the same time count once, and time between them not at all."""

    async def request() -> Away:
        mine = Away(asyncio.get_running_loop().time)
        with away.counting(mine):
            await asyncio.gather(*(call(*span) for span in spans))
        return mine

    seconds = {second for begins, takes in spans for second in range(begins, begins + takes)}

    assert len(seconds) == round(virtual_time.run(request()).seconds_away, 6)


def test_nobody_counts() -> None:
    """Where no request is, nothing is counted, and nothing is amiss."""
    virtual_time.run(call(0, 1))


def test_each_its_own() -> None:
    """Requests side by side are away each for itself, also where a call fails."""

    async def request(seconds: int) -> float:
        mine = Away(asyncio.get_running_loop().time)
        with away.counting(mine):
            try:
                with away.away():
                    await asyncio.sleep(seconds)
                    raise ValueError
            except ValueError:
                await asyncio.sleep(5)
        return mine.seconds_away

    async def both() -> list[float]:
        return list(await asyncio.gather(request(1), request(2)))

    assert [1.0, 2.0] == virtual_time.run(both())
