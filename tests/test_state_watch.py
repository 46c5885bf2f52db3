"""Whether the state is there: what the balancer, the log and a request are told."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import pytest

from gateway.config import OnLoss
from gateway.errors import StateUnavailable
from gateway.metrics import Metrics
from gateway.state_watch import StateWatch
from gateway.store import Store, StoreError, unavailable
from tests.fakes.clock import FakeTime


class Home:
    """A state that can be lost."""

    name = "redis://here"

    def __init__(self) -> None:
        self.lost = False
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        if self.lost:
            raise unavailable() from StoreError("The state at redis://here cannot be reached: it sleeps.")


@pytest.fixture
def home() -> Home:
    return Home()


def serves(watch: StateWatch) -> bool:
    try:
        watch.require()
    except StateUnavailable:
        return False
    return True


@pytest.mark.parametrize(
    ("on_loss", "expected"),
    [
        # before anybody looked, away at the start, there, lost, there again: (ready, served)
        ("allow", [(False, True), (False, True), (True, True), (True, True), (True, True)]),
        ("deny", [(False, False), (False, False), (True, True), (False, False), (True, True)]),
    ],
)
async def test_ready(home: Home, on_loss: OnLoss, expected: list[tuple[bool, bool]]) -> None:
    """Ready once the state was there; after its loss only where it can be done without."""
    watch = StateWatch(cast("Store", home), on_loss, Metrics())
    found = [(watch.ready, serves(watch))]
    for lost in (True, False, True, False):
        home.lost = lost
        await watch.look()
        found.append((watch.ready, serves(watch)))

    assert expected == found


async def test_metric(home: Home) -> None:
    """Metrics say whether the state is there."""
    metrics = Metrics()
    watch = StateWatch(cast("Store", home), "allow", metrics)
    told = []
    for lost in (False, True, False):
        home.lost = lost
        await watch.look()
        told.append(b"gateway_state_up 1.0" in metrics.text())

    assert [True, False, True] == told


async def test_log(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """A loss is told once, with its reason, and so is its end."""
    watch = StateWatch(cast("Store", home), "deny", Metrics())
    caplog.set_level(logging.INFO)
    for lost in (False, False, True, True, True, False, False):
        home.lost = lost
        await watch.look()
    told = [(line.levelname, line.message, line.fields) for line in caplog.records]  # type: ignore[attr-defined]

    assert [
        (
            "ERROR",
            "the state cannot be reached; trying again every second",
            {
                "reason": "The state at redis://here cannot be reached: it sleeps.",
                "meanwhile": "every request is refused",
            },
        ),
        ("INFO", "the state is reached again", {"state": "redis://here"}),
    ] == told


async def test_every_second(home: Home) -> None:
    """It looks every second."""
    time = FakeTime()

    async def sleep(seconds: float) -> None:
        await time.sleep(seconds)
        if len(time.pauses) == 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await StateWatch(cast("Store", home), "allow", Metrics(), sleep).run()

    assert ([1.0] * 4, 3) == (time.pauses, home.asked)
