"""Every wire on one port of this machine: the first segment of a path names the wire, and the rest is the real path.

with FakeProviders() as fakes:
    httpx.post(fakes.base_url(WIRES["voyage"]) + "/embeddings", …)
    (exchange,) = fakes.exchanges["voyage"]
"""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from tests.fakes.serving import Closing, port_of, served
from tests.fakes.wires import WIRES
from tests.fakes.wires.base import Arrived, Asked, Sent, Unsound, Wire


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came, what it asked for, or None if it was refused, and what was said; `raw` is all that came, as text."""

    arrived: Arrived
    asked: Asked | None
    sent: Sent
    raw: str = field(repr=False)


class FakeProviders(Closing):
    """Serves from entering to leaving; records by the wire's name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self.clear()

    def clear(self) -> None:
        self.exchanges: defaultdict[str, list[Exchange]] = defaultdict(list)

    def base_url(self, wire: Wire) -> str:
        return f"http://127.0.0.1:{self.port}/{wire.name}{wire.base_path}"

    def __enter__(self) -> Self:
        self.port = port_of(self._stack.enter_context(served(self._app)))
        return self

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = await _body(receive)
        name, _, path = scope["raw_path"].decode()[1:].partition("/")
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        query = scope["query_string"].decode()
        arrived = Arrived(
            scope["method"],
            f"/{path}",
            dict(parse_qsl(query, keep_blank_values=True)),
            headers,
            _json(raw),
            len(raw),
        )
        wire = WIRES[name]
        asked = None
        try:
            asked = wire.ask(arrived)
            sent = wire.respond(asked)
        except Unsound as unsound:
            sent = wire.refuse(unsound)
        seen = f"{path}?{query}\n{headers}\n{raw.decode(errors='replace')}"
        with self._lock:
            self.exchanges[name].append(Exchange(arrived, asked, sent, seen))
        await _answer(sent, send)


async def _body(receive: Receive) -> bytes:
    received = bytearray()
    more = True
    while more:
        message = await receive()
        received += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(received)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


async def _answer(sent: Sent, send: Send) -> None:
    body = sent.padding + orjson.dumps(sent.body, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"content-type": "application/json", **sent.headers, "content-length": str(len(body))}
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": sent.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
