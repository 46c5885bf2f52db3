"""What the routing file says reaches the provider's request and the state; what was begun is finished."""

from __future__ import annotations

import asyncio
import json
import pathlib
import textwrap
from typing import Any, cast

import pytest

from gateway import build, lifespan
from gateway.auth import Caller
from gateway.config import Config
from gateway.engines import Engines
from gateway.errors import GatewayError, StateUnavailable
from gateway.limits import Limiter
from gateway.loading import load
from gateway.record import Record
from gateway.store import Usage, UsageQuery
from gateway.store.embedded import EmbeddedStore
from gateway.store.redis import RedisStore
from gateway.upstream import Upstream
from gateway.wire import EmbeddingsRequest
from providers.base import Fault, FaultKind, Request, Response
from tests.fakes.clock import FakeTime, settle

COHERE = "embed-v4.0: {%s targets: [{provider: cohere, api_key: k}]}"
PROMPTS = 'prompts: {query: "q: {text}", document: "d: {text}"},'


class Recorder:
    """An upstream that refuses everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def pool(self, via: object) -> None:
        """Every way is open."""

    async def send(self, request: Request, *_: object) -> Response | Fault:
        self.requests.append(request)
        return Fault(FaultKind.REJECTED, "no")


def configured(folder: pathlib.Path, text: str) -> Config:
    file = folder / "gateway.yaml"
    file.write_text(
        f"{text}\nmodels: {{local: {{normalize: true, targets: [{{provider: static, path: wordllama}}]}}}}\n"
    )
    return load(file, {})


async def test_nothing_is_lost_at_the_end(tmp_path: pathlib.Path) -> None:
    """A stop writes down the usage, and settles the budgets, that no second had written yet."""
    config = configured(tmp_path, "teams: {t: {budget: {tokens: 100, per: total}}}")
    caller = Caller("k", "k", ("*",), team="t")
    house = build.house(config)
    (route,) = house.current.generation.gateway.routes
    async with lifespan.around(house):
        limiter = house.current.generation.gateway.books.limiter
        limiter.settle(await limiter.reserve(limiter.gates(caller, route), 10, 0, 60.0), 30, 0)
        house.books.ledger.add(caller, "local", Usage(requests=1))
    again = build.house(config)
    limiter = again.current.generation.gateway.books.limiter
    reservation = await limiter.reserve(limiter.gates(caller, route), 10, 0, 60.0)
    used = [sums.requests for _, sums in await again.store.usage(UsageQuery())]
    await again.close()

    assert ([1], [60]) == (used, [standing.remaining for standing in reservation.standings])


async def test_failing_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails at the end keeps nothing else from being written down and closed."""
    config = configured(tmp_path, "")
    house = build.house(config)
    house.books.ledger.add(Caller("k", "k", ("*",)), "local", Usage(requests=1))

    async def fail(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Engines, "close", fail)
    monkeypatch.setattr(Limiter, "settled", fail)
    with pytest.raises(RuntimeError):
        await house.close()
    with pytest.raises(StateUnavailable):  # it is closed
        await house.store.ping()
    again = build.store(config)
    used = [sums.requests for _, sums in await again.usage(UsageQuery())]
    await again.close()

    assert [1] == used


