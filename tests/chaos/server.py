"""The process of a `ChaosUpstream`: fake OpenAIs on ports of their own, which behave as the plans say that they get.

They are as strict as `FakeOpenAI`, whose rules and answers they share. Orders come over the standard input, a line of
JSON each, and so does the end: a process whose owner is gone stops by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import pathlib
import socket
import ssl
import sys
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.vocabulary import cl100k
from tests.chaos.connection import RawWire, converse
from tests.chaos.faults import FAULTS, throttled
from tests.chaos.plan import WELL, Fates, Plan
from tests.fakes import openai_replies, openai_rules
from tests.fakes.openai_rules import Refused
from tests.fakes.openai_upstream import Exchange, Recorded

API_KEY: Final = "sk-upstream-secret-0123456789"


@dataclass(slots=True)
class Counts:
    """What one of them has seen since it started, and what it sees now."""

    open: int = 0
    """Connections."""
    running: int = 0
    """Requests without a whole answer."""
    requests: int = 0
    left: int = 0
    """Requests whose client went away before the answer was whole."""
    befallen: Counter[str] = field(default_factory=Counter)
    """How many requests met each fault; `refused` for what the rules refuse, `rate` for what came too soon."""
    broken_rules: list[str] = field(default_factory=list)
    """What no HTTP client may send."""


class _Server:
    def __init__(self, seed: int, certificates: dict[bool, pathlib.Path] | None) -> None:
        self.counts = Counts()
        self._reserved = _reserved()
        self.port: int = self._reserved.getsockname()[1]
        self._plan = WELL
        self._turns = itertools.cycle(WELL.faults)
        self._fates = Fates(seed)
        self._seed = seed
        self._certificates = certificates
        self._listener: asyncio.Server | None = None
        self._writers: set[StreamWriter] = set()
        self._next_free = 0.0
        self._news = asyncio.Event()
        self._styles = itertools.count()

    async def follow(self, plan: Plan) -> None:
        moved = (plan.listening, plan.expired) != (self._plan.listening, self._plan.expired)
        self._plan, self._fates, self._turns = plan, Fates(self._seed), itertools.cycle(plan.faults)
        self._news.set()
        self._news = asyncio.Event()
        if moved or self._listener is None:
            await self._close()
            if plan.listening:
                await self._listen()

    async def _listen(self) -> None:
        context = None
        if self._certificates is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self._certificates[self._plan.expired])
        self._listener = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=context, backlog=1024, reuse_port=True
        )

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            for writer in self._writers:
                writer.transport.abort()
            self._listener = None

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.add(writer)
        self.counts.open += 1
        try:
            await converse(reader, writer, self._answer, self._on_left)
        except Exception as error:  # noqa: BLE001 (the test that reads the counts is told)
            self.counts.broken_rules.append(f"{type(error).__name__}: {error}")
        finally:
            self._writers.discard(writer)
            self.counts.open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _on_left(self) -> None:
        self.counts.left += 1

    async def _answer(self, request: Recorded, wire: RawWire) -> None:
        self.counts.requests += 1
        self.counts.running += 1
        try:
            openai_rules.check_address(request.method, request.path, "/v1/embeddings")
            openai_rules.check_key(request.headers.get("authorization"), API_KEY)
            asked = openai_rules.read_body(request.headers.get("content-type"), request.raw)
            await self._behave(Exchange(request, asked, wire))
        except Refused as refused:
            self.counts.befallen["refused"] += 1
            await wire.send(openai_replies.refusal(refused))
        finally:
            self.counts.running -= 1

    async def _behave(self, exchange: Exchange) -> None:
        plan = self._plan
        if (wait := self._wait(plan.rate)) > 0:
            self.counts.befallen["rate"] += 1
            await throttled(wait, next(self._styles))(exchange)
            return
        fate = self._fates.of(exchange.request.raw)
        fault = next(self._turns) if plan.faults and fate.random() < plan.share else None
        with contextlib.suppress(TimeoutError):  # whoever waits when another plan comes need not wait any more
            await asyncio.wait_for(self._news.wait(), plan.latency.draw(fate))
        if fault is None:
            await exchange.wire.send(exchange.right_reply())
        else:
            self.counts.befallen[fault] += 1
            await FAULTS[fault]()(exchange)

    def _wait(self, rate: float | None) -> float:
        """Seconds until a request would be taken; 0 takes it. A tenth of a second's requests may come at once."""
        if rate is None:
            return 0.0
        now = asyncio.get_running_loop().time()
        earliest = max(self._next_free, now - 0.1)
        if earliest > now:
            return earliest - now
        self._next_free = earliest + 1 / rate
        return 0.0


def _reserved() -> socket.socket:
    """Has a port that refuses connections, and that no other process is given while nobody listens there."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", 0))
    return made


# ── its process ───────────────────────────────────────────────────────────────────────────────────────────────────


async def _serve(seed: int, names: Sequence[str], certificates: dict[bool, pathlib.Path] | None) -> None:
    """Those whose names begin with `tls` speak TLS."""
    cl100k()
    servers = {name: _Server(seed, certificates if name.startswith("tls") else None) for name in names}
    for server in servers.values():
        await server.follow(WELL)
    _tell({name: server.port for name, server in servers.items()})
    orders = StreamReader(limit=2**20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        server = servers[order["name"]]
        if "plan" in order:
            await server.follow(Plan.unpacked(order["plan"]))
        counts = server.counts
        _tell({name: getattr(counts, name) for name in Counts.__slots__})


def _tell(value: object) -> None:
    print(json.dumps(value), flush=True)


def main() -> None:
    order = json.loads(sys.argv[1])
    certificates = {bool(int(expired)): pathlib.Path(file) for expired, file in order["certificates"].items()}
    asyncio.run(_serve(order["seed"], order["names"], certificates or None))


if __name__ == "__main__":
    main()
