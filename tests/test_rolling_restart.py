"""Replicas that are restarted one after the other, behind a balancer and under load, lose no request."""

from __future__ import annotations

import functools
import itertools
import pathlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import GatewayProcess

CLIENTS = 6
CHECKED_EVERY = 0.05
FALL = 2
"""Failed checks after which a replica gets no more requests."""


class Replica:
    """One place behind the balancer, and the process that fills it now."""

    def __init__(self, start: Callable[[], GatewayProcess]) -> None:
        self._start = start
        self.failed = FALL
        self.process = start().__enter__()

    def check(self) -> None:
        try:
            ready = httpx.get(f"{self.process.root_url}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            ready = False
        self.failed = 0 if ready else self.failed + 1

    def stop(self) -> None:
        self.process.__exit__(None, None, None)

    def restart(self) -> None:
        self.stop()
        self.process = self._start().__enter__()


class Balancer:
    """Shares requests among the replicas whose last checks succeeded; it keeps connections, and tries nothing twice."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self.stopped = threading.Event()
        self._turns = itertools.count()

    def check(self) -> None:
        while not self.stopped.wait(CHECKED_EVERY):
            for replica in self.replicas:
                replica.check()

    def wait_until_all_are_up(self) -> None:
        until = time.monotonic() + 20
        while any(replica.failed for replica in self.replicas) and time.monotonic() < until:
            time.sleep(CHECKED_EVERY)

    def pick(self) -> Replica:
        return self.replicas[next(self._turns) % len(self.replicas)]

    def client(self) -> Counter[str]:
        """One request after the other until all is stopped; what became of them."""
        outcomes: Counter[str] = Counter()
        kept: dict[str, httpx.Client] = {}
        while not self.stopped.is_set():
            replica = self.pick()
            if replica.failed >= FALL:
                time.sleep(0.001)
                continue
            url = replica.process.root_url
            http = kept.setdefault(url, replica.process.client())
            try:
                answer = http.post("/v1/embeddings", json={"model": "small", "input": "x"})
                outcomes[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                outcomes[type(error).__name__] += 1
        for http in kept.values():
            http.close()
        return outcomes


def test_nothing_is_lost(tmp_path: pathlib.Path) -> None:
    """Every request is answered while one replica is restarted, and then another one, of two workers, is stopped."""
    with FakeOpenAI() as fake, ThreadPoolExecutor(CLIENTS + 1) as pool:
        fake.behave(mishaps.slow(0.05), times=None)
        target = (
            f"{{provider: openai, model: text-embedding-3-small, base_url: '{fake.base_url}', api_key: {fake.api_key}}}"
        )
        folders = (tmp_path / f"{number}" for number in itertools.count())

        def start(workers: int) -> GatewayProcess:
            (folder := next(folders)).mkdir()
            models = f"small: {{targets: [{target}]}}"
            server = f"workers: {workers}\ndrain: 16s"
            return GatewayProcess(folder, models, server=server, state="url: sqlite:///g.db, allow_unshared: true")

        first, second = (Replica(functools.partial(start, workers)) for workers in (1, 2))
        balancer = Balancer([first, second])
        pool.submit(balancer.check)
        clients = [pool.submit(balancer.client) for _ in range(CLIENTS)]
        try:
            balancer.wait_until_all_are_up()
            first.restart()
            balancer.wait_until_all_are_up()
            second.stop()
        finally:
            balancer.stopped.set()
            outcomes = sum((client.result() for client in clients), Counter[str]())
            first.stop()

    print(dict(outcomes))
    assert {"200"} == set(outcomes)
    assert outcomes["200"] > 50
