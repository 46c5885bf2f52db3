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
    """The arguments of a `Grant`. Fields that this version does not know are left out."""
    told: dict[str, Any] = json.loads(text)
    known = {field.name for field in dataclasses.fields(Grant)}
    grant = {name: value for name, value in told.items() if name in known}
    if "rates" in grant:
        grant["rates"] = Rates(**grant["rates"])
    if "model_rates" in grant:
        grant["model_rates"] = {pattern: Rates(**rates) for pattern, rates in grant["model_rates"].items()}
    if grant.get("budget") is not None:
        grant["budget"] = Budget(**grant["budget"])
    return grant
