"""The form of a key: what an operator writes into its fields becomes a wish, as the admin API would be sent it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.allowances import NANOS
from gateway.auth import KeyRecord
from gateway.inputs import quoted
from gateway.key_wishes import KeyRefused

RATES: Final = ("rpm", "tpm", "concurrent")
NEVER: Final = "never"
Form = Mapping[str, str]


def wish(form: Form) -> dict[str, Any]:
    """Of a new key. Raises KeyRefused for what is no number."""
    expires = _text(form, "expires")
    return {"name": _text(form, "name") or "", "expires": None if expires == NEVER else expires, **_grant(form)}


def patch(form: Form, record: KeyRecord) -> dict[str, Any]:
    """What the form changes in a key, as a JSON merge patch: notes that are gone from it are taken away."""
    made = {"name": _text(form, "name") or "", **_grant(form)}
    made["metadata"] = {**dict.fromkeys(record.metadata), **made["metadata"]}
    expires = _text(form, "expires")
    return made if expires is None else {**made, "expires": None if expires == NEVER else expires}


def fields(record: KeyRecord) -> dict[str, str]:
    """A key as its form shows it."""
    budget = record.budget
    usd = None if budget is None or budget.nanos is None else budget.nanos / NANOS
    values = {
        "name": record.name,
        "models": ", ".join(record.models),
        "team": record.team,
        **{name: getattr(record.rates, name) for name in RATES},
        "shadow": "yes" if record.rates.shadow else None,
        "usd": None if usd is None else f"{usd:.9f}".rstrip("0").rstrip("."),
        "tokens": budget and budget.tokens,
        "per": budget.per if budget else "month",
        "soft": budget and budget.soft,
        "priority": record.priority,
        "metadata": "\n".join(f"{name} = {note}" for name, note in record.metadata.items()),
    }
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _grant(form: Form) -> dict[str, Any]:
    return {
        "models": [name for name in map(str.strip, re.split(r"[,\n]", form.get("models", ""))) if name],
        "team": _text(form, "team"),
        "limits": {**{name: _whole(form, name) for name in RATES}, "shadow": "shadow" in form},
        "budget": _budget(form),
        "priority": _text(form, "priority") or "interactive",
        "metadata": _notes(form),
    }


def _budget(form: Form) -> dict[str, Any] | None:
    amounts = {"usd": _number(form, "usd"), "tokens": _whole(form, "tokens")}
    if amounts == {"usd": None, "tokens": None}:
        return None
    soft = _number(form, "soft")
    return {**amounts, "per": _text(form, "per") or "month", **({} if soft is None else {"soft": soft})}


def _notes(form: Form) -> dict[str, str]:
    """One in each line, `name = note`."""
    notes = {}
    for line in form.get("metadata", "").split("\n"):
        name, sign, note = line.partition("=")
        if line.strip() and not sign:
            raise KeyRefused(f"A line of the notes has no `=`: `{quoted(line)}`. Write `name = note`.", "metadata")
        if line.strip():
            notes[name.strip()] = note.strip()
    return notes


def _text(form: Form, name: str) -> str | None:
    return form.get(name, "").strip() or None


def _whole(form: Form, name: str) -> int | None:
    text = _text(form, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise KeyRefused(f"`{name}` must be a whole number, like 600; it is `{quoted(text)}`.", name)
    return int(text)


def _number(form: Form, name: str) -> float | None:
    text = _text(form, name)
    try:
        return None if text is None else float(text)
    except ValueError:
        raise KeyRefused(f"`{name}` must be a number, like 12.50; it is `{quoted(text or '')}`.", name) from None
