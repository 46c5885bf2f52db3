"""What a client is told of its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from gateway import errors, notices
from gateway.allowances import NANOS
from gateway.gates import Gate, Gates, Standings

REQUESTS = Gate("requests", "key:k1", 60)
TOKENS = Gate("tokens", "model:small", 1000)


@pytest.mark.parametrize(
    ("gate", "wait", "kind", "message"),
    [
        (REQUESTS, 0.25, errors.RateLimited, "limit of this key is reached: 60 requests a minute. Try again in 0.25 "),
        (
            TOKENS,
            3.0,
            errors.TokensRateLimited,
            "this model is reached: 1000 tokens a minute, and this request has 400",
        ),
        (
            Gate("concurrent", "team:a", 3),
            1.0,
            errors.RateLimited,
            "this key's team is reached: 3 requests at a time",
        ),
        (Gate("requests", "key-model:k1:*:small", 1), 2.0, errors.RateLimited, "limit of this key and model"),
        (TOKENS, math.inf, errors.TokensRateLimited, "has 400 tokens, and this model may never use more than 1000"),
        (
            Gate("usd_budget", "key:k1:2026-11", 5 * NANOS),
            9.0,
            errors.QuotaExhausted,
            "The budget of this key does not cover this request: 0 USD are left of 5 USD for 2026-11 (UTC).",
        ),
        (
            Gate("token_budget", "team:a:total", 5),
            math.inf,
            errors.QuotaExhausted,
            "0 tokens are left of 5 tokens in",
        ),
    ],
)
def test_refusal(gate: Gate, wait: float, kind: type[errors.GatewayError], message: str) -> None:
    """The client is told whose limit it is, how much it is, and when to try again."""
    error = notices.refusal(Gates([gate]), [400], Standings([0], [wait]))

    assert (kind, True) == (type(error), message in error.message), error.message


@pytest.mark.parametrize(
    ("gate", "wait", "retry"),
    [
        (REQUESTS, 0.2501, {"retry-after": "1", "retry-after-ms": "251"}),
        (TOKENS, math.inf, {"x-should-retry": "false"}),
        (Gate("usd_budget", "key:k1:2026-11", 5), 9.0, {"x-should-retry": "false"}),
    ],
)
def test_retry_headers(gate: Gate, wait: float, retry: dict[str, str]) -> None:
    """Waiting as long as told suffices; what no waiting helps says so."""

    assert retry == notices.refusal(Gates([gate]), [400], Standings([0], [wait])).headers


def test_longest_wait() -> None:
    """Of two limits the one that takes longer is told: before that the other would not help."""
    error = notices.refusal(Gates([REQUESTS, TOKENS]), [1, 400], Standings([0, 0], [5.0, 2.0]))

    assert "5000" == error.headers["retry-after-ms"]


def told(each: Sequence[Gate], *lefts: float) -> dict[str, str]:
    headers = notices.headers(Gates(each), Standings(lefts))
    return {name.decode(): value.decode() for name, value in headers}


def test_headers() -> None:
    """OpenAI's six headers, of the limit that is nearest to its end."""
    tighter = Gate("requests", "team:a", 10)

    assert told([REQUESTS, TOKENS, tighter], 59, 600, 1) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "54s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "600",
        "x-ratelimit-reset-tokens": "24s",
    }


@pytest.mark.parametrize("gate", [Gate("concurrent", "key:k1", 1), Gate("requests", "key:k1", 1, shadow=True)])
def test_no_headers(gate: Gate) -> None:
    """Limits that OpenAI has no header for, or that refuse nothing, are not told."""

    assert {} == told([gate], 0)


def test_headers_of_a_debt() -> None:
    """What is owed is told as nothing left, and takes its time."""

    assert ("0", "1m30s") == tuple(
        told([REQUESTS], -30)[f"x-ratelimit-{what}-requests"] for what in ("remaining", "reset")
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0ms"), (0.0201, "21ms"), (1.0, "1s"), (1.5, "1.5s"), (60.0, "1m0s"), (360.0, "6m0s")]
)
def test_durations(seconds: float, text: str) -> None:
    """A reset is told as Go writes durations."""

    assert text == told([REQUESTS], 60 - seconds)["x-ratelimit-reset-requests"]
