"""Paths to endpoints: the ASGI application, made of parts that are already there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import openapi
from gateway.admin import Admin
from gateway.aftermath import Aftermath
from gateway.endpoints import Endpoints
from gateway.errors import MethodNotAllowed, UnknownPath
from gateway.inputs import quoted
from gateway.middleware import RequestFrame
from gateway.target_admin import TargetAdmin
from gateway.telemetry import Telemetry
from gateway.trace_frame import TraceFrame
from gateway.tracing import Tracing

if TYPE_CHECKING:
    from gateway.console.site import Console

EXPOSED_HEADERS: Final = (
    "x-request-id",
    "openai-processing-ms",
    "server-timing",
    *(f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset") for kind in ("requests", "tokens")),
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-embedding-space",
    "x-embedding-target",
    "x-embedding-usage",
    "x-embedding-truncated",
    "x-embedding-cache",
)

Endpoint = Callable[[Request], Awaitable[Response]]


class ClientCors(CORSMiddleware):
    """Lets web pages call what is for clients; with an operator's key they have no business."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and scope["path"].startswith("/admin")
        await (self.app if is_admin else super().__call__)(scope, receive, send)


def application(
    endpoints: Endpoints,
    admin: Admin | None,
    targets: TargetAdmin | None,
    telemetry: Telemetry | None,
    console: Console | None,
    cors_origins: Sequence[str],
    aftermath: Aftermath,
    tracing: Tracing | None,
) -> ASGIApp:
    """Without `admin` there is no /admin, without `targets` none for them, without `telemetry` no /metrics, without
    `console` no pages.
    """
    inner: ASGIApp = Paths([*routes(endpoints, admin, targets, telemetry), *pages(console)])
    if tracing is not None:
        inner = TraceFrame(inner, tracing)
    app = RequestFrame(inner, endpoints.running, aftermath)
    if not cors_origins:
        return app
    return ClientCors(  # outermost, so that errors too can be read by the page
        app,
        allow_origins=cors_origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )


class Paths:
    """Starlette's routes, of which those without a part that varies are found at once, whatever stands before them.

    What an endpoint raises comes out as it is. Where no route fits it raises UnknownPath, or MethodNotAllowed.
    Starlette's own application would walk through the whole table, and through three more layers around it.
    """

    def __init__(self, table: Sequence[Route]) -> None:
        self._table = table
        fixed = [route for route in table if not route.param_convertors]
        self._fixed = {(method, route.path): route.endpoint for route in fixed for method in route.methods or ()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._fixed.get((scope["method"], scope["path"])) or self._looked_for(scope)
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def _looked_for(self, scope: Scope) -> Endpoint:
        """Among all routes; what varies in its path is then in the scope."""
        found = [(route, *route.matches(scope)) for route in self._table]
        for route, match, child in found:
            if match is Match.FULL:
                scope.update(child)
                endpoint: Endpoint = route.endpoint
                return endpoint
        raise _refusal(scope, [route for route, match, _ in found if match is not Match.NONE])


def _refusal(scope: Scope, fitting: Sequence[Route]) -> UnknownPath | MethodNotAllowed:
    """`fitting` are the routes that take the path with another method."""
    asked = f"{scope['method']} {quoted(scope['path'])}"
    if not fitting:
        return UnknownPath(
            f"There is nothing at `{asked}`. Embeddings are at `POST /v1/embeddings`, models at `GET /v1/models`."
        )
    allowed = ", ".join(sorted(set[str]().union(*(route.methods or () for route in fitting))))
    return MethodNotAllowed(f"`{asked}` is not possible here; this path takes {allowed}.", headers={"allow": allowed})


def routes(
    endpoints: Endpoints, admin: Admin | None, targets: TargetAdmin | None, telemetry: Telemetry | None
) -> list[Route]:
    """Every path with and without a trailing slash, OpenAI's with and without `/v1`: base URLs come in all forms."""
    table: list[tuple[str, str, Endpoint]] = []
    for prefix in ("/v1", ""):
        table += (
            ("POST", f"{prefix}/embeddings", endpoints.embeddings),
            ("POST", f"{prefix}/engines/{{model:path}}/embeddings", endpoints.embeddings),
            ("GET", f"{prefix}/models", endpoints.models),
            ("GET", f"{prefix}/models/{{model:path}}", endpoints.model),
            ("GET", f"{prefix}/usage", endpoints.usage),
        )
    table += (
        ("POST", "/openai/v1/embeddings", endpoints.azure_embeddings),
        ("POST", "/openai/deployments/{model:path}/embeddings", endpoints.azure_embeddings),
        ("POST", "/api/v3/inference/embeddings", endpoints.nugen_embeddings),
        ("GET", "/health/live", endpoints.live),
        ("GET", "/health/ready", endpoints.ready),
        ("GET", "/openapi.json", _describe),
    )
    if telemetry is not None:
        table.append(("GET", "/metrics", telemetry.read))
    if admin is not None:
        table += (
            ("GET", "/admin/keys", admin.list_keys),
            ("POST", "/admin/keys", admin.create_key),
            ("POST", "/admin/keys/{key_id:path}/rotate", admin.rotate_key),  # a file key's name may hold a slash
            ("GET", "/admin/keys/{key_id:path}", admin.show_key),
            ("PATCH", "/admin/keys/{key_id:path}", admin.change_key),
            ("DELETE", "/admin/keys/{key_id:path}", admin.revoke_key),
            ("GET", "/admin/usage", admin.usage),
            ("GET", "/admin/cache", admin.cache_statistics),
            ("DELETE", "/admin/cache", admin.clear_cache),
            ("GET", "/admin/config", admin.config),
            ("POST", "/admin/reload", admin.reload),
        )
    if targets is not None:
        table += (
            ("GET", "/admin/targets", targets.list_targets),
            ("POST", "/admin/targets/drain", targets.drain),
            ("POST", "/admin/targets/restore", targets.restore),
        )
    return _in_both_forms(table)


def pages(console: Console | None) -> list[Route]:
    """For people with a browser, so that no description for programs has them."""
    return [] if console is None else _in_both_forms(console.table())


def _in_both_forms(table: Iterable[tuple[str, str, Endpoint]]) -> list[Route]:
    return [Route(form, endpoint, methods=[method]) for method, path, endpoint in table for form in (f"{path}/", path)]


async def _describe(request: Request) -> Response:
    return Response(openapi.body(), media_type="application/json")
