"""`GET /metrics`: for Prometheus, with the admin key as its bearer token, or for everyone if the operator says so."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway import origin
from gateway.auth import bearer
from gateway.authentication import AdminGuard
from gateway.metrics import CONTENT_TYPE, Metrics


@dataclass(frozen=True, slots=True)
class Telemetry:
    metrics: Metrics
    guard: AdminGuard | None
    """None where everyone may read."""

    async def read(self, request: Request) -> Response:
        if self.guard is not None:
            self.guard.check(bearer(request.headers.get("authorization"), None), origin.source(request))
        return Response(self.metrics.text(), headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
