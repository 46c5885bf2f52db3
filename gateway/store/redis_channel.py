"""One connection to a Redis: commands go out as they come, answers come back in their order, each to who waits for it.

What is asked in one turn of the event loop goes out in one piece. Whoever leaves before the answer leaves a place in
the order behind. A Redis that does not answer in time gets no more commands over this connection, which may be half
dead; what others still wait for here may yet come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice, repeat
from typing import Any, Final, cast

import hiredis

from gateway.store.patience import PARTS
from gateway.store.redis_faults import Lost, Refused

ROOM: Final = 2**18
"""Bytes that are read at a time."""
KEPT: Final = 2**21
"""Bytes of room for an answer that the parser keeps for the next: to get them from the system anew takes time."""
_MORE: Final = object()
"""What the parser has while an answer is not whole."""


class _Together:
    """Waits for several answers, and has them all or none."""

    def __init__(self, future: asyncio.Future[Any], count: int) -> None:
        self.done = future.done
        self.give_up = future.set_result
        self._count = count
        self._answers: list[Any] = []

    def set_result(self, answer: Any) -> None:
        self._answers.append(answer)
        if len(self._answers) == self._count:
            self.give_up(self._answers)


class RedisChannel(asyncio.BufferedProtocol):
    """`seconds` are what an answer may take; `lost` is set when the event loop has let go of the connection.

    Every outcome is a value: an answer, or one of the exceptions Refused, Lost and TimeoutError.
    """

    _transport: asyncio.Transport

    def __init__(self, seconds: float) -> None:
        self.usable = False
        self.lost = asyncio.Event()
        self._part = seconds / PARTS
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=Refused, notEnoughData=_MORE)
        self._reader.setmaxbuf(KEPT)
        self._room = memoryview(bytearray(ROOM))
        self._unsent: list[bytes] = []
        self._waiting: deque[asyncio.Future[Any] | _Together] = deque()
        self._answered = 0
        self._marks: deque[int] = deque(maxlen=PARTS)
        """How many answers had been asked for at each of the last looks."""
        self._next_look: asyncio.TimerHandle | None = None

    # ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which those of uvloop are in all but name
        self.usable = True

    def ask(self, commands: bytes, together: int = 0) -> asyncio.Future[Any]:
        """The answer to one command, or the list of the answers to so many that go together."""
        future = self._loop.create_future()
        if together:
            self._waiting.extend(repeat(_Together(future, together), together))
        else:
            self._waiting.append(future)
        if not self._unsent:
            self._loop.call_soon(self._flush)
            if self._next_look is None:
                self._next_look = self._loop.call_later(self._part, self._look)
        self._unsent.append(commands)
        return future

    def retire(self) -> None:
        """No more commands: it is closed when nobody waits for an answer any more."""
        self.usable = False
        if not self._waiting:
            self.abort()

    def abort(self) -> None:
        """At once: neither what is unsent nor a goodbye of TLS is waited for."""
        self.usable = False
        self._transport.abort()

    async def close(self) -> None:
        self.abort()
        await self.lost.wait()

    def _flush(self) -> None:
        pieces, self._unsent = self._unsent, []
        if not self._transport.is_closing():
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────────────────────

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        waiting, gets = self._waiting, self._reader.gets
        self._reader.feed(self._room[:nbytes])  # type: ignore[arg-type]  # it takes any bytes
        try:
            while (answer := gets()) is not _MORE:
                one = waiting.popleft()
                self._answered += 1
                if not one.done():
                    one.set_result(answer)
        except (hiredis.ProtocolError, IndexError) as error:  # what nobody has asked for
            self._lose(error)
        if not (self.usable or waiting):
            self.abort()

    def eof_received(self) -> None:
        self._lose(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)
        if self._next_look is not None:
            self._next_look.cancel()
        self.lost.set()

    def _lose(self, cause: Exception | None) -> None:
        self.abort()
        lost = Lost()
        lost.__cause__ = cause
        while self._waiting:
            _give_up(self._waiting.popleft(), lost)

    # ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Comes back as long as anyone waits; who waits all through `PARTS` parts of the time has waited too long."""
        marks = self._marks
        overdue = marks[0] - self._answered if len(marks) == PARTS else 0
        if overdue > 0:
            self.usable = False
            for one in islice(self._waiting, overdue):
                _give_up(one, TimeoutError())
        if overdue > 0 and overdue == len(self._waiting):
            self.abort()  # nobody waits for anything here any more
        elif self._waiting:
            marks.append(self._answered + len(self._waiting))
            self._next_look = self._loop.call_later(self._part, self._look)
        else:
            self._next_look = None


def _give_up(one: asyncio.Future[Any] | _Together, failure: Exception) -> None:
    if not one.done():
        (one.give_up if isinstance(one, _Together) else one.set_result)(failure)
