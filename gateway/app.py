"""Paths to endpoints: the ASGI application, made of parts that are already there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from gateway import openapi
from gateway.admin import Admin
from gateway.endpoints import Endpoints
from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, UnknownPath
from gateway.inputs import quoted
from gateway.metrics import Metrics
from gateway.middleware import RECORD, RequestFrame, error_response
from gateway.target_admin import TargetAdmin
from gateway.telemetry import Telemetry
from gateway.trace_frame import TraceFrame
from gateway.tracing import Tracing

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
    cors_origins: Sequence[str],
    metrics: Metrics,
    tracing: Tracing | None,
) -> Starlette:
    """Without `admin` there is no /admin, without `targets` none for them, without `telemetry` no /metrics."""
    middleware = [Middleware(RequestFrame, running=endpoints.running, metrics=metrics)]
    if tracing is not None:
        middleware.append(Middleware(TraceFrame, tracing=tracing))
    if cors_origins:  # outermost, so that errors too can be read by the page
        cors = Middleware(
            ClientCors,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
            max_age=600,
        )
        middleware.insert(0, cors)
    app = Starlette(
        routes=routes(endpoints, admin, targets, telemetry),
        middleware=middleware,
        exception_handlers={GatewayError: _on_gateway_error, HTTPException: _on_http_exception},
    )
    app.router.redirect_slashes = False  # a redirected POST loses its body with many clients
    return app


def routes(
    endpoints: Endpoints, admin: Admin | None, targets: TargetAdmin | None, telemetry: Telemetry | None
) -> list[BaseRoute]:
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
    return [Route(form, endpoint, methods=[method]) for method, path, endpoint in table for form in (f"{path}/", path)]


async def _describe(request: Request) -> Response:
    return Response(openapi.body(), media_type="application/json")


async def _on_gateway_error(request: Request, error: Exception) -> Response:
    error = cast("GatewayError", error)  # Starlette's handlers are typed for any exception
    request.scope[RECORD].error = error.error_code or error.type
    if error.__cause__ is not None:
        request.scope[RECORD].error += f" ({type(error.__cause__).__name__})"
    return error_response(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown path or method."""
    error = cast("HTTPException", error)
    asked = f"{request.method} {quoted(request.url.path)}"
    if error.status_code == 404:
        return await _on_gateway_error(
            request,
            UnknownPath(
                f"There is nothing at `{asked}`. Embeddings are at `POST /v1/embeddings`, models at `GET /v1/models`."
            ),
        )
    if error.status_code == 405:
        allowed = ", ".join(sorted(_methods(request)))
        return await _on_gateway_error(
            request,
            MethodNotAllowed(f"`{asked}` is not possible here; this path takes {allowed}.", headers={"allow": allowed}),
        )
    return await _on_gateway_error(request, InvalidRequest(error.detail))


def _methods(request: Request) -> set[str]:
    """What the path takes in all; Starlette tells the first route's."""
    table = cast("list[Route]", request.app.routes)
    fitting = [route for route in table if route.matches(request.scope)[0] is not Match.NONE]
    return set[str]().union(*(route.methods or () for route in fitting))
