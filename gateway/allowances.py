"""How much a key, a team or a model may ask for: values, and the moments at which a budget begins anew."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Period = Literal["day", "week", "month", "total"]
Priority = Literal["interactive", "bulk"]
NANOS: Final = 10**9
"""Money is counted in whole billionths of a dollar: sums of floats would drift."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests and tokens per minute, and requests at a time; None means no limit.

    `shadow` rates are counted and reported, and refuse nothing.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrent: int | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in a period; periods are days, ISO weeks and months of UTC."""

    per: Period
    nanos: int | None = None
    """In billionths of a US dollar."""
    tokens: int | None = None
    soft: float = 0.8
    """The part of it at which metrics begin to warn."""

    def period(self, now: float) -> str:
        """The name of the period that a moment lies in: `2026-11-21`, `2026-W47`, `2026-11`, `total`."""
        day = datetime.datetime.fromtimestamp(now, datetime.UTC)
        if self.per == "week":
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        return {"day": f"{day:%Y-%m-%d}", "month": f"{day:%Y-%m}", "total": "total"}[self.per]

    def ends(self, now: float) -> float | None:
        """When the period of a moment ends, in seconds since the epoch; None for one that never does."""
        midnight = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if self.per == "total":
            return None
        if self.per == "day":
            end = midnight + datetime.timedelta(days=1)
        elif self.per == "week":
            end = midnight + datetime.timedelta(days=7 - midnight.weekday())
        else:
            end = (midnight.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        return end.timestamp()


@dataclass(frozen=True, slots=True)
class Team:
    """Keys that share limits and a budget."""

    rates: Rates = Rates()
    budget: Budget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a caller may do besides which models it may use, however it has shown who it is."""

    team: str | None = None
    rates: Rates = Rates()
    model_rates: Mapping[str, Rates] = field(default_factory=dict)
    """Rates for this caller at each model whose alias fits the pattern, `*` standing for any characters."""
    budget: Budget | None = None
    priority: Priority = "interactive"
    cache: bool = True
    """Whether its requests use the cache, where there is one."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """An operator's notes; they decide nothing."""
