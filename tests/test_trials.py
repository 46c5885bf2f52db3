"""Targets that failed come back without anybody's request."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from gateway.breaker import CONSECUTIVE, LONGEST_OPEN
from gateway.canary import GOLDEN
from gateway.dimensions import Dimensions
from gateway.health import Health
from gateway.routing import Route, Target
from gateway.tokens import Counter
from gateway.trials import PAUSE_SECONDS, Trials
from providers.base import Fault, FaultKind
from tests.fakes.backends import DIMENSIONS, Answer, FakeBackend, ProviderMistake, always, failing, raising, rightly
from tests.fakes.clock import FakeTime
from tests.fakes.counters import LetterCounter

BROKEN = failing(FaultKind.BROKEN)


class Serving:
    """A gateway with one target whose breaker has just opened."""

    def __init__(self, *answers: Answer) -> None:
        self.time = FakeTime()
        self.backend = FakeBackend(*answers)
        self.health = Health(lambda: 0.0)
        target = Target("t", "fake", "their-small", self.backend, health=self.health)
        self.routes: Sequence[Route] = [
            Route("small", "our/space", Dimensions(DIMENSIONS), [target], tokenizer="letters")
        ]
        self.counters: Mapping[str, Counter] = {"letters": LetterCounter()}
        self.trials = Trials(lambda: self, self.time.clock, self.time.sleep)
        for _ in range(CONSECUTIVE):
            ticket = self.health.begin(1, self.time.now)
            assert not isinstance(ticket, Fault)
            self.health.end(ticket, Fault(FaultKind.BROKEN, ""), self.time.now)

    @property
    def state(self) -> str:
        return self.health.state(self.time.now)

    async def seconds(self, count: int) -> list[float]:
        """Turns, one a second; when calls came."""
        calls = []
        for _ in range(count):
            before = len(self.backend.calls)
            self.time.now += 1
            await self.trials.turn()
            calls += [self.time.now - 1000] * (len(self.backend.calls) - before)
        return calls


async def test_back() -> None:
    """A target whose time has come is asked for one golden text, and is well again if that is right."""
    serving = Serving()
    before = serving.state
    calls = await serving.seconds(60)

    assert ("open", "closed", 1, [[GOLDEN[0]]]) == (before, serving.state, len(calls), serving.backend.asked)


@pytest.mark.parametrize("answer", [BROKEN, failing(FaultKind.TIMEOUT), always(1.0, 2.0)])
async def test_still_bad(answer: Answer) -> None:
    """One that still fails, or answers wrongly, is tried once each time that its breaker opens a little: ever rarer."""
    serving = Serving(answer)
    calls = await serving.seconds(400)
    pauses = [later - earlier for earlier, later in itertools.pairwise(calls)]

    assert [10, 20, 40, 80, LONGEST_OPEN, LONGEST_OPEN] == pauses


async def test_refused() -> None:
    """A trial that tells nothing is tried again a minute later, not every second."""
    serving = Serving(failing(FaultKind.REJECTED), failing(FaultKind.REJECTED), rightly)
    calls = await serving.seconds(200)

    assert ([calls[0], calls[0] + PAUSE_SECONDS, calls[0] + 2 * PAUSE_SECONDS], "closed") == (calls, serving.state)


async def test_provider_that_raises() -> None:
    """A trial that raises leaves the next one free."""
    serving = Serving(raising, rightly)
    with pytest.raises(ProviderMistake):  # which `run` tells
        await serving.seconds(10)
    await serving.seconds(70)

    assert "closed" == serving.state


@pytest.mark.parametrize("reason", ["ejected", "drained", "under way", "well"])
async def test_left_alone(reason: str) -> None:
    """Nobody tries a target that is taken out, or that is being tried, or that is well."""
    serving = Serving()
    serving.time.now += 30
    if reason == "ejected":
        serving.health.ejected = "cosine 0.5"
    elif reason == "drained":
        serving.health.drained = True
    elif reason == "under way":
        assert not isinstance(serving.health.begin(1, serving.time.now), Fault)
    else:
        [route] = serving.routes
        serving.routes = [replace(route, targets=[replace(route.targets[0], health=Health())])]

    assert [] == await serving.seconds(20)
