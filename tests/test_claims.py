"""What a verified token claims becomes a caller, or a reason why not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import claims
from gateway.allowances import Rates
from gateway.auth import Caller, Refused
from gateway.claims import ClaimNames, Issuer

NOW = 1_000_000.0
ISSUER = Issuer("https://a.example.com/", frozenset({"gateway", "other"}), "https://a.example.com/keys", leeway=30.0)
TEAMS = {"search", "ads"}


def verdict(issuer: Issuer = ISSUER, **told: Any) -> Caller | Refused:
    usual = {"iss": issuer.name, "sub": "alice", "aud": "gateway", "exp": NOW + 60}
    return claims.caller({**usual, **told}, issuer, TEAMS, NOW)


def caller(issuer: Issuer = ISSUER, **told: Any) -> Caller:
    found = verdict(issuer, **told)
    assert isinstance(found, Caller)
    return found


def reason(**told: Any) -> str:
    found = verdict(**told)
    assert isinstance(found, Refused)
    return found.reason


# ── who it is ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_least() -> None:
    """A token that says no more than it must gives a caller who may use nothing, without limits of its own."""
    assert Caller("jwt:2d18863be8a2:alice", "alice", ()) == caller()


def test_identity() -> None:
    """The same subject of two issuers is two callers, and stays the same whatever else a token says."""
    elsewhere = replace(ISSUER, name="https://b.example.com/")
    ids = [caller().key_id, caller(gateway_models="m", name="Bob", jti="2").key_id, caller(elsewhere).key_id]

    assert (True, False) == (ids[0] == ids[1], ids[0] == ids[2])


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_identities_do_not_collide(first: str, second: str) -> None:
    """Two subjects of an issuer are one caller only if they are the same."""
    found = [verdict(sub=first), verdict(sub=second)]

    assert first == second or not all(isinstance(one, Caller) for one in found) or found[0] != found[1]


@pytest.mark.parametrize(
    "subject", [None, "", 1, ["alice"], {}, "x" * 256, "a\r\nx-evil: 1", "a\0", "\u202eecila", "a\u2028"]
)
def test_bad_subject(subject: object) -> None:
    """A subject that is missing, too long, or not printable on one line is refused."""
    assert "its `sub` is not 1 to 255 printable characters" == reason(sub=subject)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Alice", "Alice"),
        ("Ålice Æ", "Ålice Æ"),
        ("a\r\nset-cookie: x", "a??set-cookie: x"),
        ('"}\n{"level": "error"}', '"}?{"level": "error"}'),
        ("\x1b[31m`red`", "?[31m?red?"),
        ("\u202etxt.exe", "?txt.exe"),
        ("x" * 500, "x" * 100 + "…"),
        ("", "alice"),
        (None, "alice"),
        (["Alice"], "alice"),
        ({"a": {"b": 1}}, "alice"),
    ],
)
def test_name(name: object, expected: str) -> None:
    """What logs call the caller is short and on one line, and the subject where there is no name."""
    assert (
        expected == caller(replace(ISSUER, claims=ClaimNames(name="preferred_username")), preferred_username=name).name
    )


# ── when, and for whom ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("times", "accepted"),
    [
        ({"exp": NOW}, True),
        ({"exp": NOW - 29.9}, True),
        ({"exp": NOW - 30}, False),
        ({"exp": NOW - 86400}, False),
        ({"exp": 0}, False),
        ({"exp": -1}, False),
        ({"exp": int(NOW) + 1}, True),
        ({"nbf": NOW + 30}, True),
        ({"nbf": NOW + 30.1}, False),
        ({"nbf": NOW - 1000}, True),
        ({"nbf": None}, True),
        ({"iat": NOW + 30}, True),
        ({"iat": NOW + 31}, False),
        ({"iat": 0}, True),
    ],
)
def test_times(times: dict[str, Any], accepted: bool) -> None:
    """A token counts from its beginning to its end, give or take the leeway."""
    assert accepted == isinstance(verdict(**times), Caller)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["2000000", "", True, False, [], {}, math.inf, -math.inf, math.nan])
def test_no_time(claim: str, value: object) -> None:
    """What is no number is no time."""
    assert f"its `{claim}` is not a number of seconds" == reason(**{claim: value})


@pytest.mark.parametrize("told", [{"exp": None}])
def test_no_end(told: dict[str, Any]) -> None:
    """A token that never ends is refused."""
    assert "it has no `exp`, and a token must end some time" == reason(**told)


@pytest.mark.parametrize("audience", ["gateway", "other", ["x", "other"], ["gateway"], [1, None, "gateway"]])
def test_audience(audience: object) -> None:
    """One of the audiences is enough."""
    assert isinstance(verdict(aud=audience), Caller)


@pytest.mark.parametrize(
    "audience",
    [None, "", "Gateway", "gateway ", "gateway/", [], ["x"], [["gateway"]], {"gateway": 1}, 1, "gatewa", "*"],
)
def test_another_audience(audience: object) -> None:
    """A token for another audience, or for none, is refused."""
    assert "it is for another audience (`aud`)" == reason(aud=audience)


# ── what it may do ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["a", "b-*"], ("a", "b-*")),
        ("a b-*", ("a", "b-*")),
        ("a,b-*", ("a", "b-*")),
        (" a ,\tb-*\n", ("a", "b-*")),
        ("a", ("a",)),
        (["a b"], ("a b",)),
        ("", ()),
        ([], ()),
        ([""], ()),
        (None, ("fallback",)),
    ],
)
def test_models(told: object, expected: tuple[str, ...]) -> None:
    """Models are a list or a string; a token that names none may use none, and one without the claim the default's."""
    assert expected == caller(replace(ISSUER, models=("fallback",)), gateway_models=told).models


