"""What happens above capacity: answers in time at one, two and three times the load that an upstream can take.

    .venv/bin/python -m bench.overload [--seconds 10] [--deadline-ms 500] [--slots 8]

A real gateway process stands before a fake upstream that takes 50 ms a call and eight calls at a time: 160 requests a
second. It needs a machine that is idle: where processors are what there is too little of, it measures them instead.
Requests come in an open loop, at even distances whatever became of the ones before, each with its deadline.
`good` are those answered with vectors in time. It prints what came of them, how long refusals took, and how long the
gateway's process computed for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import KEY, GatewayProcess

LATENCY = 0.05
SLOTS = 8


@dataclass
class Outcome:
    statuses: Counter[int] = field(default_factory=Counter)
    good: int = 0
    """Answered with vectors within the deadline."""
    taken: dict[int, list[float]] = field(default_factory=dict)
    """Seconds, by status."""

    def add(self, status: int, seconds: float, deadline: float) -> None:
        self.statuses[status] += 1
        self.good += status == 200 and seconds <= deadline
        self.taken.setdefault(status, []).append(seconds)

    def median(self, status: int) -> float:
        return statistics.median(self.taken.get(status, [float("nan")]))


class Client:
    """The leanest there is: one kept connection for each request that runs."""

    def __init__(self, gateway: GatewayProcess, deadline: float) -> None:
        self._address = gateway.root_url.removeprefix("http://").split(":")
        body = json.dumps({"model": "small", "input": "x", "encoding_format": "base64"}).encode()
        head = (
            f"POST /v1/embeddings HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n"
            f"x-request-timeout-ms: {deadline * 1000:.0f}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def embed(self) -> int:
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(*self._address)
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def load(gateway: GatewayProcess, rate: float, seconds: float, deadline: float) -> Outcome:
    """So many requests a second, for so long."""
    outcome, client = Outcome(), Client(gateway, deadline)

    async def one() -> None:
        began = time.monotonic()
        status = await client.embed()
        outcome.add(status, time.monotonic() - began, deadline)

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            group.create_task(one())
    client.close()
    return outcome


def processor_seconds(pid: int) -> float:
    """https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, fields 14 and 15"""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def models(fake: FakeOpenAI, slots: int = SLOTS) -> str:
    target = (
        f"provider: openai, model: text-embedding-3-small, base_url: '{fake.base_url}', api_key: {fake.api_key}, "
        f"base64: true, max_concurrency: {slots}"
    )
    return f"small: {{targets: [{{{target}}}]}}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--deadline-ms", type=float, default=500.0)
    parser.add_argument("--slots", type=int, default=SLOTS)
    given = parser.parse_args()
    deadline, capacity = given.deadline_ms / 1000, given.slots / LATENCY
    with tempfile.TemporaryDirectory() as folder, FakeOpenAI() as fake:
        fake.behave(mishaps.slow(LATENCY), times=None)
        with GatewayProcess(pathlib.Path(folder), models(fake, given.slots), python=[sys.executable]) as gateway:
            asyncio.run(load(gateway, capacity / 2, 2.0, deadline))  # warm
            peak = 0.0
            print("  load  asked/s   good/s  of peak    200    503    504  503 in ms  cpu ms")
            for times in (0.5, 0.9, 1.0, 1.5, 2.0, 3.0):
                used = processor_seconds(gateway.pid)
                outcome = asyncio.run(load(gateway, times * capacity, given.seconds, deadline))
                used = (processor_seconds(gateway.pid) - used) / sum(outcome.statuses.values())
                good = outcome.good / given.seconds
                peak = max(peak, good)
                counts = [outcome.statuses[status] for status in (200, 503, 504)]
                print(
                    f"{times:5.1f}x {times * capacity:8.0f} {good:8.1f} {good / peak:8.0%} "
                    f"{counts[0]:6} {counts[1]:6} {counts[2]:6} {outcome.median(503) * 1000:10.1f} "
                    f"{used * 1000:7.2f}"
                )


if __name__ == "__main__":
    main()
