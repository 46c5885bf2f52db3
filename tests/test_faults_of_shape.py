"""What pydantic finds, in our words."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gateway import model_shape, schema
from gateway.document import Path, written
from gateway.faults_of_shape import read

TARGET = {"provider": "openai"}
MODEL = {"targets": [TARGET]}
KEY = {"name": "ci", "sha256": "0" * 64}


def faults(value: object, shape: type[BaseModel] = schema.FileShape) -> list[tuple[Path, str]]:
    try:
        shape.model_validate(value)
    except ValidationError as error:
        return list(read(error, shape))
    return []


def said(value: object, shape: type[BaseModel] = schema.FileShape) -> dict[str, str]:
    """Each fault's place with its sentence."""
    return {written(path): sentence for path, sentence in faults(value, shape)}


def target(**keys: object) -> dict[str, Any]:
    return {"targets": [TARGET | keys]}


@pytest.mark.parametrize(
    ("value", "place", "sentence"),
    [
        ({"auth": {"keys": [{"name": "a"}]}}, "auth.keys[0].sha256", "is missing"),
        ({"server": {"host": 5}}, "server.host", "must be a string; put quotes around it"),
        ({"auth": {"keys": [KEY | {"name": ""}]}}, "auth.keys[0].name", "must have at least 1 characters"),
        ({"auth": {"keys": [KEY | {"name": "x" * 101}]}}, "auth.keys[0].name", "must have at most 100 characters"),
        ({"server": {"port": []}}, "server.port", "must be a whole number"),
        ({"server": {"port": "http"}}, "server.port", "must be a whole number"),
        ({"server": {"port": 80.5}}, "server.port", "must be a whole number"),
        ({"server": {"port": float("inf")}}, "server.port", "must be a whole number"),
        ({"server": {"port": "9" * 5000}}, "server.port", "must be a whole number"),
        ({"server": {"port": -1}}, "server.port", "must be at least 0"),
        ({"server": {"port": 65536}}, "server.port", "must be at most 65535"),
        ({"server": {"expose_targets": {}}}, "server.expose_targets", "must be true or false"),
        ({"server": {"expose_targets": "perhaps"}}, "server.expose_targets", "must be true or false"),
        ({"server": {"cors_origins": "*"}}, "server.cors_origins", "must be a list"),
        ({"server": []}, "server", "must be a mapping"),
        (
            {"auth": {"keys": [KEY | {"expires": "2027-13-01"}]}},
            "auth.keys[0].expires",
            "must be a date like 2027-01-31",
        ),
        ({"auth": {"keys": [KEY | {"expires": [1]}]}}, "auth.keys[0].expires", "must be a date like 2027-01-31"),
        ({"auth": {"keys": [KEY | {"expires": 2027}]}}, "auth.keys[0].expires", "must be a date like 2027-01-31"),
        (
            {"server": {"timeout": 20}},
            "server.timeout",
            "must be a number with a unit, like 20s; units are ms, s, m, h, d",
        ),
    ],
)
def test_sentences(value: object, place: str, sentence: str) -> None:
    """Each kind of fault has its place with its sentence."""
    actual = said(value)

    assert {place: sentence} == actual


