"""What is done for requests that have ended: all of it, in their order, a moment later or when somebody asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.aftermath import MOMENT, MOST, STOPPED, Aftermath
from gateway.metrics import Metrics
from gateway.record import Record
from tests.fakes.virtual_time import run


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """What is left of requests, where it is settled."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = Clock()
        self.counted: list[tuple[str, int]] = []
        self.aftermath = Aftermath(self.metrics, lambda record, status: self.counted.append((record.route, status)))

    def request(
        self,
        route: str,
        status: int = 200,
        *,
        path: str = "/v1/embeddings",
        embeds: bool = True,
        error: str | None = None,
    ) -> None:
        record = Record("id", self.clock, self.clock.now, embeds=embeds, route=route, model=route, error=error)
        self.clock.now += 0.25
        self.aftermath.add(record, "POST", path, status)

    def requests(self) -> float:
        """As the numbers tell it."""
        return sum(
            sample.value
            for family in self.metrics.families()
            for sample in family.samples
            if sample.name == "gateway_requests_total"
        )


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.fields.append(dict(vars(record).get("fields", {})))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    handler, root = Lines(), logging.getLogger()
    logging.getLogger("gateway.access").setLevel(logging.INFO)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    logging.getLogger("gateway.access").setLevel(logging.NOTSET)


def test_a_moment_later(lines: Lines) -> None:
    """Each request that has ended is counted and has its line a moment later, in their order."""
    told = Told()

    async def ended() -> None:
        told.request("first")
        told.request("second", 429)
        assert [] == told.counted
        await asyncio.sleep(MOMENT * 1.5)

    run(ended())

    assert [("first", 200), ("second", 429)] == told.counted
    assert [("first", 200), ("second", 429)] == [(line["model"], line["status"]) for line in lines.fields]


def test_as_long_as_it_took(lines: Lines) -> None:
    """A request's time ends with it, not when it is counted."""
    told = Told()

    async def ended() -> None:
        told.request("first")
        told.clock.now += 60
        told.aftermath.settle()

    run(ended())

    assert [250.0] == [line["ms"] for line in lines.fields]


def test_numbers_are_whole() -> None:
    """Whoever reads the numbers reads all that has ended, however short a time ago; and none of it twice."""
    told = Told()

    async def ended() -> None:
        told.request("first")
        assert 1 == told.requests()
        told.request("first")
        assert 2 == told.requests()
        await asyncio.sleep(MOMENT * 3)

    run(ended())

    assert 2 == told.requests()


def test_not_too_many() -> None:
    """So many that have ended are not left for later."""
    told = Told()

    async def ended() -> None:
        for _ in range(MOST):
            told.request("many")
        assert MOST == len(told.counted)
        told.request("one more")
        await asyncio.sleep(MOMENT * 1.5)

    run(ended())

    assert MOST + 1 == len(told.counted)


def test_cut_off(lines: Lines) -> None:
    """Where the process ends, nothing is left for later: neither what was cut off, nor what had ended before."""
    told = Told()

    async def ended() -> None:
        told.request("first")
        told.request("second", 503, error=STOPPED)

    run(ended())

    assert [("first", 200), ("second", 503)] == told.counted
    assert [None, STOPPED] == [line.get("error") for line in lines.fields]


def test_counted_or_not(lines: Lines) -> None:
    """Requests for anything but embeddings have a line and are not counted; a probe of health has neither."""
    told = Told()

    async def ended() -> None:
        told.request("", path="/v1/models", embeds=False)
        told.request("", path="/health/ready", embeds=False)
        told.aftermath.settle()

    run(ended())

    assert ([], ["/v1/models"]) == (told.counted, [line["path"] for line in lines.fields])
