"""One batch at one target: its health decides whether it is sent, and a budget whether it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.calls import Calls
from gateway.delivery import Answer, Job
from gateway.health import Health, Ticket
from gateway.metrics import Metrics
from gateway.planning import plan
from gateway.retry import Retry
from gateway.routing import Target
from providers.base import Fault, FaultKind
from tests.fakes import backends
from tests.fakes.backends import DIMENSIONS, FakeBackend, HangingBackend, ProviderMistake, failing, rightly
from tests.fakes.clock import FakeTime, settle

OVERLOADED = failing(FaultKind.OVERLOADED)
THROTTLED = failing(FaultKind.THROTTLED, retry_after=2.0)


class Bench:
    """One target of one backend, and a clock."""

    def __init__(self, *answers: backends.Answer, backend: FakeBackend | None = None) -> None:
        self.time = FakeTime()
        self.backend = backend or FakeBackend(*answers)
        self.health = Health(lambda: 0.0)
        self.target = Target("first", "fake", "m", self.backend, health=self.health)
        self.metrics = Metrics()
        self.calls = Calls(Retry(self.time.clock, self.time.sleep, lambda: 0.0), self.time.clock, self.metrics)

    async def ask(
        self,
        texts: Sequence[str] = ("a",),
        within: float = 60.0,
        others: int = 0,
        extra: Mapping[str, Any] | None = None,
    ) -> Answer | Fault:
        job = Job(plan(list(texts), [1] * len(texts), range(len(texts))), DIMENSIONS, alias="small", extra=extra or {})
        return await self.calls.batch(job, self.target, range(len(texts)), self.time.now + within, others)

    @property
    def asked(self) -> int:
        return len(self.backend.calls)

    def spend(self) -> None:
        """Leaves nothing for retries."""
        while self.health.retries.take(self.time.now):
            pass


def kind_of(outcome: Answer | Fault) -> FaultKind | None:
    return outcome.kind if isinstance(outcome, Fault) else None


async def test_open_breaker() -> None:
    """A target that keeps failing is not asked any more: the answer comes at once, with the time to wait."""
    bench = Bench(OVERLOADED)
    for _ in range(2):
        await bench.ask()
    made, pauses = bench.asked, len(bench.time.pauses)
    outcome = await bench.ask()

    assert isinstance(outcome, Fault)
    assert (5, FaultKind.OVERLOADED, 5.0) == (made, outcome.kind, outcome.retry_after)
    assert (made, pauses) == (bench.asked, len(bench.time.pauses))


async def test_trial() -> None:
    """After that time one call goes, and if it is answered rightly, all do."""
    bench = Bench(*[OVERLOADED] * 5, rightly)
    for _ in range(2):
        await bench.ask()
    bench.time.now += 5.0
    outcomes = [kind_of(await bench.ask()) for _ in range(2)]

    assert ([None, None], "closed") == (outcomes, bench.health.state(bench.time.now))


async def test_breach_counts() -> None:
    """Wrong vectors count like failures."""
    bench = Bench(backends.one_too_few)
    for _ in range(5):
        await bench.ask()

    assert "open" == bench.health.state(bench.time.now)


@pytest.mark.parametrize("kind", [FaultKind.NO_SLOT, FaultKind.REJECTED, FaultKind.MISCONFIGURED])
async def test_what_does_not_count(kind: FaultKind) -> None:
    """That the gateway is busy, the caller wrong or the configuration, is not the target's fault."""
    bench = Bench(failing(kind))
    for _ in range(30):
        await bench.ask()

    assert (30, "closed") == (bench.asked, bench.health.state(bench.time.now))


@pytest.mark.parametrize(("within", "state"), [(0.05, "closed"), (4.9, "closed"), (5.0, "open")])
async def test_client_in_a_hurry(within: float, state: str) -> None:
    """A client that wants its answer sooner than any can come does not spoil the target for the others."""
    bench = Bench(failing(FaultKind.TIMEOUT))
    for _ in range(10):
        await bench.ask(within=within)

    assert state == bench.health.state(bench.time.now)


async def test_own_time() -> None:
    """All the time that a target has is enough to tell of it, at whatever time it is asked."""
    bench = Bench(failing(FaultKind.TIMEOUT))
    bench.target = replace(bench.target, timeout=0.3)
    states = set()
    for _ in range(100):
        bench.time.now += 16_315.653
        for _ in range(5):
            await bench.ask()
        states.add(bench.health.state(bench.time.now))

    assert {"open"} == states


