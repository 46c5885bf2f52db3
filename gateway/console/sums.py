"""Rows of usage, added up the way a page shows them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from gateway.console import charts
from gateway.console.charts import Chart
from gateway.console.rendering import tokens
from gateway.store import Usage, UsageKey, UsageQuery

Rows = Sequence[tuple[UsageKey, Usage]]


def today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def lately(days: int) -> UsageQuery:
    """The last so many days, today included."""
    return UsageQuery((today() - datetime.timedelta(days=days - 1)).isoformat())


def by(rows: Rows, column: str) -> dict[str, Usage]:
    """Sums by one column of the key, those with the most tokens first."""
    sums: dict[str, Usage] = {}
    for key, usage in rows:
        sums.setdefault(getattr(key, column), Usage()).add(usage)
    return dict(sorted(sums.items(), key=lambda item: tokens(item[1]), reverse=True))


def total(rows: Rows) -> Usage:
    whole = Usage()
    for _, usage in rows:
        whole.add(usage)
    return whole


def days_chart(rows: Rows, first: datetime.date, days: int) -> Chart:
    """A column for each day: its tokens."""
    found = by(rows, "day")
    names: Iterable[str] = ((first + datetime.timedelta(days=day)).isoformat() for day in range(days))
    return charts.columns([(tokens(found.get(name, Usage())),) for name in names])
