"""Which limits a request has to pass, and whether it has room in them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import gates
from gateway.allowances import Budget, Rates, Team
from gateway.auth import Caller
from gateway.dimensions import Dimensions
from gateway.gates import Gate, Gates, Standings
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


def only(*each: Gate) -> Gates:
    return Gates(each, math.inf)


def test_shadow() -> None:
    """A shadow limit refuses nothing, and is told apart."""
    shadow = Gate("requests", "key:k1", 60, shadow=True)
    standings = Standings([0], [5.0])

    assert ([], ["requests:key:k1"]) == (
        gates.refused(only(shadow), standings),
        gates.shadowed(only(shadow), standings),
    )


@pytest.mark.parametrize(("tokens", "nanos", "has_room"), [(1, 5, True), (2, 5, False), (1, 6, False), (0, 0, True)])
def test_room(tokens: int, nanos: int, has_room: bool) -> None:
    """There is room where every limit of tokens and money had a thousand times as much left; a request is no token."""
    gates_ = only(
        Gate("concurrent", "key:a", 2), Gate("tokens", "key:a", 9999), Gate("usd_budget", "key:a:total", 9999)
    )
    unknown = gates_.has_room(0, 0)
    gates_.lefts = [0, 1999, 5999]

    assert (False, has_room) == (unknown, gates_.has_room(tokens, nanos))
