"""Upstreams that fail, throttle and hang, through a real gateway process: its clients hardly notice."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from tests.fakes import mishaps
from tests.fakes.openai_upstream import Exchange, FakeOpenAI, rightly, vector_for
from tests.gateway_process import GatewayProcess

SMALL = "text-embedding-3-small"


@contextmanager
def served(
    folder: pathlib.Path, fakes: int, fields: str = "", of_targets: str = ""
) -> Iterator[tuple[GatewayProcess, httpx.Client, list[FakeOpenAI]]]:
    """A gateway with the model `m`, whose targets `t0`, `t1`… are asked in this order.

    `fields` and `of_targets` are further ones of the model, and of each target.
    """
    with ExitStack() as stack:
        upstreams = [stack.enter_context(FakeOpenAI()) for _ in range(fakes)]
        targets = ", ".join(
            f"{{name: t{place}, priority: {place}, provider: openai, model: {SMALL}, "
            f"base_url: '{fake.base_url}', api_key: {fake.api_key}, {of_targets}}}"
            for place, fake in enumerate(upstreams)
        )
        models = f"m: {{space: openai/{SMALL}, canary: off, {fields} targets: [{targets}]}}"
        gateway = stack.enter_context(GatewayProcess(folder, models, server="metrics: public\ndrain: 1s"))
        yield gateway, stack.enter_context(gateway.client()), upstreams


def embed(http: httpx.Client, text: str = "x") -> httpx.Response:
    return http.post("/v1/embeddings", json={"model": "m", "input": text})


def is_right(answer: httpx.Response, text: str = "x") -> bool:
    return answer.status_code == 200 and answer.json()["data"][0]["embedding"] == pytest.approx(
        vector_for(text).tolist()
    )


def test_failing_target_is_left_alone(tmp_path: pathlib.Path) -> None:
    """Requests go past a target that keeps failing without asking it, and the metrics say so."""
    with served(tmp_path, 2) as (_, http, (first, second)):
        first.behave(mishaps.one_too_few(), times=None)
        answers = [embed(http) for _ in range(8)]
        metrics = http.get("/metrics").text
        ready = http.get("/health/ready").json()

    assert [True] * 8 == [is_right(answer) for answer in answers]
    assert (5, 8) == (len(first.requests), len(second.requests))
    assert 'gateway_target_state{model="m",state="open",target="t0"} 1.0' in metrics
    assert 'gateway_fallbacks_total{model="m",target="t0"} 5.0' in metrics
    assert {"status": "ready"} == ready


def test_every_target_is_left_alone(tmp_path: pathlib.Path) -> None:
    """When no target is asked any more, clients are told at once when to come back, and so are operators."""
    with served(tmp_path, 1) as (_, http, (only,)):
        only.behave(mishaps.one_too_few(), times=None)
        for _ in range(5):
            embed(http)
        begun = time.monotonic()
        answer = embed(http)
        took = time.monotonic() - begun
        ready, [entry] = http.get("/health/ready"), http.get("/v1/models").json()["data"]

    assert (503, "upstream_unavailable", 5) == (
        answer.status_code,
        answer.json()["error"]["code"],
        len(only.requests),
    )
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert took < 30  # and before its time: there was still a while to wait
    assert (200, {"status": "ready", "unavailable": ["m"]}, False) == (
        ready.status_code,
        ready.json(),
        entry["available"],
    )


def test_throttling_storm(tmp_path: pathlib.Path) -> None:
    """Clients of an upstream that throttles wait out the pause that it asks for, all of them, and get their vectors."""
    texts = [f"text {number}" for number in range(12)]
    throttled = mishaps.rate_limited(retry_after_ms="300", retry_after="0")
    seen: set[bytes] = set()

    async def throttles(exchange: Exchange) -> None:
        """The first six clients once each, in whatever order they come again."""
        (text,) = exchange.asked.texts
        first = text not in seen and len(seen) < 6
        seen.add(text)
        await (throttled if first else rightly)(exchange)

    with served(tmp_path, 1) as (_, http, (only,)):
        only.behave(throttles, times=None)
        with ThreadPoolExecutor(len(texts)) as pool:
            answers = list(pool.map(lambda text: embed(http, text), texts))

    assert [True] * 12 == [is_right(answer, text) for answer, text in zip(answers, texts, strict=True)]
    assert len(only.requests) == 18


def test_hedge(tmp_path: pathlib.Path) -> None:
    """A small request that hangs is answered by a second target in no time, and the first is not kept waiting."""
    with served(tmp_path, 2, "hedge: true,", "timeout: 110s") as (gateway, http, (first, second)):
        for _ in range(40):  # so many tell how long one in twenty takes
            embed(http)
        first.behave(mishaps.never_answers())
        begun = time.monotonic()
        answer = embed(http)
        took = time.monotonic() - begun
        abandoned = first.wait_until(lambda: len(first.abandoned) == 1)
        tokens = gateway.request_log(answer.headers["x-request-id"])["tokens"]

    assert (True, "t1", 1) == (is_right(answer), answer.headers["x-embedding-target"], len(second.requests))
    assert took < 60
    assert (True, 1) == (abandoned, tokens)
