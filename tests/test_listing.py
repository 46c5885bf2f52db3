"""A route as an entry of `GET /v1/models`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from gateway.allowances import Priority
from gateway.dimensions import Dimensions
from gateway.listing import entries
from gateway.routing import Load, Route, Target
from providers.base import EmbedCall, Embeddings, Fault, InputType, Limits, Statistics

NOW = 1000.0


@dataclass(frozen=True)
class Busy:
    """A backend that is never called, but is as busy as it says."""

    load: Load

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        raise NotImplementedError


def target(load: Load = Load(0, 0, 4), inputs: int | None = None, provider: str = "openai") -> Target:  # noqa: B008
    return Target(f"{provider}-0", provider, "a-model", Busy(load), Limits(inputs=inputs))


def route(*targets: Target, limits: Limits = Limits()) -> Route:
    return Route("small", "openai/small", Dimensions(1536), targets or (target(),), limits)


def listed(shown: Route, name: str = "small", *, created: int = 1, show_targets: bool = True) -> dict[str, object]:
    [entry] = asyncio.run(entries([(name, shown)], created=created, now=NOW, show_targets=show_targets))
    return entry


def test_entry() -> None:
    """An entry has OpenAI's four fields, Infinity's, and what an embedding application needs to know."""
    shown = Route(
        "small",
        "openai/small",
        Dimensions(1536, 1, "native"),
        (target(Load(1, 2, 4), inputs=2048), target(Load(2, 3, 8), provider="azure")),
        Limits(inputs=2048, input_tokens=8192),
        input_types=["document", "query"],
        unit_length=True,
    )
    expected = {
        "id": "an-alias",
        "object": "model",
        "created": 1_800_000_000,
        "owned_by": "gateway",
        "backend": "openai",
        "capabilities": ["embed"],
        "stats": {
            "queue_fraction": 0.25,
            "queue_absolute": 3,
            "results_pending": 5,
            "batch_size": 2048,
            "targets": {"closed": 2},
        },
        "available": True,
        "dimensions": {"native": 1536, "min": 1, "supported": None},
        "max_input_tokens": 8192,
        "tokenizer": "cl100k_base",
        "space": "openai/small",
        "unit_length": True,
        "input_types": ["query", "document"],
    }

    assert expected == listed(shown, "an-alias", created=1_800_000_000)


@pytest.mark.parametrize("comes", [True, False, None])
def test_made_unit_length(comes: bool | None) -> None:
    """Vectors that are made unit length here are, however they come; else it is as the entry says, or unknown."""
    made = Route("small", "s", Dimensions(2), (target(),), unit_length=comes, normalize=True)
    left = Route("small", "s", Dimensions(2), (target(),), unit_length=comes)

    assert (True, comes) == (listed(made)["unit_length"], listed(left)["unit_length"])


def test_hidden_targets() -> None:
    """Where targets are hidden, the entry names no provider."""

    assert "openai-0" not in json.dumps(hidden := listed(route(), show_targets=False))
    assert "gateway" == hidden["backend"]


@pytest.mark.parametrize(
    ("dimensions", "expected"),
    [
        (Dimensions(1536), {"native": 1536, "min": 1536, "supported": [1536]}),
        (Dimensions(1536, 256, "native"), {"native": 1536, "min": 256, "supported": None}),
        (Dimensions(1536, 1, "truncate"), {"native": 1536, "min": 1, "supported": None}),
        (Dimensions(1024, 1, "native", [512, 256]), {"native": 1024, "min": 256, "supported": [256, 512, 1024]}),
        (Dimensions(1024, 1, "never", [512, 256]), {"native": 1024, "min": 1024, "supported": [1024]}),
    ],
)
def test_dimensions(dimensions: Dimensions, expected: dict[str, object]) -> None:
    """The lengths are listed where they can be counted, and are a range otherwise."""

    assert expected == listed(replace(route(), dimensions=dimensions))["dimensions"]


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([Load(0, 0, 4)], (0.0, 0, 0)),
        ([Load(0, 4, 4)], (0.0, 0, 4)),
        ([Load(6, 4, 4)], (1.5, 6, 4)),
        ([Load(1, 1, 1), Load(0, 0, 3)], (1.0, 1, 1)),
        ([Load(1, 1, 4), Load(3, 2, 4)], (0.75, 4, 3)),
    ],
)
def test_load(loads: Sequence[Load], expected: tuple[float, int, int]) -> None:
    """What waits and what runs is added up over all targets; the share of the slots is that of the fullest."""
    stats = listed(route(*map(target, loads)))["stats"]
    assert isinstance(stats, dict)

    assert expected == (stats["queue_fraction"], stats["queue_absolute"], stats["results_pending"])


@pytest.mark.parametrize(
    ("of_target", "of_route", "expected"),
    [(None, None, None), (96, None, 96), (None, 256, 256), (2048, 256, 256), (96, 2048, 96)],
)
def test_batch_size(of_target: int | None, of_route: int | None, expected: int | None) -> None:
    """A batch is no larger than the first target takes, nor than the route does."""
    stats = listed(route(target(inputs=of_target), limits=Limits(inputs=of_route)))["stats"]
    assert isinstance(stats, dict)

    assert expected == stats["batch_size"]


def test_batch_size_of_a_queue() -> None:
    """Where texts are computed together, a batch is as many as that."""
    stats = listed(route(target(Load(0, 0, 4096, batch_size=64)), limits=Limits(inputs=2048)))["stats"]
    assert isinstance(stats, dict)

    assert 64 == stats["batch_size"]


async def test_told_statistics() -> None:
    """What targets tell of themselves goes before the gateway's own numbers, and all of them are asked at once."""
    together = asyncio.Barrier(2)

    async def told() -> Statistics | None:
        await together.wait()
        return Statistics(0.5, 7, 3, 32)

    async def silent() -> Statistics | None:
        await together.wait()
        return None

    shown = route(replace(target(), told=told), replace(target(Load(1, 2, 10)), told=silent))
    async with asyncio.timeout(60):
        [entry] = await entries([("small", shown)], created=1, now=NOW, show_targets=True)

    stats = {"queue_fraction": 0.5, "queue_absolute": 8, "results_pending": 5, "batch_size": 32}
    assert {**stats, "targets": {"closed": 2}} == entry["stats"]


