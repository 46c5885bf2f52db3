"""Many callers with one text each, through a real gateway process to a provider that counts calls."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.fakes import mishaps
from tests.fakes.openai_upstream import Exchange, rightly
from tests.test_survival import embed, is_right, served

CALLERS = 64
TURNS = 3
CALLS_A_SECOND = 20
SECONDS = 60.0


def test_ceiling_is_lifted(tmp_path: pathlib.Path) -> None:
    """A provider that takes 20 calls a second embeds the texts of 64 callers, and the tokens sum up to what it says."""
    sent: list[float] = []
    taken: list[float] = []
    reported: list[int] = []
    turn = threading.Barrier(CALLERS)

    async def limited(exchange: Exchange) -> None:
        """Answers nobody before all callers of a turn have come: however slow the machine is, they meet."""
        while len(sent) % CALLERS or time.monotonic() < sent[-1] + 0.5:  # noqa: ASYNC110 (threads set no event here)
            await asyncio.sleep(0.01)
        now = time.monotonic()
        taken[:] = [at for at in taken if at > now - 1]
        if len(taken) >= CALLS_A_SECOND:
            await mishaps.rate_limited(retry_after_ms="200")(exchange)
        else:
            taken.append(now)
            reported.append(exchange.asked.tokens)
            await mishaps.slow(0.02, rightly)(exchange)

    with served(tmp_path, 1, "coalesce: true,", "max_concurrency: 4") as (gateway, http, (fake,)):
        fake.behave(limited, times=None)

        def caller(number: int) -> list[tuple[str, httpx.Response]]:
            answers = []
            with gateway.client(event_hooks={"request": [lambda _: sent.append(time.monotonic())]}) as own:
                for place in range(TURNS):
                    turn.wait(SECONDS)
                    answers.append((text := f"text {number} {place}", embed(own, text)))
            return answers

        with ThreadPoolExecutor(CALLERS) as pool:
            answers = [each for some in pool.map(caller, range(CALLERS)) for each in some]
        metrics = http.get("/metrics").text

    alone = [answer.headers["x-embedding-usage"] for _, answer in answers].count("reported")

    assert [True] * len(answers) == [is_right(answer, text) for text, answer in answers]
    assert len(fake.requests) < len(answers) / 3
    assert f'gateway_coalesced_total{{model="m",target="t0"}} {len(answers) - alone}.0' in metrics
    assert sum(answer.json()["usage"]["total_tokens"] for _, answer in answers) == sum(reported)


def test_one_spoils_nothing(tmp_path: pathlib.Path) -> None:
    """A text that the provider refuses is refused to its own caller alone."""

    async def choosy(exchange: Exchange) -> None:
        refuses = b"text 5" in exchange.asked.texts
        await (mishaps.error(400, message="not this one") if refuses else mishaps.slow(0.02, rightly))(exchange)

    with served(tmp_path, 1, "coalesce: true,") as (_, http, (fake,)), ThreadPoolExecutor(16) as pool:
        fake.behave(choosy, times=None)
        texts = [f"text {number}" for number in range(16)]
        answers = list(pool.map(lambda text: embed(http, text), texts))

    assert [200] * 5 + [400] + [200] * 10 == [answer.status_code for answer in answers]
    assert "not this one" in answers[5].json()["error"]["message"]
    assert all(is_right(answer, text) for answer, text in zip(answers, texts, strict=True) if text != "text 5")
