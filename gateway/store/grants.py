"""A key's grant as JSON and back: how every home keeps it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from gateway.allowances import Budget, Grant, Rates


def write(grant: Grant) -> str:
    """Only what differs from an empty grant."""
    empty = Grant()
    given = {field.name: getattr(grant, field.name) for field in dataclasses.fields(Grant)}
    told = {name: value for name, value in given.items() if value != getattr(empty, name)}
    return json.dumps(told, default=_plain, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Rates | Budget):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return dict(value)


def read(text: str) -> dict[str, Any]:
    """The arguments of a `Grant`. Fields that this version does not know are left out, at every depth."""
    grant = _known(Grant, json.loads(text))
    if "rates" in grant:
        grant["rates"] = Rates(**_known(Rates, grant["rates"]))
    if "model_rates" in grant:
        grant["model_rates"] = {name: Rates(**_known(Rates, rates)) for name, rates in grant["model_rates"].items()}
    if grant.get("budget") is not None:
        grant["budget"] = Budget(**_known(Budget, grant["budget"]))
    return grant


def _known(kind: type[Grant | Rates | Budget], told: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in told.items() if name in names}
