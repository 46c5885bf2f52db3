"""How busy an Infinity server says that it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers import PROVIDERS, infinity_statistics
from providers.base import Endpoint, Provider, Request, Response, Statistics

STATS = {"queue_fraction": 0.25, "queue_absolute": 8000, "results_pending": 8064, "batch_size": 32}
EXPECTED = Statistics(0.25, 8000, 8064, 32)


def entry(name: str = "bge", stats: Any = STATS) -> dict[str, Any]:
    return {"id": name, "stats": stats, "object": "model", "owned_by": "infinity", "created": 1, "backend": "torch"}


def told(data: object, model: str = "bge") -> Statistics | None:
    return infinity_statistics.parse_response(Response(200, {}, json.dumps({"data": data}).encode()), model)


@pytest.mark.parametrize(
    ("endpoint", "url", "headers"),
    [
        (Endpoint("http://host:7997"), "http://host:7997/models", {}),
        (Endpoint("http://host/v1/", "k"), "http://host/v1/models", {"authorization": "Bearer k"}),
        (Endpoint("http://host", headers={"X-Team": "a"}), "http://host/models", {"x-team": "a"}),
    ],
)
def test_request(endpoint: Endpoint, url: str, headers: dict[str, str]) -> None:
    """The list of models is asked for with the target's credentials and headers."""
    request = infinity_statistics.build_request(endpoint)

    assert Request("GET", url, {"accept": "application/json", **headers}, b"") == request


@pytest.mark.parametrize(
    "data",
    [
        [entry()],
        [entry("other", {**STATS, "batch_size": 1}), entry()],
        [entry("/models/bge-on-disk")],
        entry(),
        [entry(stats={**STATS, "more": "x"})],
    ],
    ids=["listed", "among others", "the only one", "before lists", "with more"],
)
def test_statistics(data: object) -> None:
    """The numbers are those of the model, or of the only one that is there."""
    assert EXPECTED == told(data)


def test_idle() -> None:
    """A queue of a whole number is none of the less."""
    assert Statistics(0.0, 0, 0, 64) == told(
        [entry(stats={"queue_fraction": 0, "queue_absolute": 0, "results_pending": 0, "batch_size": 64})]
    )


@pytest.mark.parametrize(
    "data",
    [
        [],
        None,
        "x",
        [None],
        [entry("a"), entry("b")],
        [entry(), entry()],
        [entry(stats=None)],
        [entry(stats={})],
        *([entry(stats={**STATS, "queue_fraction": value})] for value in (None, "0.5", -0.1, True)),
        *([entry(stats={**STATS, name: value})] for name in list(STATS)[1:] for value in (None, 1.5, "1", -1, True)),
    ],
    ids=str,
)
def test_nothing_told(data: object) -> None:
    """An answer that does not say all four of this model is none."""
    assert told(data) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null"])
def test_no_list(body: bytes) -> None:
    """Whatever else comes is no answer."""
    assert infinity_statistics.parse_response(Response(200, {}, body), "bge") is None


def test_who_tells() -> None:
    """Of all providers, Infinity tells its statistics."""
    told = [name for name, known in PROVIDERS.items() if isinstance(known, Provider) and known.statistics is not None]

    assert ["infinity"] == told
