"""How much is answered in time above capacity, by slots in a time of their own: the same figures on every machine."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable

import pytest

from gateway.allowances import Priority
from gateway.slots import Slots
from tests.fakes import virtual_time
from tests.fakes.slots import slot

SLOTS = 8
LATENCY = 0.05
CAPACITY = SLOTS / LATENCY
SECONDS = 20

chance = random.Random(5)  # noqa: S311 (no secret)

LATENCIES: dict[str, Callable[[], float]] = {
    "fixed": lambda: LATENCY,
    "spread": lambda: LATENCY * (0.5 + chance.random()),
    "exponential": lambda: chance.expovariate(1 / LATENCY),
}


async def crowd(
    rates: dict[Priority, float], deadline: float, latency: Callable[[], float], slots: Slots
) -> Counter[Priority]:
    """Requests come at even distances, whatever becomes of the others; how many are answered in time, by lane."""
    good: Counter[Priority] = Counter()
    loop = asyncio.get_running_loop()

    async def call(lane: Priority) -> None:
        until = loop.time() + deadline
        async with slot(slots, until, lane) as refusal:
            if refusal is None:
                try:
                    async with asyncio.timeout_at(until):
                        await asyncio.sleep(latency())
                        good[lane] += 1
                except TimeoutError:
                    pass

    async def arrivals(lane: Priority, rate: float) -> None:
        for _ in range(int(rate * SECONDS)):
            group.create_task(call(lane))
            await asyncio.sleep(1 / rate)

    async with asyncio.TaskGroup() as group:
        for lane, rate in rates.items():
            group.create_task(arrivals(lane, rate))
    return good


def answered(rates: dict[Priority, float], deadline: float, latency: Callable[[], float]) -> dict[Priority, float]:
    """In time, a second, at so many times the capacity."""
    offered = {lane: times * CAPACITY for lane, times in rates.items()}
    good = virtual_time.run(crowd(offered, deadline, latency, Slots(SLOTS)))
    return {lane: good[lane] / SECONDS for lane in rates}


@pytest.mark.parametrize("deadline", [0.12, 0.5, 5.0])
@pytest.mark.parametrize("latency", LATENCIES.values(), ids=LATENCIES)
def test_three_times_the_load(latency: Callable[[], float], deadline: float) -> None:
    """At three times the load as much is answered in time as at its peak, but for a tenth at most."""
    loads = (0.7, 1.0, 1.5, 3.0)
    good = {times: answered({"interactive": times}, deadline, latency)["interactive"] for times in loads}
    print({times: round(rate, 1) for times, rate in good.items()})

    assert good[3.0] >= 0.9 * max(good.values())


def test_interactive_under_bulk() -> None:
    """Bulk work of three times the capacity takes nothing from interactive calls that are half of it, and goes on."""
    good = answered({"interactive": 0.5, "bulk": 3.0}, 0.5, LATENCIES["spread"])
    print({lane: round(rate, 1) for lane, rate in good.items()})

    assert good["interactive"] >= 0.99 * 0.5 * CAPACITY
    assert good["bulk"] >= 0.3 * CAPACITY


def test_bulk_under_interactive() -> None:
    """Interactive calls of three times the capacity leave bulk about a fifth of it."""
    good = answered({"interactive": 3.0, "bulk": 1.0}, 0.5, LATENCIES["spread"])
    print({lane: round(rate, 1) for lane, rate in good.items()})

    assert good["bulk"] >= 0.15 * CAPACITY
    assert good["interactive"] >= 0.7 * CAPACITY


def test_after_a_halt() -> None:
    """A minute in which nothing comes back is forgotten as soon as calls come back again."""
    pace = [20.0]

    async def story() -> tuple[Counter[Priority], Counter[Priority]]:
        slots = Slots(SLOTS)
        halted = await crowd({"interactive": CAPACITY}, 0.5, lambda: pace[0], slots)
        pace[0] = LATENCY
        return halted, await crowd({"interactive": CAPACITY}, 0.5, lambda: pace[0], slots)

    halted, after = virtual_time.run(story())

    assert 0 == halted["interactive"]
    assert after["interactive"] >= 0.95 * CAPACITY * SECONDS
