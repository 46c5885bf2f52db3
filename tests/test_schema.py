"""The shape of the routing file."""

from __future__ import annotations

import datetime
import json
import pathlib
import re
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

import gateway
from gateway import access_shape, credential_shape, identity_shape, model_shape, schema
from providers import PROVIDERS

TARGET = {"provider": "openai"}
SHAPES: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (schema.FileShape, {}),
    (schema.ServerShape, {}),
    (schema.StateShape, {}),
    (schema.AuthShape, {}),
    (schema.KeyShape, {"name": "ci", "sha256": "0" * 64}),
    (identity_shape.JwtShape, {"issuer": "https://i", "audience": "a", "jwks_url": "https://i/k"}),
    (identity_shape.ClaimsShape, {}),
    (model_shape.ModelShape, {"targets": [TARGET]}),
    (model_shape.DimensionsShape, {}),
    (model_shape.LimitsShape, {}),
    (model_shape.RatesShape, {}),
    (model_shape.ModelLimitsShape, {}),
    (model_shape.PriceShape, {"input": 1}),
    (access_shape.BudgetShape, {"per": "day"}),
    (access_shape.TeamShape, {}),
    (model_shape.BatchShape, {}),
    (model_shape.Facts, {}),
    (model_shape.CatalogFacts, {}),
    (model_shape.TargetShape, TARGET),
    (credential_shape.GoogleShape, {"kind": "google", "service_account_file": "sa.json"}),
    (credential_shape.IbmShape, {"kind": "ibm"}),
    (credential_shape.EntraShape, {"kind": "entra", "tenant": "acme.com", "client_id": "app-1"}),
    (credential_shape.AwsShape, {"kind": "aws", "access_key_id": "AKID"}),
]


NOT_DEFINED = (schema.FileShape, model_shape.Facts, model_shape.CatalogFacts, model_shape.LimitsShape)
"""What the schema for editors has no definition of: its top, and what only the catalogue says."""


def definition(name: str) -> dict[str, Any]:
    found: dict[str, Any] = schema.json_schema()["$defs"][name]["properties"]
    return found


def accepts(shape: type[BaseModel], value: dict[str, Any]) -> bool:
    try:
        shape.model_validate(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(("shape", "least"), SHAPES)
def test_least(shape: type[BaseModel], least: dict[str, Any]) -> None:
    """Only what nothing can stand in for is required."""
    actual = {name for name, field in shape.model_fields.items() if field.is_required()}

    assert set(least) == actual


@pytest.mark.parametrize(("shape", "least"), SHAPES)
def test_unknown_keys(shape: type[BaseModel], least: dict[str, Any]) -> None:
    """A key that nobody reads is refused."""
    actual = accepts(shape, {**least, "unknown": 1})

    assert not actual


@pytest.mark.parametrize(("shape", "least"), SHAPES)
def test_frozen(shape: type[BaseModel], least: dict[str, Any]) -> None:
    """A shape does not change once it is read."""
    made = shape.model_validate(least)

    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, next(iter(shape.model_fields)), None)


