"""The gateway's HTTP server and client with nothing between: what a request costs before a gateway has done anything.

    python -m bench.bare PORT UPSTREAM

A request is handed on as it came, to UPSTREAM with the rest of its path behind the first part, and so is the answer.
Whatever the gateway does for a request is on top of that.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.protocol import ClientProtocol
from gateway.upstream import Upstream, Via
from providers.base import Request, Response

SECONDS: Final = 20.0
LARGEST: Final = 2**26
_JSON: Final = b"application/json"


def application(base: str) -> ASGIApp:
    upstream, way = Upstream(), Via()

    async def handed_on(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request: Message = await receive()
        url = f"{base}/{scope['path'].split('/', 2)[2]}"
        until = asyncio.get_running_loop().time() + SECONDS
        sent = Request("POST", url, {"content-type": _JSON.decode()}, request["body"])
        answer = await upstream.send(sent, way, until, LARGEST)
        body, status = (answer.body, answer.status) if isinstance(answer, Response) else (b"", 502)
        headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return handed_on


if __name__ == "__main__":
    uvicorn.run(
        application(sys.argv[2]),
        port=int(sys.argv[1]),
        http=ClientProtocol,
        loop="gateway.event_loop:EventLoop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
    )
