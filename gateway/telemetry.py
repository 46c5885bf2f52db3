"""`GET /metrics`: for Prometheus, with the admin key as its bearer token, or for everyone if the operator says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from gateway import exposition, origin
from gateway.auth import bearer
from gateway.authentication import AdminGuard
from gateway.exposition import CONTENT_TYPE, Families
from gateway.metrics import Metrics

Counted = Callable[[], Awaitable[Families | None]]
"""What all processes of a port have counted; None if nobody knows any more."""


@dataclass(frozen=True, slots=True)
class Telemetry:
    metrics: Metrics
    """This process's own."""
    counted: Counted | None
    guard: AdminGuard | None
    """None where everyone may read."""

    async def read(self, request: Request) -> Response:
        if self.guard is not None:
            self.guard.check(bearer(request.headers.get("authorization"), None), origin.source(request))
        families = None if self.counted is None else await self.counted()
        text = exposition.text(self.metrics.families() if families is None else families)
        return Response(text, headers={"content-type": CONTENT_TYPE, "cache-control": "no-store"})
