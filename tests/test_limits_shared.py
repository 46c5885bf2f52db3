"""Limits as a team meets them: three real gateways over one real Redis, real clients, and a strict fake upstream."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest
from click.testing import CliRunner

from gateway.auth import key_hash, new_key
from gateway.cli import main
from tests.fakes import mishaps
from tests.fakes.mishaps import For, Spoiled
from tests.fakes.openai_upstream import Behaviour, Exchange, FakeOpenAI, rightly
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import GatewayProcess

CALLERS = 200
SEVEN = "one two three four five six seven"
"""Of seven tokens."""
SETTLED = "limits: {tpm: 4000}, budget: {tokens: 1000, per: total}"
GRANTS = {
    "free": "",
    "requests": "limits: {rpm: 7}",
    "tokens": "limits: {tpm: 77}",
    "concurrent": "limits: {concurrent: 7}",
    "token_budget": "budget: {tokens: 79, per: total}",  # two too few for a twelfth request
    "usd_budget": "budget: {usd: 0.00000155, per: month}",  # at 0.02 USD a million, 77.5 tokens
    "both": "limits: {rpm: 30}, model_limits: {open: {rpm: 7}}",
    **{f"{team}-{n}": f"team: {team}" for team in ("requests", "concurrent", "token_budget") for n in range(3)},
    "quick": "limits: {rpm: 60}",
    "told": "limits: {rpm: 100, tpm: 600}",
    "waiting": "limits: {rpm: 100, tpm: 600}",
    "spent": "limits: {tpm: 100000}, budget: {tokens: 10, per: day}",
    "shadowed": "limits: {rpm: 1, tpm: 1, concurrent: 1, shadow: true}",
    "used": "",
    **{f"settled-{n}": SETTLED for n in range(12)},
}
KEYS = {name: new_key() for name in GRANTS}
SECTIONS = """
teams:
  requests: {limits: {rpm: 7}}
  concurrent: {limits: {concurrent: 7}}
  token_budget: {budget: {tokens: 79, per: week}}
