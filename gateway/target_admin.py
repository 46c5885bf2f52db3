"""The operator's side of targets: how each is doing in every process, and which of them are drained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway import bodies, origin
from gateway.auth import bearer
from gateway.authentication import AdminGuard
from gateway.errors import InvalidRequest
from gateway.replicas import Replicas
from providers import codec

UNKEPT: Final = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class TargetAdmin:
    replicas: Replicas
    guard: AdminGuard

    async def list_targets(self, request: Request) -> Response:
        """Of every process that shares the state."""
        self._check(request)
        return _json({"object": "list", "data": await self.replicas.reports()})

    async def drain(self, request: Request) -> Response:
        """`model` and `target` name it: nobody asks it any more, what runs there is finished."""
        self._check(request)
        await self.replicas.drain(*await _named(request))
        return _json(self.replicas.report())

    async def restore(self, request: Request) -> Response:
        self._check(request)
        await self.replicas.restore(*await _named(request))
        return _json(self.replicas.report())

    def _check(self, request: Request) -> None:
        self.guard.check(bearer(request.headers.get("authorization"), None), origin.source(request))


async def _named(request: Request) -> tuple[str, str]:
    body: Mapping[str, Any] = await bodies.small_object(request, "`model` and `target`")
    if set(body) != {"model", "target"}:
        raise InvalidRequest("The body must hold `model` and `target`, each a name that `GET /admin/targets` lists.")
    for field, value in body.items():
        if not isinstance(value, str):
            raise InvalidRequest(f"`{field}` must be a string.", param=field)
    return body["model"], body["target"]


def _json(value: object) -> Response:
    return Response(codec.write_json(value), headers=UNKEPT, media_type="application/json")
