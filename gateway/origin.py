"""Where a request of Starlette's comes from, as a `Source`."""

from __future__ import annotations

from starlette.requests import Request

from gateway.addresses import Source


def source(request: Request) -> Source:
    peer = None if request.client is None else request.client.host
    return Source(peer, request.headers.getlist("x-forwarded-for"))