@pytest.mark.parametrize("told", [1, True, {}, {"a": 1}, [1], [None], [["a"]], ["a", 1]])
def test_no_models(told: object) -> None:
    """A models claim that cannot be understood refuses the token."""
    assert "its `gateway_models` is neither a list of models nor a string of them" == reason(gateway_models=told)


@pytest.mark.parametrize(("told", "expected"), [("ads", "ads"), (None, "search")])
def test_team(told: object, expected: str) -> None:
    """A token's team is its own, or else its issuer's."""
    assert expected == caller(replace(ISSUER, team="search"), gateway_team=told).team


@pytest.mark.parametrize("told", ["", "Ads", "unknown", 1, ["ads"], {}])
def test_unknown_team(told: object) -> None:
    """A team that is not there refuses the token, which would slip from every team's budget."""
    assert "its `gateway_team` is none of this gateway's teams" == reason(gateway_team=told)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"rpm": 5}, Rates(rpm=5)),
        ({"rpm": 5, "tpm": 6, "concurrent": 7}, Rates(5, 6, 7)),
        ({}, Rates()),
        (None, Rates(tpm=1000)),
    ],
)
def test_limits(told: object, expected: Rates) -> None:
    """A token's limits are its own, or else its issuer's."""
    assert expected == caller(replace(ISSUER, rates=Rates(tpm=1000)), gateway_limits=told).rates


@pytest.mark.parametrize(
    "told",
    [1, "rpm=5", [], {"rpm": 0}, {"rpm": -1}, {"rpm": "5"}, {"rpm": 5.0}, {"rpm": True}, {"shadow": True}, {"rpd": 1}],
)
def test_no_limits(told: object) -> None:
    """Limits that cannot be understood refuse the token."""
    assert reason(gateway_limits=told).startswith("its `gateway_limits` is not an object of `rpm`")


def test_other_names() -> None:
    """The claims may have any names."""
    names = ClaimNames("email", "https://example.com/models", "group", "quota")
    told = {"email": "a@b", "https://example.com/models": "m", "group": "ads", "quota": {"rpm": 1}}
    found = caller(replace(ISSUER, claims=names), **told)

    assert ("a@b", ("m",), "ads", Rates(rpm=1)) == (found.name, found.models, found.team, found.rates)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
CLAIMS = ("sub", "aud", "exp", "nbf", "iat", "gateway_models", "gateway_team", "gateway_limits", "name")


@given(st.dictionaries(st.sampled_from(CLAIMS), JSON))
def test_anything(told: dict[str, Any]) -> None:
    """Whatever a token claims, it is accepted or refused for a reason on one line."""
    found = verdict(**told)

    assert isinstance(found, Caller) or found.reason.isprintable()
