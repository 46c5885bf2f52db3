"""Names become routes for those who may use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.auth import Caller
from gateway.dimensions import Dimensions
from gateway.errors import GatewayError, InvalidRequest, ModelNotFound
from gateway.routing import Route, Routes, Target
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
