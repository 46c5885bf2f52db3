"""Many clients at once, which look at every answer: each vector has to be that of its text, each error an error.

    load = Load(Replicas([gateway.url], KEY), seed=7, server_seconds=4, model="small", targets={"first"})
    tally = await load.run(24, 1.0, Habits())
    assert tally.faults == []

What they ask is the same whenever the seed is.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
import openai

from tests.chaos.asks import Ask, Habits, draw
from tests.chaos.tally import Answer, Tally

SLACK_SECONDS: Final = 4.0
"""How much later than its deadline an answer may come in: a machine that does much else takes its time."""
PATIENCE_SECONDS: Final = 120.0
"""After which what has not come about will not."""


class Replicas:
    """Where the gateway is reached, one request here, the next one there, as a balancer does it.

    `urls` are those in rotation, by their places.
    """

    def __init__(self, urls: Iterable[str], key: str) -> None:
        self.urls = dict(enumerate(urls))
        self.key = key
        self._turns = itertools.count()

    def in_turn(self) -> list[str]:
        urls = list(self.urls.values())
        first = next(self._turns) % len(urls)
        return [*urls[first:], *urls[:first]]


class Load:
    """`server_seconds` is the gateway's own `timeout`, `slack` what an answer may be later than its deadline."""

    def __init__(
        self,
        replicas: Replicas,
        *,
        seed: int,
        server_seconds: float,
        model: str,
        targets: set[str],
        slack: float = SLACK_SECONDS,
    ) -> None:
        self.tally = Tally()
        self.model = model
        self._replicas = replicas
        self._seed = seed
        self._server_seconds = server_seconds
        self._slack = slack
        self._targets = targets

    async def run(
        self,
        callers: int,
        seconds: float,
        habits: Habits,
        pause: float = 0.0,
        until: Callable[[Tally], bool] = lambda tally: True,
    ) -> Tally:
        """Each caller asks one thing after the other, one at least, with pauses of so many seconds in the mean.

        However long that takes, they go on until that condition holds, too: on a slow machine little happens in a
        second.
        """
        self.tally = tally = Tally()
        self._seed += 1  # what was asked before is not asked again
        async with self._clients() as http:
            end = time.monotonic() + seconds

            def goes_on() -> bool:
                now = time.monotonic()
                return now < end or (now < end + PATIENCE_SECONDS and not until(tally))

            await asyncio.gather(*(self._caller(http, number, goes_on, habits, pause) for number in range(callers)))
        return tally

    async def once(self, ask: Ask, count: int = 1) -> Tally:
        """The same by so many callers at once."""
        self.tally = Tally()
        async with self._clients() as http:
            await asyncio.gather(*(self._ask(http, ask) for _ in range(count)))
        return self.tally

    async def until_well(self, by: str | None = None, in_a_row: int = 10, patience: float = PATIENCE_SECONDS) -> float:
        """Seconds until so many requests, one after the other, have all got their vectors, from `by` if named."""
        self.tally = tally = Tally()
        began, well_since, row = time.monotonic(), 0.0, 0
        chance = random.Random(self._seed)  # noqa: S311 (it has to be repeatable)
        async with self._clients() as http:
            while row < in_a_row:
                at = time.monotonic() - began
                assert at < patience, f"not well after {patience} s: {tally}"
                before = tally.targets[by] if by else tally.statuses[200]
                await self._ask(http, draw(chance, Habits(4, own_deadline=0, leaves=0)))
                row = row + 1 if (tally.targets[by] if by else tally.statuses[200]) > before else 0
                well_since = at if row == 1 else well_since
                await asyncio.sleep(0.0 if row else 0.02)
        assert tally.faults == []
        return well_since

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[_Clients]:
        """Without limits, and without time limits: every call has its own end."""
        options: Any = {"verify": False, "trust_env": False, "timeout": None}  # nothing here is TLS
        async with (
            httpx.AsyncClient(limits=httpx.Limits(max_connections=None), **options) as plain,
            openai.DefaultAsyncHttpxClient(**options) as sdk,
        ):
            yield _Clients(plain, sdk)

    async def _caller(
        self, http: _Clients, number: int, goes_on: Callable[[], bool], habits: Habits, pause: float
    ) -> None:
        chance = random.Random(f"{self._seed} {number}")  # noqa: S311 (it has to be repeatable)
        await asyncio.sleep(chance.random() * pause)
        asks = True
        while asks:
            await self._ask(http, draw(chance, habits))
            await asyncio.sleep(chance.expovariate(1 / pause) if pause else 0)
            asks = goes_on()

    async def _ask(self, http: _Clients, ask: Ask) -> None:
        tally = self.tally
        tally.asked += 1
        allowed = min(self._server_seconds, ask.seconds or self._server_seconds)
        latest = allowed + self._slack
        end = None if ask.leaves_after is None else asyncio.get_running_loop().time() + ask.leaves_after
        began = time.monotonic()
        try:
            async with asyncio.timeout_at(end):
                async with asyncio.timeout(latest):
                    answer = await self._answer(http, ask)
        except TimeoutError:
            if ask.leaves_after is not None and time.monotonic() - began < latest:
                tally.hung_up += 1
            else:
                tally.lost.append(f"no answer to {len(ask.texts)} inputs after {latest:.1f} s")
        except (httpx.TransportError, openai.APIConnectionError) as error:
            tally.lost.append(f"{type(error).__name__}: {error}")
        else:
            tally.add(ask, answer, self._targets)
            if answer.status == 200:
                tally.seconds.append(time.monotonic() - began)

    async def _answer(self, http: _Clients, ask: Ask) -> Answer:
        """From the first replica that is there; only the last one's death is the client's trouble."""
        *others, last = self._replicas.in_turn()
        for url in others:
            with contextlib.suppress(httpx.TransportError, openai.APIConnectionError):
                return await self._answer_of(http, url, ask)
            self.tally.asked_again += 1
        return await self._answer_of(http, last, ask)

    async def _answer_of(self, http: _Clients, url: str, ask: Ask) -> Answer:
        headers = {} if ask.seconds is None else {"x-request-timeout-ms": str(int(ask.seconds * 1000))}
        fields: dict[str, Any] = {"model": self.model, "input": ask.inputs}
        if ask.dimensions is not None:
            fields["dimensions"] = ask.dimensions
        if ask.wants == "sdk":
            client = openai.AsyncOpenAI(base_url=url, api_key=self._replicas.key, max_retries=0, http_client=http.sdk)
            try:
                raw = await client.embeddings.with_raw_response.create(**fields, extra_headers=headers)
            except openai.APIStatusError as error:
                return Answer.of(error.response.status_code, error.response.headers, error.response.content)
            vectors = [np.array(item.embedding, "<f4").tobytes() for item in raw.parse().data]
            return Answer(raw.status_code, raw.headers, raw.http_response.json(), vectors)
        headers["authorization"] = f"Bearer {self._replicas.key}"
        answer = await http.plain.post(
            f"{url}/embeddings", json={**fields, "encoding_format": ask.wants}, headers=headers
        )
        return Answer.of(answer.status_code, answer.headers, answer.content)


@dataclass(frozen=True, slots=True)
class _Clients:
    plain: httpx.AsyncClient
    sdk: openai.DefaultAsyncHttpxClient
