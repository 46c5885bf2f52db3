"""Workers over one Redis: one that is killed takes nobody with it, and is replaced."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from gateway.auth import key_hash, new_key
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import GatewayProcess
from tests.test_process import SMALL, TWO, models

CALLERS = 4
HELD = new_key()
GRANTED = f"- {{name: held, sha256: {key_hash(HELD)}, limits: {{concurrent: 2}}}}"


def workers_of(gateway: GatewayProcess) -> set[int]:
    children = pathlib.Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return {int(pid) for pid in children if "spawn_main" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()}


def connections(pid: int) -> int:
    """Sockets that a process has open; what it closes meanwhile is none."""
    folder, found = pathlib.Path(f"/proc/{pid}/fd"), 0
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):
            found += os.readlink(folder / name).startswith("socket:")
    return found


@dataclass(slots=True)
class Load:
    """Callers with a connection each that is kept, until they are told to stop."""

    statuses: list[int] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    """The callers whose connection broke, as often as it did."""
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, gateway: GatewayProcess, caller: int) -> None:
        with gateway.client() as http:
            while not self.stop.is_set():
                try:
                    answer = http.post("/v1/embeddings", json={"model": "local", "input": "x"})
                except httpx.TransportError:
                    self.broken.append(caller)
                else:
                    self.statuses.append(answer.status_code)


def test_killed_under_load(tmp_path: pathlib.Path) -> None:
    """Kill -9 breaks the dead worker's own connections, once each; another one comes, and what it held comes back."""
    load = Load()
    with RedisServer(tmp_path / "redis") as redis, FakeOpenAI() as fake, ThreadPoolExecutor(CALLERS + 2) as pool:
        fake.behave(mishaps.never_answers(), times=None)
        state = f"url: '{redis.url}'"
        with GatewayProcess(
            tmp_path,
            models(fake),
            state=state,
            server="timeout: 10s",  # so long what is held is held, however slow the machine is
            keys=GRANTED,
            arguments=TWO,
            may_complain=True,
            python=[sys.executable],
        ) as gateway:

            def hold() -> int:
                with gateway.client(HELD) as http:
                    return http.post("/v1/embeddings", json={"model": SMALL, "input": "x"}).status_code

            def held() -> int:
                with gateway.client(HELD) as http:
                    return http.post("/v1/embeddings", json={"model": "local", "input": "x"}).status_code

            try:
                before = {worker: connections(worker) for worker in workers_of(gateway)}
                for caller in range(CALLERS):
                    pool.submit(load.run, gateway, caller)
                eventually(lambda: len(load.statuses) > 10 * CALLERS)
                victim = max(before, key=lambda worker: connections(worker) - before[worker])  # it has callers
                running = [pool.submit(hold) for _ in range(2)]
                assert fake.wait_until(lambda: len(fake.requests) == 2)
                full = held()
                os.kill(victim, signal.SIGKILL)
                after = len(load.statuses)
                eventually(lambda: len(load.statuses) > after + 10 * CALLERS)
                load.stop.set()
                eventually(lambda: len(workers_of(gateway) - before.keys()) == 1)
                (new,) = workers_of(gateway) - before.keys()
                eventually(lambda: _answers(gateway, new))
                eventually(lambda: held() == 200)
                for run in running:
                    run.exception()
            finally:
                load.stop.set()  # else a failure would be waited for in vain

    assert 429 == full
    assert {200} == set(load.statuses)
    assert load.broken
    assert len(set(load.broken)) == len(load.broken)


def _answers(gateway: GatewayProcess, worker: int) -> bool:
    """Whether one of many new connections is a worker's."""
    idle = connections(worker)
    with gateway.client() as http, gateway.client() as other:
        for client in (http, other):
            client.get("/health/live").raise_for_status()
        return connections(worker) > idle
