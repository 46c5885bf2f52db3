"""What a server says of how busy it is, asked and remembered."""

from __future__ import annotations

import asyncio

import pytest

from gateway.statistics import ASKED_SECONDS, LARGEST_ANSWER, REMEMBERED_SECONDS, ToldStatistics
from gateway.upstream import Upstream, Via
from providers.base import Endpoint, Fault, FaultKind, Request, Response, Statistics, StatisticsSource
from tests.fakes.clock import FakeTime, settle

ENDPOINT = Endpoint("http://host")
VIA = Via(proxy="http://proxy:3128")
SOURCE = StatisticsSource(
    lambda endpoint: Request("GET", endpoint.base_url, {}, b""),
    lambda response, model: Statistics(0.5, int(response.body), 0, 1) if model == "known" else None,
)


class FakeUpstream(Upstream):
    """Gives its outcomes in turn, once it may."""

    def __init__(self, *outcomes: Response | Fault) -> None:
        super().__init__()
        self.sent: list[tuple[Request, Via, float, int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._outcomes = list(outcomes)

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        self.sent.append((request, via, deadline, max_answer))
        await self.open.wait()
        return self._outcomes.pop(0)


def told(upstream: Upstream, time: FakeTime, model: str = "known") -> ToldStatistics:
    return ToldStatistics(SOURCE, ENDPOINT, model, upstream, VIA, time.clock)


def answer(waiting: int, status: int = 200) -> Response:
    return Response(status, {}, str(waiting).encode())


async def test_asked() -> None:
    """The server is asked on the target's way, and has a second."""
    upstream, time = FakeUpstream(answer(7)), FakeTime()

    assert Statistics(0.5, 7, 0, 1) == await told(upstream, time).read()
    assert [(Request("GET", "http://host", {}, b""), VIA, time.now + ASKED_SECONDS, LARGEST_ANSWER)] == upstream.sent


async def test_remembered() -> None:
    """For two seconds the answer is remembered, and then it is asked for again."""
    upstream, time = FakeUpstream(answer(1), answer(2)), FakeTime()
    statistics = told(upstream, time)
    seen = []
    for pause in (0, REMEMBERED_SECONDS - 0.01, 0.01):
        time.now += pause
        seen.append(await statistics.read())

    assert [1, 1, 2] == [one.queue_absolute for one in seen if one]


@pytest.mark.parametrize(
    ("outcome", "model"),
    [
        (Fault(FaultKind.TIMEOUT, ""), "known"),
        (answer(1, 404), "known"),
        (answer(1, 301), "known"),
        (answer(1), "unknown"),
    ],
    ids=["silent", "an error", "a redirect", "of others"],
)
async def test_nothing_told(outcome: Response | Fault, model: str) -> None:
    """That a server says nothing is remembered, too."""
    upstream = FakeUpstream(outcome)
    statistics = told(upstream, FakeTime(), model)

    assert (None, None, 1) == (await statistics.read(), await statistics.read(), len(upstream.sent))


async def test_one_reader() -> None:
    """Those who ask at the same time wait for one question."""
    upstream = FakeUpstream(answer(3))
    upstream.open.clear()
    statistics = told(upstream, FakeTime())
    asked = [asyncio.create_task(statistics.read()) for _ in range(5)]
    await settle()
    upstream.open.set()

    assert {Statistics(0.5, 3, 0, 1)} == set(await asyncio.gather(*asked))
    assert 1 == len(upstream.sent)


async def test_reader_who_leaves() -> None:
    """When the one who asks hangs up, the next one asks."""
    upstream = FakeUpstream(answer(3))
    upstream.open.clear()
    statistics = told(upstream, FakeTime())
    first, second = (asyncio.create_task(statistics.read()) for _ in range(2))
    await settle()
    first.cancel()
    upstream.open.set()

    assert (Statistics(0.5, 3, 0, 1), 2) == (await second, len(upstream.sent))
