"""A small job that takes long is sent to a second target, within bounds, and one right answer is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.allowances import Priority
from gateway.delivery import Delivery, Job
from gateway.dispatch import Dispatcher
from gateway.health import Health, Ticket
from gateway.metrics import Metrics
from gateway.planning import plan
from gateway.retry import Retry
from gateway.routing import Target
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from tests.fakes import backends
from tests.fakes.backends import DIMENSIONS, TOKENS_EACH, FakeBackend, failing, vectors_of
from tests.fakes.clock import settle

NOW = 1000.0
TEXTS = ["a", "b"]


class Held(FakeBackend):
    """Answers when it is told to, and remembers being cut off."""

    def __init__(self, *answers: backends.Answer) -> None:
        super().__init__(*answers)
        self.go = asyncio.Event()
        self.cut_off = 0

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        outcome = await super().embed(call, deadline, lane)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        return outcome


def known(backend: FakeBackend, name: str = "first") -> Target:
    """A target that took 0.2 seconds for each of many calls of two inputs, and earned enough to be hedged."""
    health = Health(lambda: 0.0)
    for _ in range(100):
        ticket = health.begin(2, NOW)
        assert isinstance(ticket, Ticket)
        health.end(ticket, None, NOW + 0.2)
        health.hedges.earn(2)
    return Target(name, "fake", "m", backend, health=health)


class Bench:
    def __init__(self, first: FakeBackend, second: FakeBackend, third: FakeBackend | None = None) -> None:
        self.targets = [known(first), known(second, "second"), *([known(third, "third")] if third else [])]
        self.pauses: list[float] = []
        self.wake = asyncio.Event()
        self.metrics = Metrics()
        self._dispatcher = Dispatcher(Retry(self._clock, self._sleep, lambda: 0.0), self._clock, self.metrics)

    def _clock(self) -> float:
        return NOW

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.wake.wait()

    def job(self, **fields: Any) -> Job:
        texts = fields.pop("texts", TEXTS)
        return Job(plan(texts, [1] * len(texts), range(len(texts))), DIMENSIONS, **{"hedge": True, **fields})

    def start(self, **fields: Any) -> asyncio.Task[Delivery]:
        return asyncio.create_task(self._dispatcher.run(self.job(**fields), self.targets, NOW + 60))

    async def late(self, **fields: Any) -> asyncio.Task[Delivery]:
        """A job whose first target has not answered when the delay is over."""
        running = self.start(**fields)
        await settle()
        self.wake.set()
        await settle()
        return running


async def ended(running: asyncio.Task[Delivery]) -> Delivery:
    async with asyncio.timeout(60.0):
        return await running


async def test_fast_enough() -> None:
    """While the first target is as fast as usual, no other is asked."""
    second = FakeBackend()
    delivery = await ended(Bench(FakeBackend(), second).start())

    assert (["first"], []) == (delivery.targets, second.calls)


async def test_delay() -> None:
    """A second copy waits as long as 19 of 20 calls take."""
    bench = Bench(Held(), second := FakeBackend())
    running = bench.start()
    await settle()

    assert ([0.2], []) == ([round(seconds, 9) for seconds in bench.pauses], second.calls)
    running.cancel()


async def test_second_wins() -> None:
    """The first right answer counts, the other call is cut off, and what it may cost is booked."""
    bench = Bench(first := Held(), FakeBackend())
    delivery = await ended(await bench.late())

    assert (vectors_of(TEXTS), ["second"], 1) == (delivery.complete, delivery.targets, first.cut_off)
    assert (2 * TOKENS_EACH, {0: 1, 1: 1}, []) == (delivery.tokens, dict(delivery.charged), delivery.attempts)


async def test_first_wins() -> None:
    """So it is when the first one answers after all."""
    bench = Bench(first := Held(), second := Held())
    running = await bench.late()
    first.go.set()
    delivery = await ended(running)

    assert (["first"], 1, {0: 1, 1: 1}) == (delivery.targets, second.cut_off, dict(delivery.charged))


async def test_wins_are_counted() -> None:
    """The metrics tell how often a second copy was worth it."""
    bench = Bench(Held(), FakeBackend())
    await ended(await bench.late(alias="small"))

    assert b'gateway_hedges_total{model="small",target="second",won="true"} 1.0' in bench.metrics.text()


async def test_first_fails_late() -> None:
    """When the first one fails, the second one's answer is awaited; the failure is remembered."""
    bench = Bench(first := Held(failing(FaultKind.TIMEOUT)), second := Held())
    running = await bench.late()
    first.go.set()
    await settle()
    second.go.set()
    delivery = await ended(running)

    assert (["second"], ["first"]) == (delivery.targets, [attempt.target for attempt in delivery.attempts])
    assert {0: 1, 1: 1} == dict(delivery.charged)


async def test_both_fail() -> None:
    """When both fail, the third target is next, and what two may have billed is charged twice."""
    first, second = Held(failing(FaultKind.TIMEOUT)), FakeBackend(failing(FaultKind.TIMEOUT))
    bench = Bench(first, second, FakeBackend())
    running = await bench.late()
    first.go.set()
    delivery = await ended(running)

    assert (["third"], 1) == (delivery.targets, len(second.calls))
    assert ["first", "second"] == [attempt.target for attempt in delivery.attempts]
    assert {0: 2, 1: 2} == dict(delivery.charged)


def throttle(bench: Bench) -> None:
    ticket = bench.targets[0].health.begin(1, NOW)
    assert isinstance(ticket, Ticket)
    bench.targets[0].health.end(ticket, Fault(FaultKind.THROTTLED, "", retry_after=9.0), NOW)


def nothing_earned(bench: Bench) -> None:
    bench.targets[0].health.hedges.take(NOW, 9)


def spare_drained(bench: Bench) -> None:
    bench.targets[1].health.drained = True


def spare_spent(bench: Bench) -> None:
    while bench.targets[1].health.retries.take(NOW):
        pass


@pytest.mark.parametrize("change", [throttle, nothing_earned, spare_drained, spare_spent])
async def test_bounds_when_it_would_start(change: Callable[[Bench], object]) -> None:
    """No copy is sent once a target is not well, or nothing is left of the 5 % or of the second target's budget."""
    bench = Bench(Held(), second := FakeBackend())
    running = bench.start()
    await settle()
    change(bench)
    bench.wake.set()
    await settle()

    assert [] == second.calls
    running.cancel()


@pytest.mark.parametrize(
    "fields",
    [{"hedge": False}, {"lane": "bulk"}, {"texts": [str(number) for number in range(9)]}, {"texts": ["alone"]}],
    ids=["not asked for", "bulk", "nine inputs", "of unknown size"],
)
async def test_bounds_of_the_job(fields: dict[str, Any]) -> None:
    """Only interactive jobs of at most 8 inputs are hedged, of a size whose times are known."""
    bench = Bench(Held(), second := FakeBackend())
    running = await bench.late(**fields)

    assert ([], []) == (second.calls, bench.pauses)
    running.cancel()


async def test_cancelling() -> None:
    """When the client hangs up, both are cut off."""
    bench = Bench(first := Held(), second := Held())
    running = await bench.late()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    assert (1, 1, []) == (first.cut_off, second.cut_off, left)
    assert [0, 0] == [target.health.in_flight for target in bench.targets]


async def test_exception() -> None:
    """An exception in one comes out, and cuts the other off."""
    bench = Bench(first := Held(), FakeBackend(backends.raising))
    with pytest.raises(backends.ProviderMistake):
        await ended(await bench.late())

    assert 1 == first.cut_off
