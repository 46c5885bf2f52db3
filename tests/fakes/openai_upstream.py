"""A fake of OpenAI's `POST /v1/embeddings` on a real socket of this machine, as strict as the real one.

    with FakeOpenAI() as fake:
        fake.behave(mishaps.error(503), times=2)  # two requests are answered with 503, those after them rightly
        ...
        assert fake.requests[0].body["input"] == ["a"]

A mishap befalls sound requests only: what the real one refuses is refused here, too, and uses no mishap up.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
import trustme
from starlette.types import Receive, Scope, Send

from gateway.vocabulary import cl100k
from tests.fakes import openai_replies, openai_rules
from tests.fakes.openai_replies import Answer, Reply, vector_for
from tests.fakes.openai_rules import Asked, Refused
from tests.fakes.serving import Closing, hang_up, port_of, served

__all__ = ["Behaviour", "Exchange", "FakeOpenAI", "Recorded", "Wire", "vector_for"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it arrived: its headers' names in lower case, its body None where that is no JSON."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    raw: bytes = field(repr=False)


class Wire:
    """Where one answer is sent. Left with half an answer, it is closed."""

    def __init__(self, send: Send, count: Callable[[int], None]) -> None:
        self._send = send
        self._count = count
        self.whole = False

    async def send(self, reply: Reply, *, only: int | None = None) -> None:
        """Sends a reply, or `only` the first so many bytes of its body, although the headers promise all of it."""
        await self.start(reply.status, {**reply.headers, "content-length": str(len(reply.body))})
        await self.write(reply.body[:only], more=only is not None)

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Without a content-length the body is chunked."""
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        self._count(len(chunk))
        self.whole = not more


@dataclass(frozen=True, slots=True)
class Exchange:
    """One sound request, what the right answer to it is, and the wire to answer on."""

    request: Recorded
    asked: Asked
    wire: Wire

    def right_answer(self) -> Answer:
        """A fresh one, to be spoiled at will."""
        return openai_replies.answer_to(self.asked)

    def reply(self, answer: Answer, encoding: str | None = None) -> Reply:
        return openai_replies.reply(self.asked, answer, encoding or self.asked.encoding)

    def right_reply(self) -> Reply:
        return self.reply(self.right_answer())


Behaviour = Callable[[Exchange], Awaitable[None]]
"""Answers one request. It is cancelled when the client goes away and when the fake stops."""


async def rightly(exchange: Exchange) -> None:
    await exchange.wire.send(exchange.right_reply())


class FakeOpenAI(Closing):
    """Serves from entering to leaving; what was recorded can be read afterwards, too."""

    ca_file: Path
    """The private certificate authority, while serving with TLS."""

    def __init__(
        self, *, path: str = "/v1/embeddings", tls: bool = False, api_key: str = "sk-upstream-secret-0123456789"
    ) -> None:
        self.path = path
        self.tls = tls
        self.api_key = api_key
        self.extra_allowed: set[str] = set()
        self.port = 0
        self._news = threading.Condition()
        self._stack = ExitStack()
        self.clear()

    @property
    def root_url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return self.root_url + self.path.removesuffix("/embeddings")

    def clear(self) -> None:
        """Forgets what was recorded and what behaviours were to come."""
        with self._news:
            self.requests: list[Recorded] = []
            self.abandoned: list[Recorded] = []
            """Requests whose client went away before the answer was whole."""
            self.bytes_sent = 0
            """Of bodies; some hundred kB of them may still be in buffers, the client not having read them."""
            self._coming: deque[Behaviour] = deque()
            self._usual: Behaviour = rightly

    def behave(self, behaviour: Behaviour, times: int | None = 1) -> None:
        """Lines a behaviour up for so many requests; None: for all that come when none is lined up any more."""
        with self._news:
            if times is None:
                self._usual = behaviour
            else:
                self._coming.extend([behaviour] * times)

    def wait_until(self, condition: Callable[[], bool], timeout: float = 60.0) -> bool:
        """Waits for something to be recorded, such as `lambda: len(fake.requests) == 2`; false when it never is."""
        with self._news:
            return self._news.wait_for(condition, timeout)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            cl100k()  # a tenth of a second, which the first request should not be seen to take
            certificate = self._certificate(stack) if self.tls else None
            self._server = stack.enter_context(served(self._app, certificate))
            self.port = port_of(self._server)
            self._stack = stack.pop_all()
        return self

    def _certificate(self, stack: ExitStack) -> Path:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = directory / "server.pem"
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        return certificate

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await _recorded(scope, receive)
        self._note(self.requests, request)
        wire = Wire(send, self._count)
        answering = asyncio.create_task(self._answer(request, wire))
        leaving = asyncio.create_task(_departure(receive))
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            answering.cancel()
            self._note(self.abandoned, request)
        elif (fault := answering.exception()) is not None:
            leaving.cancel()
            raise fault
        elif not wire.whole:
            hang_up(self._server, scope["client"])
        await leaving  # which a whole answer ends, too

    async def _answer(self, request: Recorded, wire: Wire) -> None:
        try:
            openai_rules.check_address(request.method, request.path, self.path)
            openai_rules.check_key(request.headers.get("authorization"), self.api_key)
            asked = openai_rules.read_body(request.headers.get("content-type"), request.raw, self.extra_allowed)
        except Refused as refused:
            await wire.send(openai_replies.refusal(refused))
        else:
            await self._next_behaviour()(Exchange(request, asked, wire))

    def _next_behaviour(self) -> Behaviour:
        with self._news:
            return self._coming.popleft() if self._coming else self._usual

    def _note(self, notes: list[Recorded], request: Recorded) -> None:
        with self._news:
            notes.append(request)
            self._news.notify_all()

    def _count(self, sent: int) -> None:
        self.bytes_sent += sent


async def _recorded(scope: Scope, receive: Receive) -> Recorded:
    received = bytearray()
    more = True
    while more:
        message = await receive()
        received += message.get("body", b"")
        more = message.get("more_body", False)
    raw = bytes(received)
    headers: dict[str, str] = {}
    for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path = scope["raw_path"].decode()  # as it was written
    return Recorded(scope["method"], path, scope["query_string"].decode(), headers, _json(raw), raw)


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


async def _departure(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
