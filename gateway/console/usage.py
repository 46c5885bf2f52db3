"""Who used what: by day, key and model, as charts and tables, and as a CSV file."""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway import reports
from gateway.console import sums
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.console.sums import Rows
from gateway.errors import InvalidRequest
from gateway.store import UsageStore

USUAL_DAYS: Final = 30
MOST_DAYS: Final = 366
SHOWN: Final = 200
"""Rows of the table by day; the file has them all."""


@dataclass(frozen=True, slots=True)
class UsagePage:
    pages: Pages
    store: UsageStore

    async def show(self, visit: Visit) -> Response:
        first, last, key_id, model = _asked(visit)
        rows = await self._rows(visit)
        names = {key.key_id: key.key_name for key, _ in rows}
        values: dict[str, Any] = {
            "first": first.isoformat(),
            "last": last.isoformat(),
            "key_id": key_id,
            "model": model,
            "total": sums.total(rows),
            "by_key": [(key, names[key], usage) for key, usage in sums.by(rows, "key_id").items()],
            "by_model": sums.by(rows, "model"),
            "chart": sums.days_chart(rows, first, (last - first).days + 1),
            "rows": [reports.usage_row(*row) for row in list(reversed(rows))[:SHOWN]],
            "more": max(0, len(rows) - SHOWN),
        }
        return self.pages.html("usage.html", visit.session, tab="usage", **values)

    async def csv(self, visit: Visit) -> Response:
        text = await asyncio.to_thread(reports.usage_csv, await self._rows(visit))
        first, last, *_ = _asked(visit)
        name = f"usage-{first.isoformat()}-{last.isoformat()}.csv"
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(text, headers=headers, media_type="text/csv")

    async def _rows(self, visit: Visit) -> Rows:
        first, last, key_id, model = _asked(visit)
        query = reports.usage_query(first.isoformat(), last.isoformat(), key_id or None, None, model or None)
        return await self.store.usage(query)


def _asked(visit: Visit) -> tuple[datetime.date, datetime.date, str, str]:
    """First and last day, key and model; raises InvalidRequest."""
    asked = visit.request.query_params
    try:
        last = datetime.date.fromisoformat(asked["to"]) if asked.get("to") else sums.today()
        usual = last - datetime.timedelta(days=USUAL_DAYS - 1)
        first = datetime.date.fromisoformat(asked["from"]) if asked.get("from") else usual
    except (ValueError, OverflowError):
        raise InvalidRequest("`from` and `to` must be days like 2026-11-21.") from None
    if not 0 <= (last - first).days < MOST_DAYS:
        raise InvalidRequest(f"The first day must come before the last, by less than {MOST_DAYS} days.")
    return first, last, asked.get("key", ""), asked.get("model", "")
