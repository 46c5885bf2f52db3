"""Which limits a request has to pass, and what the client is told of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors, gates
from gateway.allowances import NANOS, Budget, Rates, Team
from gateway.auth import Caller
from gateway.dimensions import Dimensions
from gateway.gates import Gate, Gates, Standing
from gateway.routing import Route

NOON = 1_795_262_400.0
"""2026-11-21 12:00 UTC, a Saturday."""


def caller(**granted: Any) -> Caller:
    return Caller("k1", "app", ("*",), **granted)


def route(alias: str = "small", **fields: Any) -> Route:
    return Route(alias, "space", Dimensions(8), [], **fields)


def asked(caller: Caller, route: Route, tokens: int = 10, nanos: int = 7, **teams: Team) -> list[tuple[str, int, int]]:
    found = gates.of(caller, route, teams, NOON)
    amounts = found.amounts(tokens, nanos)
    return [(gate.id, gate.limit, amount) for gate, amount in zip(found.each, amounts, strict=True)]


def test_no_limits() -> None:
    """Nothing that is limited means no gate."""

    assert [] == asked(caller(), route())


def test_every_rate_of_a_key() -> None:
    """A key's requests, tokens and concurrency are gates of the key."""
    limited = caller(rates=Rates(rpm=1, tpm=2, concurrent=3))

    assert [("requests:key:k1", 1, 1), ("tokens:key:k1", 2, 10), ("concurrent:key:k1", 3, 1)] == asked(limited, route())


def test_rates_of_a_model() -> None:
    """A model's rates are shared by all callers."""

    assert [("tokens:model:small", 5, 10)] == asked(caller(), route(rates=Rates(tpm=5)))


@pytest.mark.parametrize(("alias", "fits"), [("small", True), ("smaller", True), ("large", False)])
def test_rates_of_a_key_at_a_model(alias: str, fits: bool) -> None:
    """A key's rates for models hold for each model whose alias fits the pattern."""
    limited = caller(model_rates={"small*": Rates(rpm=5)})
    expected = [(f"requests:key-model:k1:small%2A:{alias}", 5, 1)] if fits else []

    assert expected == asked(limited, route(alias))


def test_rates_do_not_meet() -> None:
    """Names with colons in them do not make two callers share a limit."""
    first = Caller("a", "x", ("*",), model_rates={"b:*": Rates(rpm=1)})
    second = Caller("a:b", "y", ("*",), model_rates={"*": Rates(rpm=1)})

    assert asked(first, route("b:c")) != asked(second, route("c"))


def test_team() -> None:
    """A key of a team shares the team's rates and its budget."""
    team = Team(Rates(rpm=4), Budget("month", tokens=100))
    expected = [("requests:team:search", 4, 1), ("token_budget:team:search:2026-11", 100, 10)]

    assert expected == asked(caller(team="search"), route(), search=team)


def test_team_that_is_gone() -> None:
    """A team that the routing file no longer has limits nobody."""

    assert [] == asked(caller(team="search"), route())


def test_budget() -> None:
    """A budget in dollars is asked for the cost, one in tokens for the tokens."""
    limited = caller(budget=Budget("day", nanos=5, tokens=6))

    assert [("usd_budget:key:k1:2026-11-21", 5, 7), ("token_budget:key:k1:2026-11-21", 6, 10)] == asked(
        limited, route()
    )


@pytest.mark.parametrize(
    ("per", "period", "seconds"),
    [("day", "2026-11-21", 12 * 3600), ("week", "2026-W47", 36 * 3600), ("month", "2026-11", (9 * 24 + 12) * 3600)],
)
def test_periods(per: Any, period: str, seconds: float) -> None:
    """A period has a name, and ends when the next one begins."""
    budget = Budget(per)

    assert (period, NOON + seconds) == (budget.period(NOON), budget.ends(NOON))


def test_total_never_ends() -> None:
    """A budget for good has no next period."""
    budget = Budget("total")

    assert ("total", None) == (budget.period(NOON), budget.ends(NOON))


@given(st.floats(0, 4e9), st.sampled_from(["day", "week", "month"]))
def test_end_of_a_period(now: float, per: Any) -> None:
    """Until its end a period keeps its name, and from then on it has another."""
    budget = Budget(per)
    end = budget.ends(now) or 0.0

    assert now < end
    assert budget.period(now) == budget.period(end - 1e-3)
    assert budget.period(now) != budget.period(end)


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────


def only(*each: Gate) -> Gates:
    return Gates(each, math.inf)


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
    error = gates.refusal(only(gate), [400], [Standing(0, wait)])

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

    assert retry == gates.refusal(only(gate), [400], [Standing(0, wait)]).headers


def test_longest_wait() -> None:
    """Of two limits the one that takes longer is told: before that the other would not help."""
    error = gates.refusal(only(REQUESTS, TOKENS), [1, 400], [Standing(0, 5.0), Standing(0, 2.0)])

    assert "5000" == error.headers["retry-after-ms"]


def test_shadow() -> None:
    """A shadow limit refuses nothing, and is told apart."""
    shadow = Gate("requests", "key:k1", 60, shadow=True)
    standings = [Standing(0, 5.0)]

    assert ([], ["requests:key:k1"]) == (
        gates.refused(only(shadow), standings),
        gates.shadowed(only(shadow), standings),
    )


# ── headers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def told(each: Sequence[Gate], *lefts: float) -> dict[str, str]:
    headers = gates.headers(only(*each), [Standing(left) for left in lefts])
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
