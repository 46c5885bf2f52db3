"""Minutes of mixed load on one gateway, whose memory, tasks, objects and sockets must not grow.

    .venv/bin/python -m bench.soak [--seconds 300] [--every 10] [--connections 32]

Requests of every size and encoding, hits and misses, over plain, slow and TLS upstreams and the local model, some with
clients that hang up. It prints what the process holds; at the end it compares the last third with the one before it,
while nothing runs, and exits with 1 where something has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Final

from bench import checking, gateways
from bench.house import House, MissingError, find_tools, running, written
from bench.loads import FRESH, GATEWAY, LOADS, Load
from bench.programs import Program, StartError

NAMES: Final = ("memory MB", "tasks", "objects", "sockets")
GROWTH: Final = (1.03, 1.10, 1.03, 1.10)
SLACK: Final = (4.0, 5.0, 3000.0, 5.0)
"""How much larger the last third may be, as a factor and then by a number: caches fill, pools breathe."""
HANG_UP: Final = 0.01


def mixture() -> list[Load]:
    """The loads of `bench/run`, and single texts that are never cached yet.

    Without those that want a part of many texts cached: once one is forgotten, static answers do not fit any more.
    """
    found = [load for load in LOADS if gateways.HAS_LOCAL or load.model != "local"]
    found = [load for load in found if load.inputs == 1 or load.texts == "fresh" or not load.model.startswith("cached")]
    return [*found, Load("1 × base64, not cached", "cached-b1", 1, "base64", 1, (), texts="fresh")]


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds at one time; memory in MB."""

    memory: float
    tasks: float
    objects: float
    sockets: float


@dataclass
class Traffic:
    """Mixed requests over kept connections until the time is over; `done` are those answered with 200."""

    port: int
    loads: Sequence[Load]
    done: int = 0
    hung_up: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    async def run(self, number: int, until: float) -> None:
        chance, count = random.Random(number), itertools.count()  # noqa: S311
        while time.monotonic() < until:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                for _ in range(chance.randrange(1, 200)):
                    load = chance.choice(self.loads)
                    writer.write(_request(load, f"{number}-{next(count)}"))
                    if chance.random() < HANG_UP:
                        self.hung_up += 1
                        break
                    status, body = await _answer(reader)
                    self.done += status == 200
                    if status != 200:
                        self.failures[f"{load.name}: {status} {body[:300].decode()}"] += 1
                    if time.monotonic() >= until:
                        break
            finally:
                writer.close()


def _request(load: Load, fresh: str) -> bytes:
    body = load.body(load.model).replace(FRESH.encode(), fresh.encode())
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {gateways.KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    body = await reader.readexactly(int(length.split(b":")[1]))
    return int(head.split(b" ", 2)[1]), body


async def held(server: Program, told: pathlib.Path) -> Held:
    """Asked while no request runs."""
    await asyncio.sleep(0.5)  # for connections that have just ended
    return await asyncio.to_thread(_held, server, told)


def _held(server: Program, told: pathlib.Path) -> Held:
    lines = len(_lines(told))
    server.tell(signal.SIGUSR1)
    while len(_lines(told)) == lines:
        time.sleep(0.05)
    tasks, objects = map(float, _lines(told)[-1].split())
    return Held(server.memory() / 1e6, tasks, objects, float(server.sockets()))


def _lines(told: pathlib.Path) -> list[str]:
    """The whole lines of a file that is being written."""
    text = told.read_text() if told.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def grown(samples: Sequence[Held]) -> list[str]:
    """What the last third holds more of than the third before it, by medians; the first third is for warming up."""
    third = len(samples) // 3
    problems = []
    columns = list(zip(*map(astuple, samples), strict=True))
    for name, column, factor, slack in zip(NAMES, columns, GROWTH, SLACK, strict=True):
        before, after = statistics.median(column[third : 2 * third]), statistics.median(column[2 * third :])
        if after > before * factor + slack:
            problems.append(f"{name} grew from {before:,.0f} to {after:,.0f}")
    return problems


async def soak(house: House, told: pathlib.Path, seconds: float, every: float, connections: int) -> list[str]:
    server = house.servers[GATEWAY]
    traffic = Traffic(server.port, mixture())
    began = time.monotonic()
    samples: list[Held] = []
    print("seconds  requests  failed  hung up  " + "  ".join(NAMES))
    while time.monotonic() - began < seconds:
        until = time.monotonic() + every
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                group.create_task(traffic.run(len(samples) * connections + number, until))
        samples.append(await held(server, told))
        server.forget_log()
        counts = f"{traffic.done:9,} {traffic.failures.total():7} {traffic.hung_up:8}"
        now = samples[-1]
        print(
            f"{time.monotonic() - began:7.0f} {counts}  {now.memory:9.1f}  {now.tasks:5.0f}  {now.objects:7.0f}  "
            f"{now.sockets:7.0f}",
            flush=True,
        )
    problems = grown(samples)
    return problems + [f"{count} times {failure}" for failure, count in traffic.failures.most_common(10)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    if given.seconds < 3 * given.every:
        parser.error("--seconds must be at least three times --every")
    try:
        with tempfile.TemporaryDirectory(prefix="gateway-soak-") as name:
            folder = pathlib.Path(name)
            told = folder / "told"
            house = written(find_tools(), folder, {GATEWAY}, watched=told)
            with running(house):
                checking.ready(house.servers[GATEWAY])
                problems = asyncio.run(soak(house, told, given.seconds, given.every, given.connections))
    except (MissingError, StartError, checking.WrongError) as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(problems) or "Nothing has grown.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