async def test_asked_once() -> None:
    """A route that is listed under several names is asked once."""
    asked: list[None] = []

    async def told() -> Statistics | None:
        asked.append(None)
        return Statistics(0.5, 7, 3, 32)

    shown = route(replace(target(), told=told))
    listing = await entries([("small", shown), ("tiny", shown)], created=1, now=NOW, show_targets=True)

    assert (["small", "tiny"], 1) == ([entry["id"] for entry in listing], len(asked))


@pytest.mark.parametrize(
    ("tokenizer", "expected"),
    [("cl100k_base", "cl100k_base"), ("/srv/models/bge/tokenizer.json", "tokenizer.json")],
)
def test_tokenizer(tokenizer: str, expected: str) -> None:
    """A tokenizer that is a file is named without the folders of this machine."""

    assert expected == listed(replace(route(), tokenizer=tokenizer))["tokenizer"]


def test_unknown_is_null() -> None:
    """A limit that nobody knows is null."""

    assert listed(route())["max_input_tokens"] is None


@pytest.mark.parametrize("prompts", [{}, {"document": "{text}"}], ids=["told", "prompted"])
def test_input_types(prompts: Mapping[InputType, str]) -> None:
    """The input types that clients may name are listed, whether the provider is told or a prompt says them."""
    shown = replace(route(), prompts=prompts, input_types=["document"])

    assert ["document"] == listed(shown)["input_types"]


def test_without_roles() -> None:
    """A model without roles lists no input types."""

    assert [] == listed(route())["input_types"]


@pytest.mark.parametrize(("drained", "expected"), [(1, True), (2, False)])
def test_available(drained: int, expected: bool) -> None:
    """A model is available while one of its targets takes calls."""
    targets = [target(), target()]
    for one in targets[:drained]:
        one.health.drained = True

    assert expected is listed(route(*targets))["available"]
