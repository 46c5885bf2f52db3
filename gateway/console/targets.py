"""Models and their targets: the space, what canaries say, who is asked; an operator drains and restores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from gateway import space_report
from gateway.config import ModelConfig
from gateway.console import door
from gateway.console.door import Visit
from gateway.console.rendering import Pages
from gateway.errors import StateUnavailable
from gateway.replicas import Replicas
from gateway.spaces import Spaces

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TargetsPage:
    pages: Pages
    models: Sequence[ModelConfig]
    replicas: Replicas
    spaces: Spaces

    async def show(self, visit: Visit) -> Response:
        """With `live`, the part of the page that changes."""
        reports = await self.replicas.reports()
        try:
            told = {one["model"]: one for one in await space_report.report(self.models, self.spaces)}
        except StateUnavailable:
            told = {}
        models = [_model(model, told.get(model.alias), reports) for model in self.models]
        template = "targets_live.html" if "live" in visit.request.query_params else "targets.html"
        return self.pages.html(template, visit.session, tab="targets", models=models, replicas=len(reports))

    async def drain(self, visit: Visit) -> Response:
        await self.replicas.drain(visit.form.get("model", ""), visit.form.get("target", ""))
        return door.see("targets")

    async def restore(self, visit: Visit) -> Response:
        await self.replicas.restore(visit.form.get("model", ""), visit.form.get("target", ""))
        return door.see("targets")


def _model(model: ModelConfig, told: Told | None, reports: Sequence[Told]) -> dict[str, Any]:
    """A model with its targets, each as every process sees it."""
    canaries = {} if told is None else {one["target"]: one for one in told["targets"]}
    seen: dict[str, list[Told]] = {}
    for report in reports:
        for target in report["targets"]:
            if target["model"] == model.alias:
                seen.setdefault(target["target"], []).append({**target, "replica": report["replica"]})
    return {
        "alias": model.alias,
        "aliases": model.aliases,
        "space": model.space,
        "dimensions": model.dimensions.native,
        "price": model.price,
        "canary": model.canary,
        "reference": None if told is None else told["reference"],
        "targets": [
            {"name": name, "seen": views, "canary": canaries.get(name), **_together(views)}
            for name, views in seen.items()
        ],
    }


def _together(views: Sequence[Told]) -> dict[str, Any]:
    """What the processes say of one target, in one line: sums, the worst state, the latest error."""
    errors = [view["last_error"] for view in views if view["last_error"]]
    states = [view["state"] for view in views]
    means = [size["p95"] for view in views for size in view["latency"] if size["p95"] is not None]
    return {
        "provider": views[0]["provider"],
        "upstream_model": views[0]["upstream_model"],
        "priority": views[0]["priority"],
        "weight": views[0]["weight"],
        "state": next((state for state in states if state != "closed"), "closed"),
        "states": sorted(set(states)),
        "drained": "drained" in states,
        "waiting": sum(view["waiting"] for view in views),
        "running": sum(view["running"] for view in views),
        "slots": sum(view["slots"] for view in views),
        "p95": max(means, default=None),
        "error": min(errors, key=lambda error: float(error["seconds_ago"]), default=None),
        "seconds": max((view["seconds"] or 0.0 for view in views), default=0.0),
    }
