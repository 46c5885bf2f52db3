"""An ASGI application that behaves as its path says, for what stands between it and its clients."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

LARGE: Final = 3 * 2**20
GUARD: Final = 60.0
"""Seconds after which what a test does not release goes on."""


@dataclass
class Seen:
    """What the application has noticed."""

    release: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)


Behaviour = Callable[[Scope, Receive, Send, Seen], Awaitable[None]]


async def answer(send: Send, body: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def whole(receive: Receive) -> bytes:
    """The body, unless the client leaves before its end."""
    parts, more = [], True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message["body"])
        more = message["more_body"]
    return b"".join(parts)


async def echo(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    body = await whole(receive)
    told = {name: scope[name] for name in ("method", "path", "http_version", "scheme", "root_path", "type")}
    told |= {name: scope[name].decode() for name in ("raw_path", "query_string")}
    told |= {"headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]}
    told |= {"body": body.decode("latin-1"), "client": scope["client"][0], "server": scope["server"]}
    await answer(send, json.dumps(told).encode())


async def length(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    body = await whole(receive)
    await answer(send, b"%d" % len(body))


async def early(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """Asks for no body."""
    await answer(send, b"early", status=413)


async def held(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    seen.begun.set()
    await asyncio.to_thread(seen.release.wait, GUARD)
    await answer(send, b"held")


async def unread(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """Asks for the body when it is told to."""
    seen.begun.set()
    await asyncio.to_thread(seen.release.wait, GUARD)
    await length(scope, receive, send, seen)


async def large(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await answer(send, b"x" * LARGE)


async def injected(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """Puts what the client sent, escaped, into a header."""
    value = scope["query_string"].decode("ascii").encode().decode("unicode_escape").encode("latin-1")
    await answer(send, b"fine", (b"x-value", value))


async def closing(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await answer(send, b"closing", (b"connection", b"Close"))


async def raising(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    raise ZeroDivisionError("a secret")


async def raising_late(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise ZeroDivisionError("a secret")


async def raising_after(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await answer(send, b"fine")
    raise ZeroDivisionError("a secret")


async def panicking(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """As libraries in other languages do."""

    class Panic(BaseException):
        pass

    raise Panic


async def silent(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    pass


async def headless(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await send({"type": "http.response.body", "body": b"x"})


async def twice(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await answer(send, b"fine")
    await answer(send, b"again")


async def short(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """Tells another length than it has."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"1234"})


async def pieces(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body"})


async def nothing(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def leaving(scope: Scope, receive: Receive, send: Send, seen: Seen) -> None:
    """Waits until the client has gone, and answers all the same."""
    await whole(receive)
    seen.begun.set()
    message = await receive()
    await answer(send, b"too late")
    assert message == {"type": "http.disconnect"}
    seen.left.set()


BEHAVIOURS: Final[dict[str, Behaviour]] = {
    "/": echo,
    "/length": length,
    "/early": early,
    "/held": held,
    "/unread": unread,
    "/large": large,
    "/injected": injected,
    "/closing": closing,
    "/raising": raising,
    "/late": raising_late,
    "/after": raising_after,
    "/panicking": panicking,
    "/silent": silent,
    "/headless": headless,
    "/twice": twice,
    "/short": short,
    "/pieces": pieces,
    "/nothing": nothing,
    "/leaving": leaving,
}


def application(seen: Seen) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await BEHAVIOURS.get(scope["path"], echo)(scope, receive, send, seen)

    return app
