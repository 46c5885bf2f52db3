"""Where a request of Starlette's comes from, as a `Source`."""

from __future__ import annotations

from starlette.requests import Request

from gateway.addresses import Source


def source(request: Request) -> Source:
    client = request.scope.get("client")
    peer = None if client is None else client[0]
    return Source(peer, [v.decode("latin-1") for name, v in request.scope["headers"] if name == b"x-forwarded-for"])
