"""The first page: what went through in the last ten minutes, in all processes together, and what is wrong now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from gateway.console import charts
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.replicas import Replicas
from gateway.traffic import SLOT_SECONDS, SLOTS, Slot, Traffic

NOW_SLOTS: Final = 6
"""What the numbers beside the charts are of: the last minute."""


@dataclass(frozen=True, slots=True)
class OverviewPage:
    pages: Pages
    traffic: Traffic
    replicas: Replicas
    has_cache: bool
    warnings: Sequence[str]

    async def show(self, visit: Visit) -> Response:
        """With `live`, the part of the page that changes."""
        slots = await self.traffic.lately()
        reports = await self.replicas.reports()
        values: dict[str, Any] = {
            "charts": _charts(slots),
            "last": _sum(slots[-NOW_SLOTS:]),
            "whole": _sum(slots),
            "minutes": SLOTS * SLOT_SECONDS // 60,
            "replicas": reports,
            "troubles": _troubles(reports),
            "has_cache": self.has_cache,
            "warnings": self.warnings,
        }
        template = "overview_live.html" if "live" in visit.request.query_params else "overview.html"
        return self.pages.html(template, visit.session, tab="overview", **values)


def _charts(slots: Sequence[Slot]) -> Mapping[str, charts.Chart]:
    return {
        "traffic": charts.columns(
            [(slot.requests - slot.refused - slot.failed, slot.refused, slot.failed) for slot in slots]
        ),
        "latency": charts.lines([[slot.quantile(part) for slot in slots] for part in (0.5, 0.95)]),
        "tokens": charts.columns([(slot.tokens, slot.cached) for slot in slots]),
        "cost": charts.columns([(slot.nanos,) for slot in slots]),
    }


def _sum(slots: Iterable[Slot]) -> Slot:
    total = Slot(0)
    for slot in slots:
        total.add(slot)
    return total


def _troubles(reports: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Every target that is not asked, in each process that says so."""
    return [
        {**target, "replica": report["replica"]}
        for report in reports
        for target in report["targets"]
        if target["state"] != "closed"
    ]