"""


def models(fake: FakeOpenAI) -> str:
    target = f"provider: openai, model: text-embedding-3-small, base_url: '{fake.base_url}', api_key: {fake.api_key}"
    return f"""
    open: {{targets: [{{{target}, base64: true, max_concurrency: 300, timeout: 100s}}]}}
    requests: {{limits: {{rpm: 7}}, targets: [{{{target}}}]}}
    tokens: {{limits: {{tpm: 77}}, targets: [{{{target}}}]}}
    concurrent: {{limits: {{concurrent: 7}}, targets: [{{{target}, timeout: 100s}}]}}
    hasty: {{targets: [{{{target}, timeout: 2s}}]}}
    pairs: {{targets: [{{{target}, batch: {{inputs: 2}}}}]}}
    """


@dataclass(frozen=True, slots=True)
class Replicas:
    gateways: Sequence[GatewayProcess]
    redis: RedisServer


@pytest.fixture(scope="module")
def replicas(running_openai: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    folder = tmp_path_factory.mktemp("replicas")
    keys = "\n".join(
        f"- {{name: {name}, sha256: {key_hash(KEYS[name])}{', ' * bool(grant)}{grant}}}"
        for name, grant in GRANTS.items()
    )
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer(folder / "redis"))
        gateways = []
        for number in range(3):
            (own := folder / str(number)).mkdir()
            gateway = GatewayProcess(
                own, models(running_openai), state=f"url: '{redis.url}'", keys=keys, sections=SECTIONS
            )
            gateways.append(stack.enter_context(gateway))
        yield Replicas(gateways, redis)


@pytest.fixture(scope="module")
def gateway(replicas: Replicas) -> GatewayProcess:
    return replicas.gateways[0]


def asked(text: str | Sequence[str] = SEVEN, model: str = "open") -> dict[str, Any]:
    return {"model": model, "input": text, "encoding_format": "base64"}


def embed(gateway: GatewayProcess, name: str, text: str | Sequence[str] = SEVEN, model: str = "open") -> httpx.Response:
    with gateway.client(KEYS[name]) as http:
        return http.post("/v1/embeddings", json=asked(text, model))


# ── exactly the limit ─────────────────────────────────────────────────────────────────────────────────────────────


async def burst(
    replicas: Replicas, names: Sequence[str], model: str = "open", landed: Callable[[int], None] = lambda _: None
) -> list[httpx.Response]:
    """200 requests at once, over all replicas, of these keys in turn. `landed` hears how many are answered."""
    answered = 0

    async def one(client: httpx.AsyncClient, number: int) -> httpx.Response:
        nonlocal answered
        key = KEYS[names[number % len(names)]]
        answer = await client.post(
            "/v1/embeddings", json=asked(model=model), headers={"authorization": f"Bearer {key}"}
        )
        answered += 1
        landed(answered)
        return answer

    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=gateway.root_url,
                    timeout=150,
                    trust_env=False,
                    verify=False,  # noqa: S501 (nothing here is TLS)
                    limits=httpx.Limits(max_connections=None),
                )
            )
            for gateway in replicas.gateways
        ]
        return list(await asyncio.gather(*(one(clients[number % 3], number) for number in range(CALLERS))))


def statuses(answers: Sequence[httpx.Response]) -> dict[int, int]:
    return {status: sum(a.status_code == status for a in answers) for status in {a.status_code for a in answers}}


def team(name: str) -> list[str]:
    return [f"{name}-{number}" for number in range(3)]


@pytest.mark.parametrize(
    ("names", "model", "limit", "per_minute", "kind"),
    [
        (["requests"], "open", 7, 7, "requests"),
        (team("requests"), "open", 7, 7, "requests"),
        (["free"], "requests", 7, 7, "requests"),
        (["both"], "open", 7, 7, "requests"),
        (["tokens"], "open", 11, 11, "tokens"),
        (["free"], "tokens", 11, 11, "tokens"),
        (["token_budget"], "open", 11, 0, "insufficient_quota"),
        (team("token_budget"), "open", 11, 0, "insufficient_quota"),
        (["usd_budget"], "open", 11, 0, "insufficient_quota"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else str(value),
)
async def test_exactly_the_limit(
    replicas: Replicas,
    openai_upstream: FakeOpenAI,
    names: list[str],
    model: str,
    limit: int,
    per_minute: int,
    kind: str,
) -> None:
    """Of 200 requests at once, at three gateways, as many are admitted as the limit says, and not one more."""
    begun = time.monotonic()
    answers = await burst(replicas, names, model)
    refilled = int((time.monotonic() - begun) * per_minute / 60)
    admitted = statuses(answers)[200]

    assert {200, 429} == set(statuses(answers))
    assert limit <= admitted <= limit + refilled
    assert admitted == len(openai_upstream.requests)
    assert {kind} == {answer.json()["error"]["type"] for answer in answers if answer.status_code == 429}


@pytest.mark.parametrize(
    ("names", "model"),
    [(["concurrent"], "open"), (team("concurrent"), "open"), (["free"], "concurrent")],
    ids=["key", "team", "model"],
)
async def test_exactly_so_many_at_a_time(
    replicas: Replicas, openai_upstream: FakeOpenAI, names: list[str], model: str
) -> None:
    """Of 200 requests that do not end, seven run at three gateways; when they have ended, there is room again."""
    release = threading.Event()

    async def held(exchange: Exchange) -> None:
        while not release.is_set():  # noqa: ASYNC110 (it is set in another thread)
            await asyncio.sleep(0.01)
        await rightly(exchange)

    openai_upstream.behave(held, times=None)
    seen: list[int] = []

    def landed(answered: int) -> None:
        if answered == CALLERS - 7:  # the others may still be on their way
            openai_upstream.wait_until(lambda: len(openai_upstream.requests) >= 7)
            seen.append(len(openai_upstream.requests))
            release.set()

    failsafe = threading.Timer(60, release.set)
    failsafe.start()
    answers = await burst(replicas, names, model, landed)
    failsafe.cancel()
    eventually(lambda: embed(replicas.gateways[2], names[0], model=model).status_code == 200)

    assert ({200: 7, 429: 193}, [7]) == (statuses(answers), seen)


# ── what a client is told ─────────────────────────────────────────────────────────────────────────────────────────

LIMIT_HEADERS = {
    f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")
}
GO_DURATION = re.compile(r"(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
"""As far as OpenAI writes it. https://pkg.go.dev/time#ParseDuration"""


def seconds(duration: str) -> float:
    found = GO_DURATION.fullmatch(duration)
    assert found is not None
    minutes, whole, thousandths = (float(part or 0) for part in found.groups())
    return minutes * 60 + whole + thousandths / 1000


def limits_in(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}


def client(gateway: GatewayProcess, name: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.url, api_key=KEYS[name], max_retries=retries)


