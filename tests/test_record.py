"""What is remembered of a request: times, and what its log line may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.policy import Attempt
from gateway.record import Record
from providers.base import Fault, FaultKind

REJECTED = Fault(FaultKind.REJECTED, "your text was: s3cret", 400)
TIMEOUT = Fault(FaultKind.TIMEOUT, "s3cret", None)


def ticking(*seconds: float) -> Callable[[], float]:
    """A clock that shows these times, one at each look."""
    times = iter(seconds)
    return lambda: next(times)


def record(*seconds: float, **fields: Any) -> Record:
    return Record("req_1", ticking(*seconds), started=10.0, **fields)


# ── times ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_step() -> None:
    """The time until the next step is kept under the name of the one before."""
    seen = record(11.0, 11.5, 12.0)
    for name in ("auth", "tokens", ""):
        seen.step(name)

    assert {"auth": 0.5, "tokens": 0.5} == seen.timings


def test_step_twice() -> None:
    """A step that is taken twice has the sum of both; what is between is none's."""
    seen = record(1.0, 1.5, 2.0, 2.25)
    for name in ("upstream", "", "upstream", ""):
        seen.step(name)

    assert {"upstream": 0.75} == seen.timings


def test_step_of_a_failure() -> None:
    """The step in which a request fails is timed, too."""
    seen = record(1.0, 1.5, 12.5)
    seen.step("tokens")

    assert "tokens;dur=500.000, total;dur=2500.000" == seen.server_timing()


def test_queue() -> None:
    """The wait for a free slot is told beside the steps."""

    assert "queue;dur=250.000, total;dur=2500.000" == record(12.5, waited=0.25).server_timing()


def test_elapsed() -> None:
    """Elapsed is the time since the request began."""

    assert 2.5 == record(12.5).elapsed


@pytest.mark.parametrize(
    ("timings", "expected"),
    [
        ({}, "total;dur=2500.000"),
        ({"auth": 0.0001234, "upstream": 2.0}, "auth;dur=0.123, upstream;dur=2000.000, total;dur=2500.000"),
    ],
)
def test_server_timing(timings: dict[str, float], expected: str) -> None:
    """The header has the steps in their order and the total, in milliseconds."""

    assert expected == record(12.5, timings=timings).server_timing()


# ── the log line ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_unknown_is_left_out() -> None:
    """What is not known of a request is not in its line."""
    fields = record(10.0015).log_fields("GET", "/v1/models", 200)

    assert {"id": "req_1", "method": "GET", "path": "/v1/models", "status": 200, "ms": 1.5} == fields


def test_line() -> None:
    """A line says who asked for what, who answered, what failed before, and what the client was told."""
    seen = record(
        10.25,
        key="app",
        model="small",
        items=2,
        tokens=9,
        targets=["b"],
        attempts=[Attempt("a", TIMEOUT, [0, 1], 0.125), Attempt("b", REJECTED, [1])],
        metadata={"team": "search"},
        error="invalid_request_error",
    )
    expected = {
        "id": "req_1",
        "method": "POST",
        "path": "/v1/embeddings",
        "status": 400,
        "ms": 250.0,
        "key": "app",
        "model": "small",
        "items": 2,
        "tokens": 9,
        "targets": ["b"],
        "failed": [
            {"target": "a", "fault": "timeout", "status": None, "items": 2, "ms": 125.0},
            {"target": "b", "fault": "rejected", "status": 400, "items": 1, "ms": 0.0},
        ],
        "metadata": {"team": "search"},
        "error": "invalid_request_error",
    }

    assert expected == seen.log_fields("POST", "/v1/embeddings", 400)


def test_zero_is_known() -> None:
    """Zero tokens are something else than tokens that nobody counted."""

    assert 0 == record(10.0, tokens=0).log_fields("POST", "/", 200)["tokens"]


def test_no_texts() -> None:
    """What an upstream says, which may quote a text, is not in the line."""
    fields = record(10.0, attempts=[Attempt("a", REJECTED, [0])]).log_fields("POST", "/", 400)

    assert "s3cret" not in json.dumps(fields)
