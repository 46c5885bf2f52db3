"""One connection, which carries one exchange at a time: bytes out, bytes in, a deadline, and nothing left behind."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final, cast

from gateway import lockstep
from gateway.answer_bytes import AnswerBytes
from gateway.exchange_faults import TIMED_OUT
from providers.base import Fault, Response

JOINED: Final = 2**14
"""Bytes; a smaller body goes out in one piece with its head, which costs less than a second system call."""
PIECE: Final = 2**18
"""Bytes of a large body that the transport is given at a time, so that it never holds a copy of all of it."""
_EARLY: Final = 0.001
"""Seconds that an event loop may ring before the time."""
_NOTHING: Final = memoryview(b"")


class Channel(asyncio.BufferedProtocol):
    """`scratch` may be shared by all connections of one event loop, which reads and hands over in one go.

    `on_lost` is called once, when the connection is closed and no longer known to the event loop.
    """

    def __init__(self, scratch: memoryview, on_lost: Callable[[Channel], None]) -> None:
        self._scratch = scratch
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: AnswerBytes | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = math.inf
        self._unsent = _NOTHING
        self._paused = False
        self._gone = False
        self.idle_since = 0.0
        """On the event loop's clock; only meant while it is idle."""

    async def exchange(self, head: bytes, body: bytes, deadline: float, most: int) -> Response | Fault | None:
        """None where the connection closed without a byte of an answer; whoever is cancelled closes it.

        Afterwards the connection is open if it can carry another exchange, and closed if not.
        """
        transport = self._transport
        if transport is None or self._gone:
            return None
        answer = self._answer = AnswerBytes(most)
        waiter = self._waiter = self._loop.create_future()
        self._deadline = deadline
        if deadline < self._alarm_at:
            self._set_alarm()
        try:
            self._write(transport, head, body)
            await waiter
        except BaseException:  # it may be whole already, but nobody takes it, nor gives the connection back
            self.abort()
            raise
        finally:
            self._answer = self._waiter = None
            sent, self._unsent = not self._unsent, _NOTHING
        if not (sent and answer.reusable):
            self.abort()
        if answer.done:
            return answer.outcome
        return None if self._gone else TIMED_OUT

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """At once: neither what is unsent nor a goodbye of TLS is waited for."""
        if self._transport is not None:
            self._transport.abort()

    # ── the deadline ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _set_alarm(self) -> None:
        """It stays set when an exchange is over, and is set anew when it rings: mostly each deadline is a later one."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._deadline
        self._alarm = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._alarm, self._alarm_at = None, math.inf
        if self._waiter is None:
            return
        if self._deadline <= self._loop.time() + _EARLY:
            self._wake()
        else:
            self._set_alarm()

    # ── sending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        if len(body) <= JOINED:
            transport.write(head + body)
            return
        transport.write(head)
        self._unsent = memoryview(body)
        self._send_on(transport)

    def _send_on(self, transport: asyncio.Transport) -> None:
        while self._unsent and not self._paused and not transport.is_closing():
            piece, self._unsent = self._unsent[:PIECE], self._unsent[PIECE:]
            transport.write(piece)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._send_on(self._transport)

    # ── receiving ─────────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which those of uvloop are in all but name

    def get_buffer(self, sizehint: int) -> memoryview:
        answer = self._answer
        return self._scratch if answer is None or answer.room is None else answer.room

    def buffer_updated(self, nbytes: int) -> None:
        answer = self._answer
        if answer is None:  # nobody asked for more
            self.abort()
            return
        if answer.room is not None:
            answer.fill(nbytes)
        else:
            answer.feed(self._scratch[:nbytes])
        if answer.done:
            self._answer = None
            self._wake()

    def eof_received(self) -> None:
        """Nothing is sent on a connection whose other direction has ended; TLS would wait long for a goodbye."""
        self._gone = True
        if self._answer is not None and not self._answer.untouched:
            self._answer.end()
        self._wake()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._answer is not None and not self._answer.untouched:
            self._answer.lose()
        self._wake()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._transport = None  # with TLS it holds this one, too, and a large buffer
        self._on_lost(self)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            lockstep.come(self._loop)
