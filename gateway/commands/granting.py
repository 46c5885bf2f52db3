"""The options that say what a key may do, and the wish that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import click

_OPTIONS: Final = (
    click.option("--team", help="A team of the routing file, whose limits and budget it shares."),
    click.option("--rpm", type=click.IntRange(1), help="Most requests a minute."),
    click.option("--tpm", type=click.IntRange(1), help="Most tokens a minute."),
    click.option("--concurrent", type=click.IntRange(1), help="Most requests at a time."),
    click.option(
        "--shadow/--no-shadow", default=None, help="Count and report these limits, but refuse nothing [--no-shadow]."
    ),
    click.option("--budget-usd", type=click.FloatRange(0, min_open=True), help="Most US dollars in a period."),
    click.option("--budget-tokens", type=click.IntRange(1), help="Most tokens in a period."),
    click.option(
        "--per",
        type=click.Choice(["day", "week", "month", "total"]),
        help="The budget's period, in UTC [month for a new key].",
    ),
    click.option(
        "--priority",
        type=click.Choice(["interactive", "bulk"]),
        help="The lane that its requests wait in where not all can run [interactive].",
    ),
    click.option(
        "--cache/--no-cache", default=None, help="Whether its requests use the cache, if there is one [--cache]."
    ),
    click.option(
        "--model-limit",
        "model_limits",
        type=(str, click.Choice(["rpm", "tpm", "concurrent"]), click.IntRange(1)),
        multiple=True,
        metavar="PATTERN LIMIT NUMBER",
        help="A limit of this key at each model that fits, like `text-* rpm 60`; may be given several times.",
    ),
    click.option(
        "--metadata", multiple=True, metavar="NAME=VALUE", help="A note of yours; may be given several times."
    ),
)


def granting(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wish(granted: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as the admin API would be sent them."""
    wished = _given(granted, team="team", priority="priority", cache="cache")
    limits = _given(granted, rpm="rpm", tpm="tpm", concurrent="concurrent", shadow="shadow")
    budget = _given(granted, usd="budget_usd", tokens="budget_tokens", per="per")
    metadata = dict(note.partition("=")[::2] for note in granted["metadata"])
    model_limits: dict[str, dict[str, int]] = {}
    for pattern, limit, number in granted["model_limits"]:
        model_limits.setdefault(pattern, {})[limit] = number
    parts = {"limits": limits, "budget": budget, "model_limits": model_limits, "metadata": metadata}
    return wished | {name: part for name, part in parts.items() if part}


def _given(granted: Mapping[str, Any], **options: str) -> dict[str, Any]:
    return {name: granted[option] for name, option in options.items() if granted[option] is not None}