@pytest.mark.parametrize(
    ("answer", "state"),
    [(backends.one_too_few, "closed"), (failing(FaultKind.BROKEN), "closed"), (OVERLOADED, "open")],
)
async def test_fields_of_a_client(answer: backends.Answer, state: str) -> None:
    """A client whose own fields make for wrong answers does not have the target taken from all others."""
    bench = Bench(answer)
    for _ in range(5):
        await bench.ask(extra={"output_size": 4})

    assert state == bench.health.state(bench.time.now)


async def test_pause_of_others() -> None:
    """A call that comes during a pause that another one was told of waits for its end."""
    bench = Bench(THROTTLED, rightly)
    await bench.ask(within=1.0)
    outcome = await bench.ask()

    assert (None, 2, [2.0]) == (kind_of(outcome), bench.asked, bench.time.pauses)


async def test_pause_that_grows() -> None:
    """Whoever waits for the end of a pause goes on waiting when it grows, as long as the deadline allows."""
    bench = Bench(rightly)
    sleep = bench.time.sleep

    def throttled() -> None:
        ticket = bench.health.begin(1, bench.time.now)
        assert not isinstance(ticket, Fault)
        tickets.append(ticket)

    async def longer(seconds: float) -> None:
        if tickets:
            bench.time.now += seconds / 2
            bench.health.end(tickets.pop(), Fault(FaultKind.THROTTLED, "", retry_after=2.0), bench.time.now)
        await sleep(seconds / 2)

    tickets: list[Ticket] = []
    for _ in range(6):
        throttled()
    bench.health.end(tickets.pop(), Fault(FaultKind.THROTTLED, "", retry_after=2.0), bench.time.now)
    bench.calls = Calls(Retry(bench.time.clock, longer, lambda: 0.0), bench.time.clock, bench.metrics)
    outcome = await bench.ask(within=20.0)

    assert (None, 1, []) == (kind_of(outcome), bench.asked, tickets)


async def test_pause_is_too_long() -> None:
    """It is told at once of a pause that does not end before its deadline."""
    bench = Bench(failing(FaultKind.THROTTLED, retry_after=30.0))
    await bench.ask(within=1.0)
    outcome = await bench.ask(within=20.0)

    assert isinstance(outcome, Fault)
    assert (FaultKind.THROTTLED, 30.0, 1, []) == (outcome.kind, outcome.retry_after, bench.asked, bench.time.pauses)


async def test_exhausted() -> None:
    """A target without credit is not asked again for long."""
    bench = Bench(failing(FaultKind.EXHAUSTED))
    outcomes = [kind_of(await bench.ask()) for _ in range(3)]

    assert ([FaultKind.EXHAUSTED] * 3, 1) == (outcomes, bench.asked)


async def test_retries_are_bounded() -> None:
    """When the budget is spent, nothing is tried again."""
    bench = Bench(OVERLOADED)
    bench.spend()
    await bench.ask()

    assert (1, []) == (bench.asked, bench.time.pauses)


async def test_extra_load() -> None:
    """However long an upstream fails now and then, it is asked a fifth more than that, and the reserve."""
    bench = Bench(*[failing(FaultKind.BROKEN), rightly] * 2000)
    for _ in range(1000):
        await bench.ask()

    assert bench.asked <= 1000 * 1.2 + 30 + 0.2 * (bench.time.now - 1000)


async def test_retries_are_counted() -> None:
    """Each call that is made again is in the metrics."""
    bench = Bench(failing(FaultKind.BROKEN), rightly)
    await bench.ask()

    assert b'gateway_retries_total{model="small",target="first"} 1.0' in bench.metrics.text()


async def test_cut_off() -> None:
    """A call that is cut off leaves nothing in flight, and counts neither way."""
    bench = Bench(backend=HangingBackend("none of these", calls=1))
    running = asyncio.create_task(bench.ask())
    await settle()
    in_flight = bench.health.in_flight
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (1, 0, None) == (in_flight, bench.health.in_flight, bench.health.last_error)


async def test_exception() -> None:
    """Nor does an exception."""
    bench = Bench(backends.raising)
    with pytest.raises(ProviderMistake):
        await bench.ask()

    assert (0, "closed") == (bench.health.in_flight, bench.health.state(bench.time.now))
