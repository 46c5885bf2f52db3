"""A request on a client's connection and its answer, as ASGI has them; the next one waits for its turn.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from starlette.types import Message, Scope

from gateway.flow import Flow
from gateway.turn_head import Header, closes, head

MOST_UNREAD: Final = 64 * 1024
"""Bytes of a body that are read before somebody asks for them."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS: Final = {204, 304}


class AnswerError(Exception):
    """The application keeps neither to ASGI nor to the length that it told."""


class Turn:
    """An answer goes out whole: nothing here streams, and until then another one can take its place.

    `common` are headers of every answer; `ended` is called when this one has been written.
    """

    task: asyncio.Task[None]
    """What answers it."""
    answered = False
    whole = False
    """All of the request's body has come."""
    _more = True  # and not all of it has been asked for
    _unread = 0
    _invited = False
    _news: asyncio.Future[None] | None = None
    _start: Message | None = None
    _parts: Sequence[bytes] = ()

    def __init__(
        self, scope: Scope, flow: Flow, keep_alive: bool, common: Sequence[Header], ended: Callable[[], None]
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self._flow = flow
        self._common = common
        self._ended = ended
        self._chunks: list[bytes] = []  # of the request's body, for which nobody has asked yet

    @property
    def over(self) -> bool:
        return self.answered or self._flow.gone

    # ── the request ───────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, chunk: bytes) -> None:
        """A part of the body. Once there is an answer nobody wants it.

        Reading stops even when somebody waits for more: until that one is heard more comes at once, in fewer parts.
        """
        if self.answered:
            return
        self._chunks.append(chunk)
        self._unread += len(chunk)
        if self._unread > MOST_UNREAD:
            self._flow.pause()
        if self._news is not None:
            self.tell()

    def complete(self) -> None:
        self.whole = True
        if self._news is not None:
            self.tell()

    def tell(self) -> None:
        """Who waits in `receive` looks again."""
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def receive(self) -> Message:
        while not (self._more and (self.whole or self._chunks)) and not self.over:
            await self._changed()
        if self.answered or self._flow.gone:
            return {"type": "http.disconnect"}
        chunks, self._chunks, self._unread = self._chunks, [], 0
        self._more = not self.whole
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        return {"type": "http.request", "body": body, "more_body": self._more}

    async def _changed(self) -> None:
        if self._awaits_invitation() and not self._flow.closing:
            self._invited = True
            self._flow.write(_CONTINUE)
        self._flow.resume()
        self._news = asyncio.get_running_loop().create_future()
        try:
            await self._news
        finally:
            self._news = None

    def _awaits_invitation(self) -> bool:
        """https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1"""
        if self._invited or self.whole or self._chunks or not self._more:
            return False
        return any(name == b"expect" and value.lower() == b"100-continue" for name, value in self.scope["headers"])

    # ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, message: Message) -> None:
        """Raises AnswerError, and HeaderError; nothing has been written then."""
        start = self._start
        if start is None:
            if message["type"] != "http.response.start":
                raise AnswerError(f"An answer does not begin with `{message['type']}`.")
            self._start = message
            return
        if message["type"] != "http.response.body":
            raise AnswerError(f"`{message['type']}` comes in the midst of an answer.")
        body = message.get("body", b"")
        if message.get("more_body", False):
            self._parts = [*self._parts, body]
            return
        if self._parts:
            body = b"".join([*self._parts, body])
        await self.answer(start["status"], start["headers"], body)

    async def answer(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        """All of it, with the names of headers in lower case. Raises as `send` does."""
        if self.answered:
            raise AnswerError("There is an answer already.")
        if self._flow.clogged:
            await self._flow.free()
        if not self._flow.gone:
            self._write(status, [*self._common, *headers], body)

    def _write(self, status: int, headers: list[Header], body: bytes) -> None:
        told = dict(headers)
        bare = status in _BODILESS or self.scope["method"] == "HEAD"
        length = told.get(b"content-length")
        if length is None:
            if status not in _BODILESS:
                headers.append((b"content-length", b"%d" % len(body)))
        elif not bare and int(length) != len(body):
            raise AnswerError(f"The answer has {len(body)} bytes, and says that it has {int(length)}.")
        if not self.whole and self._awaits_invitation():
            self.keep_alive = False  # the client may send the body all the same, or not
        connection = told.get(b"connection")
        if connection is not None and closes(connection):
            self.keep_alive = False
        elif not self.keep_alive:
            headers.append((b"connection", b"close"))
        written = head(status, headers)
        self.answered = True
        self._flow.write(written, b"" if bare else body)
        if not self.keep_alive:
            self._flow.close()
        if self._news is not None:
            self.tell()
        self._ended()