@pytest.mark.parametrize(
    ("key", "least", "most", "step"),
    [
        ("server.port", 0, 65535, 1),
        ("server.workers", 1, 64, 1),
        ("models.m.limits.inputs", 1, 2048, 1),
        ("models.m.limits.input_tokens", 1, None, 1),
        ("models.m.limits.request_tokens", 1, None, 1),
        ("models.m.dimensions.native", 1, None, 1),
        ("models.m.dimensions.min", 1, None, 1),
        ("models.m.targets.max_concurrency", 1, 10_000, 1),
        ("models.m.targets.batch.inputs", 1, None, 1),
        ("models.m.targets.batch.tokens", 1, None, 1),
        ("models.m.targets.weight", 0.001, 1_000_000, 0.001),
    ],
)
def test_ranges(key: str, least: float, most: float | None, step: float) -> None:
    """A number is accepted within its range, from edge to edge."""

    def fits(number: float) -> bool:
        value: Any = number
        for name in reversed(key.split(".")):
            value = {name: [TARGET | value] if name == "targets" else value}
            if name == "m":
                value["m"].setdefault("targets", [TARGET])
        return accepts(schema.FileShape, value)

    inside = [least] if most is None else [least, most]
    outside = [least - step] if most is None else [least - step, most + step, float("inf")]

    assert ([True] * len(inside), [False] * len(outside)) == (list(map(fits, inside)), list(map(fits, outside)))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("region", "europe-west4", True),
        ("region", "", False),
        ("region", "eu/west", False),
        ("region", "evil.example.com", False),
        ("project", "example.com:my-project_1", True),
        ("project", "", False),
        ("project", "a/b", False),
        ("project", "a?b", False),
        ("api_version", "2024-10-21", True),
        ("api_version", "v1beta1", True),
        ("api_version", "", False),
        ("api_version", "1&x=1", False),
        ("api_version", datetime.date(2024, 10, 21), False),
        ("batch", {"inputs": 32, "tokens": 8000, "bytes": "2MiB"}, True),
        ("batch", {"input_tokens": 1}, False),
        ("input_types", ["query"], False),
    ],
)
def test_target_keys(key: str, value: object, expected: bool) -> None:
    """What becomes part of an address has only characters that change nothing else there."""
    actual = accepts(model_shape.TargetShape, {**TARGET, key: value})

    assert expected is actual


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key", "S3cret"),
        ("proxy", "http://user:S3cret@proxy:3128"),
        ("headers", {"X-Token": "S3cret"}),
        ("credentials", {"kind": "ibm", "api_key": "S3cret"}),
        ("credentials", {"kind": "entra", "tenant": "t", "client_id": "c", "client_secret": "S3cret"}),
        ("credentials", {"kind": "aws", "access_key_id": "A", "secret_access_key": "S3cret"}),
        ("credentials", {"kind": "aws", "access_key_id": "A", "session_token": "S3cret"}),
    ],
)
def test_secrets_hide(field: str, value: object) -> None:
    """A target's shape does not show its secrets."""
    shape = model_shape.TargetShape.model_validate({**TARGET, field: value})

    assert "S3cret" not in f"{shape!r} {shape} {shape.model_dump_json()}"


# ── for editors ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_file() -> None:
    """The schema that lies in the package is the one that the code gives."""
    file = pathlib.Path(gateway.__file__).with_name("schema.json")

    assert schema.json_schema() == json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("shape", [shape for shape, _ in SHAPES if shape not in NOT_DEFINED])
def test_every_key_is_described(shape: type[BaseModel]) -> None:
    """An editor shows what each key is for."""
    keys = definition(shape.__name__)
    silent = {key for key, of_it in keys.items() if not of_it.get("description") and "$ref" not in of_it}

    assert set() == silent


@pytest.mark.parametrize(
    ("shape", "key", "kind"),
    [
        ("ServerShape", "port", "integer"),
        ("ServerShape", "expose_targets", "boolean"),
        ("ServerShape", "max_body", "string"),
        ("TargetShape", "weight", "number"),
    ],
)
def test_references_are_allowed(shape: str, key: str, kind: str) -> None:
    """An editor accepts a reference wherever a number, a switch or a text of some form stands."""
    own, reference = definition(shape)[key]["anyOf"]

    assert (kind, {"type": "string", "pattern": r"\$\{.+\}"}) == (own["type"], reference)


def test_providers_are_listed() -> None:
    """An editor offers every provider."""
    own = definition("TargetShape")["provider"]["anyOf"][0]["anyOf"][0]

    assert sorted(PROVIDERS) == own["enum"]


@pytest.mark.parametrize("name", ["acme:ACME", "acme.embeddings.v2:_a1"])
def test_providers_from_outside(name: str) -> None:
    """An editor accepts a provider from outside."""
    own = definition("TargetShape")["provider"]["anyOf"][1]["anyOf"][0]

    assert re.match(own["pattern"], name)


@pytest.mark.parametrize("word", ["writeOnly", '"format"'])
def test_editors_are_not_confused(word: str) -> None:
    """A secret, which stands in the file as a text, is nothing else to an editor."""
    actual = json.dumps(schema.json_schema())

    assert word not in actual