@pytest.mark.parametrize(
    ("value", "place", "sentence"),
    [
        ({"targets": []}, "targets", "must hold at least 1"),
        ({"targets": ["openai"]}, "targets[0]", "must be a mapping"),
        (MODEL | {"prompts": ["q"]}, "prompts", "must be a mapping"),
        (MODEL | {"prompts": {"query": "q"}}, "prompts.query", "must hold `{text}` exactly once, where the input goes"),
        (MODEL | {"prompts": {"query": 1}}, "prompts.query", "must be a string; put quotes around it"),
        (MODEL | {"client_tokens": "p50k"}, "client_tokens", "must be 'cl100k_base' or 'reject'"),
        (MODEL | {"client_extra": "some"}, "client_extra", "must be 'any' or 'none'"),
        (MODEL | {"space": b"\xff"}, "space", "must be a string; put quotes around it"),
        (target(weight="heavy"), "targets[0].weight", "must be a number"),
        (target(weight=[]), "targets[0].weight", "must be a number"),
        (target(weight=0), "targets[0].weight", "must be more than 0.0"),
        (target(name="a b"), "targets[0].name", "must match ^[A-Za-z0-9._:/-]{1,100}$"),
        (target(headers={"a b": "x"}), "targets[0].headers.'a b'", "must be a header name"),
        (target(headers={"date": 1}), "targets[0].headers.date", "must be a string; put quotes around it"),
        (target(headers={"expires": 1}), "targets[0].headers.expires", "must be a string; put quotes around it"),
        (target(headers={"list[x]": "v"}), "targets[0].headers.'list[x]'", "must be a header name"),
        (target(credentials="S3cret"), "targets[0].credentials", "must be a mapping"),
        (target(credentials={"api_key": "S3cret"}), "targets[0].credentials", "its `kind` is missing"),
        (
            target(credentials={"kind": "S3cret"}),
            "targets[0].credentials",
            "its `kind` must be one of 'google', 'ibm', 'entra', 'aws'",
        ),
        (
            target(credentials={"kind": "google"}),
            "targets[0].credentials.service_account_file",
            "is missing",
        ),
        (
            target(credentials={"kind": "ibm", "token_url": "S3cret"}),
            "targets[0].credentials.token_url",
            "must be an http:// or https:// URL without credentials, query or fragment",
        ),
    ],
)
def test_sentences_about_a_model(value: object, place: str, sentence: str) -> None:
    """Each kind of fault of a model has its place with its sentence."""
    actual = said(value, model_shape.ModelShape)

    assert {place: sentence} == actual


def test_every_fault() -> None:
    """All faults are told at once."""
    actual = said({"server": {"port": "x", "drain": 1, "hosts": 1}, "state": 5, "auth": {"keys": [{}, KEY]}})

    assert {
        "server.port",
        "server.drain",
        "server.hosts",
        "state",
        "auth.keys[0].name",
        "auth.keys[0].sha256",
    } == set(actual)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MODEL | {"client_extra": 5}, {"client_extra"}),
        (MODEL | {"client_extra": ["a", 1]}, {"client_extra", "client_extra[1]"}),
    ],
)
def test_alternatives(value: object, expected: set[str]) -> None:
    """A key with alternatives has one fault for each place, without the alternatives' names."""
    actual = [written(path) for path, _ in faults(value, model_shape.ModelShape)]

    assert sorted(expected) == sorted(actual)


@pytest.mark.parametrize(
    ("value", "place", "meant"),
    [
        ({"sever": {}}, "sever", "server"),
        ({"server": {"prot": 1}}, "server.prot", "port"),
        ({"server": {"Timeout": 1}}, "server.Timeout", "timeout"),
        ({"auth": {"keys": [KEY | {"expire": 1}]}}, "auth.keys[0].expire", "expires"),
        ({"models": {"m": MODEL | {"target": []}}}, "models.m.target", "targets"),
        ({"models": {"m": target(api_ky=1)}}, "models.m.targets[0].api_ky", "api_key"),
        ({"models": {"m": MODEL | {"limits": {"input": 1}}}}, "models.m.limits.input", "inputs"),
        (
            {"models": {"m": target(credentials={"kind": "ibm", "apikey": "S3cret"})}},
            "models.m.targets[0].credentials.apikey",
            "api_key",
        ),
        ({"models": {"m": MODEL | {"dimensions": {"nativ": 1}}}}, "models.m.dimensions.nativ", "native"),
    ],
)
def test_near_misses(value: object, place: str, meant: str) -> None:
    """An unknown key that resembles a known one of the same place gets a hint."""
    actual = said(value)

    assert {place: f"unknown key; did you mean `{meant}`?"} == actual


STATE = "`url`, `password_file`, `ca_file`, `on_state_loss`, `allow_unshared`"
OF_KEYS = "`models`, `team`, `limits`, `model_limits`, `budget`, `priority`, `cache`, `name`, `sha256`, `expires`"


