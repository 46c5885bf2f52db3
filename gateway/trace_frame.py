"""Around each HTTP request where traces are wanted, inside the frame that everyone has: the request's own span."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import GatewayError
from gateway.middleware import CLIENT_LEFT, RECORD, note
from gateway.tracing import Tracing

UNTRACED: Final = ("/health/", "/metrics")
"""Asked every few seconds, and nobody's question."""


class TraceFrame:
    """Pure ASGI."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        status = CLIENT_LEFT

        async def traced_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(Headers(scope=scope), scope["method"], scope[RECORD]) as ended:
            try:
                await self._app(scope, receive, traced_send)
            except GatewayError as error:
                status = error.status
                note(scope[RECORD], error)
                raise
            except Exception:
                status = 500
                raise
            finally:
                ended(status)
