"""What an operator wishes of a key becomes the values of its record. It keeps nothing."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Mapping
from typing import Any, Final

from pydantic import ValidationError

from gateway import access_rules, faults_of_shape
from gateway.access_shape import KeyWish
from gateway.allowances import NANOS
from gateway.auth import KeyRecord
from gateway.inputs import quoted
from gateway.quantities import seconds
from providers import codec

LONGEST_SECONDS: Final = 100 * 365 * 86400.0
_FIELDS: Final = {"limits": "rates", "model_limits": "model_rates"}
"""What wishes call otherwise than records."""


class KeyRefused(Exception):
    """A wish about keys that cannot be met; the message says why, and `field` which of its fields is at fault."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def shaped(wish: object) -> KeyWish:
    """A wish as it was sent, in its shape. Raises KeyRefused, which names the field."""
    try:
        return KeyWish.model_validate(wish, strict=True)  # neither `true` nor "5" is a number
    except ValidationError as error:
        place, sentence = next(faults_of_shape.read(error, KeyWish))
        name = quoted(".".join(map(str, place)))
        raise KeyRefused(f"`{name}` {sentence}." if name else f"A key {sentence}.", name or None) from None


def wanted(wish: KeyWish, teams: Collection[str], now: float) -> dict[str, Any]:
    """The fields of a `KeyRecord` that a wish decides. Raises KeyRefused."""
    if not wish.models:
        raise KeyRefused("Name at least one model, or `*` for all.", "models")
    if wish.team is not None and wish.team not in teams:
        known = ", ".join(f"`{team}`" for team in sorted(teams)) or "none"
        raise KeyRefused(f"There is no team `{quoted(wish.team)}`; the routing file has {known}.", "team")
    try:
        budget = access_rules.budget(wish.budget)
    except ValueError as error:
        raise KeyRefused(f"The budget {error}.", "budget") from None
    return {
        "name": wish.name,
        "models": tuple(wish.models),
        "expires": _end(wish.expires, now),
        "team": wish.team,
        "rates": access_rules.rates(wish.limits),
        "model_rates": {pattern: access_rules.rates(limits) for pattern, limits in wish.model_limits.items()},
        "budget": budget,
        "priority": wish.priority,
        "cache": wish.cache,
        "metadata": dict(wish.metadata),
    }


def changed(record: KeyRecord, patch: Mapping[str, Any], teams: Collection[str], now: float) -> dict[str, Any]:
    """The fields of a record that a JSON merge patch of its wish names, as they become. Raises KeyRefused."""
    if patch.get("models", ()) is None:
        raise KeyRefused("`models` cannot be null, which could mean none or all; `*` is all.", "models")
    standing = {name: value for name, value in _objects(record).items() if name in patch}
    unknown = {name: None for name in patch if name not in KeyWish.model_fields}  # even a null of it is a mistake
    wish = shaped({**unknown, **codec.merged({**standing, "name": record.name}, patch)})
    named = {_FIELDS.get(name, name) for name in patch}
    return {name: value for name, value in wanted(wish, teams, now).items() if name in named}


def _objects(record: KeyRecord) -> dict[str, Any]:
    """Those parts of a wish that are objects, as they would make this record."""
    budget = record.budget
    nanos = None if budget is None else budget.nanos
    usd = None if nanos is None else nanos / NANOS
    return {
        "limits": dataclasses.asdict(record.rates),
        "model_limits": {pattern: dataclasses.asdict(rates) for pattern, rates in record.model_rates.items()},
        "budget": budget and {"usd": usd, "tokens": budget.tokens, "per": budget.per, "soft": budget.soft},
        "metadata": dict(record.metadata),
    }


def overlap(text: str) -> float:
    """How many seconds an old key still works. Raises KeyRefused."""
    return 0.0 if text == "0" else _seconds(text, "`0`", "overlap")


def _end(text: str | None, now: float) -> float | None:
    """A date as the start of that day, UTC; a duration from now; None for never."""
    if text is None:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return now + _seconds(text, "a date like 2027-01-31", "expires")
    end = datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
    if end <= now:
        raise KeyRefused(f"The date {text} is past.", "expires")
    return end


def _seconds(text: str, otherwise: str, field: str) -> float:
    try:
        duration = seconds(text)
    except ValueError as error:
        raise KeyRefused(f"`{quoted(text)}` is no time: it {error}, or {otherwise}.", field) from None
    if duration > LONGEST_SECONDS:
        raise KeyRefused(f"`{quoted(text)}` is longer than 100 years.", field)
    return duration