def test_no_limit_no_header(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """Where no limit applies nothing is said of limits, least of all the upstream's own."""
    with client(gateway, "free") as free:
        raw = free.embeddings.with_raw_response.create(model="open", input=SEVEN)

    assert {} == limits_in(raw.headers)


def test_half_the_headers(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """Where tokens alone are limited nothing is said of requests."""
    with client(gateway, "spent") as tokens_only:
        raw = tokens_only.embeddings.with_raw_response.create(model="open", input="x")

    assert {name for name in LIMIT_HEADERS if name.endswith("tokens")} == set(limits_in(raw.headers))


def test_headers_of_limits(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """OpenAI's client reads what is left, falling with each request, and on a 429 under the same names."""
    begun = time.monotonic()
    with client(gateway, "told") as told:
        first, second = (
            limits_in(told.embeddings.with_raw_response.create(model="open", input="word " * n).headers)
            for n in (100, 200)
        )
        with pytest.raises(openai.RateLimitError) as refused:
            told.embeddings.create(model="open", input="word " * 590)
        third = limits_in(refused.value.response.headers)
    took = time.monotonic() - begun
    refilled = took * 10 + 2  # and of both texts a blank at the end

    assert [LIMIT_HEADERS] * 3 == [set(first), set(second), set(third)]
    assert [("100", "600")] * 3 == [
        (told["x-ratelimit-limit-requests"], told["x-ratelimit-limit-tokens"]) for told in (first, second, third)
    ]
    for requests, left, headers in ((99, 499, first), (98, 298, second), (98, 298, third)):
        remaining = int(headers["x-ratelimit-remaining-tokens"])
        assert left <= remaining <= left + refilled
        assert (600 - remaining) / 10 == pytest.approx(seconds(headers["x-ratelimit-reset-tokens"]), abs=0.11)
        assert requests <= int(headers["x-ratelimit-remaining-requests"]) <= requests + took / 0.6
        assert 0 <= seconds(headers["x-ratelimit-reset-requests"]) <= 2 * 0.6
    assert 0 < seconds(first["x-ratelimit-reset-requests"])


async def test_waiting_suffices(replicas: Replicas, openai_upstream: FakeOpenAI) -> None:
    """Who waits exactly as long as it was told is served."""
    gateway = replicas.gateways[0]
    await burst(replicas, ["quick"])
    outcomes = []
    for _ in range(3):
        while (refused := embed(gateway, "quick")).status_code == 200:
            pass
        wait = int(refused.headers["retry-after-ms"])
        await asyncio.sleep(wait / 1000)
        outcomes.append((refused.status_code, wait <= 1000, embed(gateway, "quick").status_code))

    assert [(429, True, 200)] * 3 == outcomes


def test_openai_waits_by_itself(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """OpenAI's client, told to retry, meets a full limit without its caller noticing."""
    with client(gateway, "waiting", retries=1) as waiting:
        first = waiting.embeddings.with_raw_response.create(model="open", input=[" word" * 400])
        left = int(first.headers["x-ratelimit-remaining-tokens"])
        answer = waiting.embeddings.create(model="open", input=[" word" * (left + 4)])

    assert (left + 4, 2) == (answer.usage.total_tokens, len(openai_upstream.requests))


@pytest.mark.parametrize(
    ("name", "text", "kind"), [("spent", " word" * 11, "insufficient_quota"), ("told", " word" * 601, "tokens")]
)
def test_no_use_in_trying_again(
    gateway: GatewayProcess, openai_upstream: FakeOpenAI, name: str, text: str, kind: str
) -> None:
    """What a budget or a whole minute's tokens cannot cover is refused for good: OpenAI's client does not retry it."""
    with (
        client(gateway, name, retries=3) as stubborn,
        pytest.raises(openai.RateLimitError) as refused,
    ):
        stubborn.embeddings.create(model="open", input=text)
    response = refused.value.response
    retries = response.request.headers["x-stainless-retry-count"]

    assert (kind, "0", 0) == (refused.value.type, retries, len(openai_upstream.requests))
    assert ("false", None, None) == tuple(
        response.headers.get(header) for header in ("x-should-retry", "retry-after", "retry-after-ms")
    )


# ── what is settled ───────────────────────────────────────────────────────────────────────────────────────────────


def left(gateway: GatewayProcess, name: str) -> tuple[int, int]:
    """Tokens of the budget, and of the minute; asking for more than there is takes nothing."""
    refused = embed(gateway, name, " word" * 1001)
    found = re.search(r"(\d+) tokens are left of 1000", refused.json()["error"]["message"])
    assert found is not None
    return int(found[1]), int(refused.headers["x-ratelimit-remaining-tokens"])


def reports(tokens: int) -> Behaviour:
    return Spoiled(lambda answer: answer["usage"].update(prompt_tokens=tokens, total_tokens=tokens))


@dataclass(frozen=True, slots=True)
class Case:
    behaviour: Behaviour
    status: int
    spent: int
    text: str | Sequence[str] = SEVEN
    model: str = "open"
    sent: int = 1


CASES = {
    "counted as reported": Case(rightly, 200, 7),
    "more is reported": Case(reports(300), 200, 300),
    "less is reported": Case(reports(3), 200, 3),
    "nothing is reported": Case(mishaps.no_usage(), 200, 7),
    "sent once": Case(rightly, 200, 7, [SEVEN] * 9),
    "refused unprocessed": Case(mishaps.error(400), 400, 0),
    "refused our key": Case(mishaps.error(401), 502, 0),
    "failed in the middle": Case(mishaps.error(500), 502, 7, sent=2),
    "wrong answer": Case(mishaps.wrong_length(), 502, 7),
    "timed out": Case(mishaps.never_answers(), 504, 7, model="hasty"),
    "half refused": Case(
        For("a bad one", lambda at: mishaps.error(400)), 400, 15, [SEVEN, SEVEN + "!", "a bad one"], "pairs", 2
    ),
    "half failed": Case(
        For("a bad one", lambda at: mishaps.error(500)), 502, 18, [SEVEN, SEVEN + "!", "a bad one"], "pairs", 3
    ),
}


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES.values())), ids=list(CASES))
def test_settled(replicas: Replicas, openai_upstream: FakeOpenAI, number: int, case: Case) -> None:
    """Limits and budgets end where the upstream's bill ends: an estimate stays only while nothing better is known."""
    name = f"settled-{number}"
    openai_upstream.behave(case.behaviour, times=None)
    begun = time.monotonic()
    answer = embed(replicas.gateways[0], name, case.text, case.model)
    openai_upstream.behave(rightly, times=None)
    eventually(lambda: left(replicas.gateways[1], name)[0] == 1000 - case.spent)
    _, tokens = left(replicas.gateways[2], name)
    refilled = (time.monotonic() - begun) * 4000 / 60 + 1

    assert (case.status, case.sent) == (answer.status_code, len(openai_upstream.requests))
    assert 4000 - case.spent <= tokens <= min(4000, 4000 - case.spent + refilled)


# ── what is written down ──────────────────────────────────────────────────────────────────────────────────────────


def test_usage_everywhere(replicas: Replicas, openai_upstream: FakeOpenAI) -> None:
    """What was used at all replicas is told alike by each, and by the command line, within seconds."""
    for gateway in replicas.gateways:
        embed(gateway, "used", [SEVEN, SEVEN + "!", SEVEN])
    for behaviour in (mishaps.no_usage(), mishaps.error(400), mishaps.wrong_length()):
        openai_upstream.behave(behaviour)
        embed(replicas.gateways[0], "used")
    tokens = {"reported": 3 * 15, "counted": 7 + 7, "estimated": 0}
    expected = {
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "key_id": "file:used",
        "key": "used",
        "team": None,
        "model": "open",
        "requests": 6,
        "errors": 2,
        "inputs": 12,
        "tokens": 59,
        **tokens,
        "cached": 0,
        "usd": 59 * 0.02 / 10**6,
        "unpriced_tokens": 0,
    }

    def told(gateway: GatewayProcess) -> Any:
        with gateway.client(KEYS["used"]) as http:
            return http.get("/v1/usage").json()

    def requests(gateway: GatewayProcess) -> bool:
        return bool(told(gateway)["total"]["requests"] >= 6)

    for gateway in replicas.gateways:
        eventually(lambda gateway=gateway: requests(gateway))  # type: ignore[misc]
    printed = CliRunner().invoke(
        main, ["usage", "--json", "--key", "file:used", "--config", str(replicas.gateways[1].config)]
    )
    reports = [*map(told, replicas.gateways), json.loads(printed.stdout)]

    assert [[expected]] * 4 == [report["data"] for report in reports]
    assert [reports[0]["total"]] * 4 == [report["total"] for report in reports]


# ── what would be refused ─────────────────────────────────────────────────────────────────────────────────────────


def test_shadow(gateway: GatewayProcess, openai_upstream: FakeOpenAI) -> None:
    """A shadow limit refuses nothing and tells the client nothing; the request's log line names it."""
    answers = [embed(gateway, "shadowed") for _ in range(2)]
    named = [gateway.request_log(answer.headers["x-request-id"])["shadowed"] for answer in answers]
    requests, tokens = (f"{kind}:key:file:shadowed" for kind in ("requests", "tokens"))

    assert [(200, {})] * 2 == [(answer.status_code, limits_in(answer.headers)) for answer in answers]
    assert [[tokens], [requests, tokens]] == named