@pytest.mark.parametrize(
    ("value", "place", "known"),
    [
        ({"quux": {}}, "quux", "`server`, `state`, `cache`, `auth`, `tracing`, `teams`, `models`"),
        ({"state": {"redis": 1}}, "state.redis", STATE),
        ({"state": {"redis:x": 1}}, "state.redis:x", STATE),
        ({"auth": {"keys": [KEY | {"date": 1}]}}, "auth.keys[0].date", OF_KEYS),
        ({"auth": {"keys": [KEY | {"datetime": 1}]}}, "auth.keys[0].datetime", OF_KEYS),
        (
            {"models": {"m": target(credentials={"kind": "google", "service_account_file": "f", "url": "x"})}},
            "models.m.targets[0].credentials.url",
            "`kind`, `service_account_file`",
        ),
    ],
)
def test_unknown_keys(value: object, place: str, known: str) -> None:
    """An unknown key that resembles none gets the list of the known ones."""
    actual = said(value)

    assert {place: f"unknown key; known here are {known}"} == actual


def test_forgotten_blank() -> None:
    """A key with its value in one word is the key without a blank behind its colon."""
    actual = said({"name:ci": None, "sha256": "0" * 64}, schema.KeyShape)

    assert {"name": "its colon needs a blank behind it"} == actual


@pytest.mark.parametrize(
    "keys",
    [{"api_key:S3cret": None}, {"credentials": {"kind": "ibm", "api_key:S3cret": None}}],
    ids=["key", "credentials"],
)
def test_forgotten_blank_before_a_secret(keys: dict[str, Any]) -> None:
    """A secret that YAML took for a part of its key is not repeated."""
    actual = repr(said(target(**keys), model_shape.ModelShape))

    assert ("S3cret" in actual, "its colon needs a blank" in actual) == (False, True)


# Anything that YAML can hold.
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.just("9" * 5000)
    | st.binary(max_size=4)
    | st.dates()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FULL: dict[str, Any] = {
    "server": dict.fromkeys(schema.ServerShape.model_fields),
    "state": {"url": None},
    "auth": {"keys": [dict.fromkeys(schema.KeyShape.model_fields)]},
    "models": {
        "m": dict.fromkeys(model_shape.ModelShape.model_fields)
        | {
            "dimensions": dict.fromkeys(model_shape.DimensionsShape.model_fields),
            "limits": dict.fromkeys(model_shape.LimitsShape.model_fields),
            "targets": [dict.fromkeys(model_shape.TargetShape.model_fields)],
            "prompts": {"query": None},
        }
    },
}


def leaves(value: object, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


def nested(path: Path, value: object) -> Any:
    """The value within as many mappings and lists as its path names."""
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def leads_into(value: Any, path: Path) -> bool:
    """Whether the path exists in the value; what is missing from a mapping may be its last step."""
    for place, step in enumerate(path):
        if isinstance(value, dict) and isinstance(step, str) and (step in value or place == len(path) - 1):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return False
    return True


PLACES = list(leaves(FULL))


@given(st.sampled_from(PLACES), ANYTHING)
@settings(max_examples=500)
def test_every_fault_has_its_sentence(path: Path, value: object) -> None:
    """Whatever stands anywhere, each fault says what is wanted there."""
    actual = {sentence for _, sentence in faults(nested(path, value))}

    assert "is not of the right kind" not in actual


@given(st.sampled_from(PLACES), ANYTHING)
@settings(max_examples=500)
def test_places_exist(path: Path, value: object) -> None:
    """Whatever stands anywhere, each fault's path leads into the file."""
    whole = nested(path, value)

    assert [] == [place for place, _ in faults(whole) if not leads_into(whole, place)]


@pytest.mark.parametrize("path", PLACES, ids=written)
@pytest.mark.parametrize(
    "value",
    ["S3cret ", ["S3cret "], {"a b": "S3cret "}, b"S3cret\xff", {"a": datetime.date(2027, 1, 31), "b": "S3cret"}],
)
def test_values_are_not_repeated(path: Path, value: object) -> None:
    """No fault of any key quotes the value."""
    actual = repr(faults(nested(path, value)))

    assert "S3cret" not in actual
