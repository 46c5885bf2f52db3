"""Names become routes for those who may use them, and targets come in a fair order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import Caller
from gateway.dimensions import Dimensions
from gateway.errors import GatewayError, InvalidRequest, ModelNotFound
from gateway.routing import Route, Routes, Target, in_order
from providers.base import InputType
from tests.fakes.backends import FakeBackend

ANYONE = Caller("k1", "anyone", ("*",))
ROLES: list[InputType] = ["query", "document"]


def route(alias: str, **fields: Any) -> Route:
    return Route(alias, space=f"space/{alias}", dimensions=Dimensions(8), targets=[target(alias)], **fields)


def target(name: str, weight: float = 1.0, priority: int = 0) -> Target:
    return Target(name, "openai", "small", FakeBackend(), priority=priority, weight=weight)


def only(*models: str) -> Caller:
    return Caller("k2", "only", models)


SMALL = route("small", aliases=["ada", "team/small"])
BGE = route("bge")
BGE_567M = route("bge:567m")
TAGGED = route("tagged:query")
ROUTES = Routes([SMALL, BGE, BGE_567M, TAGGED])


def refusal_of(refused: Callable[[], object]) -> tuple[type[GatewayError], str, str | None]:
    with pytest.raises(GatewayError) as caught:
        refused()
    return type(caught.value), caught.value.message, caught.value.param


# ── names ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("small", (SMALL, None)),
        ("ada", (SMALL, None)),
        ("team/small", (SMALL, None)),
        ("bge", (BGE, None)),
        ("bge:567m", (BGE_567M, None)),
        ("small:query", (SMALL, "query")),
        ("small:document", (SMALL, "document")),
        ("ada:query", (SMALL, "query")),
        ("bge:567m:document", (BGE_567M, "document")),
        ("tagged:query", (TAGGED, None)),
        ("tagged:query:query", (TAGGED, "query")),
    ],
)
def test_find(name: str, expected: tuple[Route, InputType | None]) -> None:
    """A route is found by each of its names; one that fixes the input type is tried only when no name is exact."""
    assert expected == ROUTES.find(name, ANYONE)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nope",
        "Small",
        " small",
        "small:",
        ":query",
        "small:clustering",
        "small:QUERY",
        "small:query:document",
        "small:document:query",
        "tagged",
        "tagged:document",
    ],
)
def test_unknown(name: str) -> None:
    """A name that nobody has is not found."""
    with pytest.raises(ModelNotFound):
        ROUTES.find(name, ANYONE)


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("small", "clustering", "clustering"),
        ("small:query", None, "query"),
        ("small:query", "query", "query"),
        ("tagged:query", "document", "document"),
    ],
)
def test_input_type(name: str, asked: InputType | None, expected: InputType) -> None:
    """The input type is the one that the name fixes, or else the one asked for."""
    assert expected == ROUTES.find(name, ANYONE, asked)[1]


@pytest.mark.parametrize(("name", "asked"), [("small:query", "document"), ("ada:document", "query")])
def test_input_type_conflict(name: str, asked: InputType) -> None:
    """An input type other than the one that the name fixes is refused, both being named."""
    fixed = name.partition(":")[2]

    assert (
        InvalidRequest,
        f"The model's name fixes the input type to `{fixed}`, and `input_type` says `{asked}`. Send one of them.",
        "input_type",
    ) == refusal_of(lambda: ROUTES.find(name, ANYONE, asked))


# ── permission ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (("small",), "small"),
        (("small",), "ada"),
        (("small",), "small:query"),
        (("small",), "ada:document"),
        (("ada",), "ada"),
        (("ada",), "ada:query"),
        (("team/*",), "team/small"),
        (("bge", "sm*"), "small"),
        (("tagged:query",), "tagged:query"),
    ],
)
def test_allowed(models: tuple[str, ...], name: str) -> None:
    """Permission for a route, or for the name that is asked for, is enough for that name, whatever role it fixes."""
    ROUTES.find(name, only(*models))


@pytest.mark.parametrize(
    ("models", "name"),
    [
        ((), "small"),
        (("bge",), "small"),
        (("ada",), "small"),
        (("ada",), "team/small"),
        (("small:query",), "small:query"),
        (("*:query",), "small:query"),
        (("bge",), "bge:567m"),
        (("Small",), "small"),
    ],
)
def test_forbidden(models: tuple[str, ...], name: str) -> None:
    """A name that the caller may not use is not found; permission is the base name's, not its roles'."""
    with pytest.raises(ModelNotFound):
        ROUTES.find(name, only(*models))


@pytest.mark.parametrize(("suffix", "asked"), [("", None), (":query", None), (":query", "document")])
def test_forbidden_looks_like_unknown(suffix: str, asked: InputType | None) -> None:
    """A name that the caller may not use gives the very error of one that does not exist."""
    unknown = refusal_of(lambda: Routes([BGE]).find(f"small{suffix}", only("bge"), asked))

    assert unknown == refusal_of(lambda: ROUTES.find(f"small{suffix}", only("bge"), asked))


def test_the_name_asked_is_told() -> None:
    """The error tells the name as it was asked for, on one line."""
    expected = (
        "The model `no?pe:query` does not exist here, or this key may not use it. "
        "`GET /v1/models` lists the models that it may use."
    )

    assert (ModelNotFound, expected, None) == refusal_of(lambda: ROUTES.find("no\npe:query", ANYONE))


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("*",), ["small", "ada", "team/small", "bge", "bge:567m", "tagged:query"]),
        (("small",), ["small", "ada", "team/small"]),
        (("ada",), ["ada"]),
        (("bge*",), ["bge", "bge:567m"]),
        ((), []),
    ],
)
def test_visible_to(models: tuple[str, ...], expected: list[str]) -> None:
    """A caller sees the names that it may use, in the order of the configuration, and no roles."""
    assert expected == [name for name, _ in ROUTES.visible_to(only(*models))]


def test_visible_is_usable() -> None:
    """A name that is seen leads to the route that it is seen with."""
    caller = only("ada", "bge")
    seen = ROUTES.visible_to(caller)

    assert seen == [(name, ROUTES.find(name, caller)[0]) for name, _ in seen]


def test_every_route_once() -> None:
    """Routes are gone through once each, however many names they have."""
    assert [SMALL, BGE, BGE_567M, TAGGED] == list(ROUTES)


# ── roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        ({}, None, None),
        ({}, "query", None),
        ({"input_types": ROLES}, None, None),
        ({"input_types": ROLES}, "query", "query"),
        ({"input_types": ROLES, "default_input_type": "document"}, None, "document"),
        ({"input_types": ROLES, "default_input_type": "document"}, "query", "query"),
    ],
)
def test_role(fields: dict[str, Any], asked: InputType | None, expected: InputType | None) -> None:
    """A route without input types ignores what is asked for; one that has some uses it, or else its default."""
    assert expected == route("m", **fields).role(asked)


def test_unknown_role() -> None:
    """An input type that a route does not have is refused, with those that it has."""
    expected = "This model knows the input types `query`, `document`; it has no `clustering`."

    assert (InvalidRequest, expected, "input_type") == refusal_of(
        lambda: route("m", input_types=ROLES).role("clustering")
    )


# ── further fields ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("client_extra", "extra"),
    [("any", {}), ("any", {"seed": 1, "zone": {}}), ("none", {}), (["seed", "zone"], {"zone": 1}), ([], {})],
)
def test_extra_allowed(client_extra: str | Sequence[str], extra: dict[str, object]) -> None:
    """A route lets through any further field, none, or those on its list."""
    route("m", client_extra=client_extra, owned=frozenset({"input"})).check_extra(extra)


@pytest.mark.parametrize(
    ("client_extra", "hint"),
    [
        ("none", "It takes no fields besides OpenAI's own."),
        ([], "It takes no fields besides OpenAI's own."),
        (["seed", "zone"], "Besides OpenAI's own it takes `seed`, `zone`."),
    ],
)
def test_extra_refused(client_extra: str | Sequence[str], hint: str) -> None:
    """A further field that a route does not take is refused, with those that it takes."""
    expected = (InvalidRequest, f"`colour` is not a field that this model takes. {hint}", "colour")
    model = route("m", client_extra=client_extra)

    assert expected == refusal_of(lambda: model.check_extra({"colour": "red"}))


@pytest.mark.parametrize("client_extra", ["any", "none", ["truncate"]], ids=str)
def test_owned_refused(client_extra: str | Sequence[str]) -> None:
    """A field that the gateway itself sets is refused, even on a list of those that clients may send."""
    model = route("m", client_extra=client_extra, owned=frozenset({"truncate"}))
    expected = (
        "`truncate` cannot be set through `extra_body` or as an extra field: the gateway sets it, "
        "because it decides which vectors come back."
    )

    assert (InvalidRequest, expected, "truncate") == refusal_of(lambda: model.check_extra({"truncate": "END"}))


# ── the order of targets ──────────────────────────────────────────────────────────────────────────────────────────


def names(targets: Sequence[Target]) -> list[str]:
    return [target.name for target in targets]


def following(*numbers: float) -> Callable[[], float]:
    """A source of randomness that gives these numbers."""
    coming: Iterator[float] = iter(numbers)
    return lambda: next(coming)


TARGETS = st.lists(
    st.builds(
        Target,
        st.text(max_size=2),
        st.just("openai"),
        st.just("small"),
        st.builds(FakeBackend),
        priority=st.integers(-2, 2),
        weight=st.floats(1e-300, 1e300),
    ),
    max_size=6,
)


@given(TARGETS, st.randoms(use_true_random=False))
def test_each_target_once(targets: list[Target], source: random.Random) -> None:
    """Every target is in the order exactly once."""
    assert sorted(map(id, targets)) == sorted(map(id, in_order(targets, source.random)))


@given(TARGETS, st.randoms(use_true_random=False))
def test_priority_first(targets: list[Target], source: random.Random) -> None:
    """A target of a lower number stands before those of higher ones, whatever their weights."""
    priorities = [target.priority for target in in_order(targets, source.random)]

    assert sorted(priorities) == priorities


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((0.1, 0.9), ["a", "b"]), ((0.9, 0.1), ["b", "a"]), ((0.0, 0.5), ["a", "b"]), ((0.5, 0.0), ["b", "a"])],
)
def test_chance_decides(numbers: tuple[float, float], expected: list[str]) -> None:
    """Among targets alike, chance alone decides."""
    assert expected == names(in_order([target("a"), target("b")], following(*numbers)))


@pytest.mark.parametrize(
    "weights",
    [(1.0, 1.0), (3.0, 1.0), (0.003, 0.001), (3e-9, 1e-9), (3e9, 1e9), (1.0, 2.0, 5.0)],
    ids=str,
)
def test_weights_are_shares(weights: tuple[float, ...]) -> None:
    """The first place is shared in proportion to the weights, whatever their size."""
    source = random.Random(20261021)  # noqa: S311 (a test wants the same numbers every time)
    targets = [target(str(place), weight) for place, weight in enumerate(weights)]
    firsts = Counter(in_order(targets, source.random)[0].name for _ in range(4000))

    assert [pytest.approx(weight / sum(weights), abs=0.03) for weight in weights] == [
        firsts[str(place)] / 4000 for place in range(len(weights))
    ]


def test_weights_share_the_second_place() -> None:
    """Once the first is out, the rest share the next place by their weights, too."""
    source = random.Random(7)  # noqa: S311 (as above)
    targets = [target("a", 8), target("b", 3), target("c", 1)]
    orders = [names(in_order(targets, source.random)) for _ in range(4000)]
    after_a = [order[1] for order in orders if order[0] == "a"]

    assert pytest.approx(0.75, abs=0.03) == after_a.count("b") / len(after_a)