async def test_background_work_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What fails in the background is told at once."""

    async def fail() -> None:
        raise RuntimeError

    async with lifespan._beside(fail(), asyncio.sleep(3600)):
        await settle()

    assert ["what runs in the background has failed; restart the gateway"] == [line.message for line in caplog.records]


@pytest.mark.parametrize(
    ("url", "kind"), [("sqlite:///x.db", EmbeddedStore), ("redis://h/1", RedisStore), ("redis+cluster://h", RedisStore)]
)
async def test_store(tmp_path: pathlib.Path, url: str, kind: type[object]) -> None:
    """The state is where its URL says; a Redis is connected to only when it is asked."""
    store = build.store(configured(tmp_path, f"state: {{url: '{url}'}}"))
    await store.close()

    assert isinstance(store, kind)


async def requested(folder: pathlib.Path, models: str, alias: str, **fields: Any) -> list[Request]:
    """The upstream requests for one text."""
    file = folder / "gateway.yaml"
    file.write_text(f"models:\n{textwrap.indent(textwrap.dedent(models).strip(), '  ')}\n")
    upstream = Recorder()
    gateway = build.gateway(load(file, {}), cast("Upstream", upstream))
    request = EmbeddingsRequest(alias, fields.pop("inputs", ["a"]), **fields)
    with pytest.raises(GatewayError):
        await gateway.embed(
            request, Caller("k", "k", ("*",)), build._loop_clock() + 60, Record("r", FakeTime().clock, 0.0)
        )
    return upstream.requests


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (
            "provider: azure, base_url: 'https://x.openai.azure.com', model: dep, api_version: '2024-10-21'",
            "https://x.openai.azure.com/openai/deployments/dep/embeddings?api-version=2024-10-21",
        ),
        (
            "provider: bedrock-titan, model: titan, region: eu-west-1",
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/titan/invoke",
        ),
        (
            "provider: vertex, model: gecko, region: europe-west4, project: p-1",
            "https://europe-west4-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west4/publishers/google"
            "/models/gecko:predict",
        ),
        (
            "provider: vertex, model: gecko, region: global, project: p-1",
            "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google/models/gecko:predict",
        ),
        (
            "provider: watsonx, model: slate, region: eu-de, project: p-1, api_version: '2025-01-01'",
            "https://eu-de.ml.cloud.ibm.com/ml/v1/text/embeddings?version=2025-01-01",
        ),
    ],
)
async def test_address(tmp_path: pathlib.Path, target: str, expected: str) -> None:
    """Version, region and project are where the provider wants them."""
    models = f"m: {{dimensions: {{native: 3}}, targets: [{{{target}}}]}}"
    actual = [request.url for request in await requested(tmp_path, models, "m")]

    assert [expected] == actual


@pytest.mark.parametrize(
    ("keys", "fields", "expected"),
    [
        ("", {}, ("a", "search_document")),
        ("", {"input_type": "query"}, ("a", "search_query")),
        ("default_input_type: query,", {}, ("a", "search_query")),
        (PROMPTS, {}, ("d: a", "search_document")),
        (PROMPTS, {"input_type": "query"}, ("q: a", "search_query")),
    ],
)
async def test_a_provider_that_needs_a_role(
    tmp_path: pathlib.Path, keys: str, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    """A provider that has to be told the role is told it, with prompts as without."""
    [request] = await requested(tmp_path, COHERE % keys, "embed-v4.0", **fields)
    body = json.loads(request.body)

    assert ([expected[0]], expected[1]) == (body["texts"], body["input_type"])


@pytest.mark.parametrize(("keys", "expected"), [("", ("a", "query")), (PROMPTS, ("q: a", None))])
async def test_a_provider_that_needs_none(tmp_path: pathlib.Path, keys: str, expected: tuple[str, str | None]) -> None:
    """A provider that puts prompts around texts itself is told the role only where none are put around here."""
    models = f"voyage-4: {{{keys} targets: [{{provider: voyage, api_key: k}}]}}"
    [request] = await requested(tmp_path, models, "voyage-4", input_type="query")
    body = json.loads(request.body)

    assert ([expected[0]], expected[1]) == (body["input"], body.get("input_type"))


@pytest.mark.parametrize(
    ("model", "batch", "expected"),
    [
        ("text-embedding-3-small", "", 1),
        ("text-embedding-3-small", "batch: {inputs: 2}", 5),
        ("text-embedding-3-small", "batch: {tokens: 12}", 1),
        ("unknown", "batch: {tokens: 12}", 4),  # a byte each, and what is around it
    ],
)
async def test_batch(tmp_path: pathlib.Path, model: str, batch: str, expected: int) -> None:
    """Calls hold as much as the target says, in tokens where those are known and else in bytes."""
    models = f"m: {{dimensions: {{native: 1536}}, targets: [{{provider: openai, model: {model}, {batch}}}]}}"
    asked = await requested(tmp_path, models, "m", inputs=[[1], [2], [3], [4], [5], [6], [7], [8], [9], [10]])

    assert expected == len(asked)


async def test_who_shares_a_cache(tmp_path: pathlib.Path) -> None:
    """Models of one space share what is cached; but one that ejects who drifts has nothing of those that do not."""
    target = "{space: s, dimensions: {native: 8}, canary: %s, targets: [{provider: cohere, model: x, api_key: k}]}"
    reactions = {"a": "eject", "b": "eject", "c": "report", "d": "off"}
    file = tmp_path / "gateway.yaml"
    file.write_text("models:\n" + "".join(f"  {alias}: {target % canary}\n" for alias, canary in reactions.items()))
    made = {
        route.alias: route.made_by
        for route in build.routes(load(file, {}).models, cast("Upstream", Recorder()), Engines())
    }

    assert made["a"] == made["b"] != made["c"] == made["d"]
