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
from tests.fakes.redis_server import eventually
from tests.gateway_process import GatewayProcess

CLIENTS = 6
CHECKED_EVERY = 0.05
FALL = 2
"""Failed checks after which a replica gets no more requests."""


class Replica:
    """One place behind the balancer, and the process that fills it now."""

    def __init__(self, start: Callable[[], GatewayProcess]) -> None:
        self._start = start
        self._news = threading.Condition()
        self._on_their_way = 0
        self.failed = FALL
        self.process = start().__enter__()

    def check(self) -> None:
        """Whoever gets no more requests is asked again when those that were meant for it have been sent."""
        try:
            ready = httpx.get(f"{self.process.root_url}/health/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            ready = False
        with self._news:
            self.failed = 0 if ready else self.failed + 1
            if self.failed >= FALL:
                self._news.wait_for(lambda: self._on_their_way == 0)

    def take(self) -> bool:
        """Whether it gets a request, which is then on its way until `sent`."""
        with self._news:
            self._on_their_way += self.failed < FALL
            return self.failed < FALL

    def sent(self) -> None:
        with self._news:
            self._on_their_way -= 1
            self._news.notify_all()

    def stop(self) -> None:
        self.process.__exit__(None, None, None)

    def restart(self) -> None:
        self.stop()
        self.process = self._start().__enter__()


class Once:
    """Does something when it is first called."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._actions = [action]

    def __call__(self) -> None:
        if self._actions:
            self._actions.pop()()


class Balancer:
    """Shares requests among the replicas whose last checks succeeded; it keeps connections, and tries nothing twice."""

    def __init__(self, replicas: list[Replica]) -> None:
        self.replicas = replicas
        self.outcomes: list[str] = []
        """What became of each request."""
        self.stopped = threading.Event()
        self._turns = itertools.count()

    def check(self) -> None:
        while not self.stopped.wait(CHECKED_EVERY):
            for replica in self.replicas:
                replica.check()

    def wait_until_all_serve(self) -> None:
        eventually(lambda: not any(replica.failed for replica in self.replicas))
        enough = len(self.outcomes) + 10 * CLIENTS
        eventually(lambda: len(self.outcomes) >= enough)

    def pick(self) -> Replica:
        return self.replicas[next(self._turns) % len(self.replicas)]

    def client(self) -> None:
        """One request after the other until all is stopped."""
        kept: dict[str, httpx.Client] = {}
        while not self.stopped.is_set():
            replica = self.pick()
            if not replica.take():
                time.sleep(0.001)
                continue
            url = replica.process.root_url
            if url not in kept:
                kept[url] = replica.process.client()
            http, sent = kept[url], Once(replica.sent)

            def follow(event: str, _: object, sent: Once = sent) -> None:
                if event.endswith(".send_request_body.complete"):
                    sent()

            try:
                answer = http.post(
                    "/v1/embeddings", json={"model": "small", "input": "x"}, extensions={"trace": follow}
                )
                self.outcomes.append(str(answer.status_code))
            except httpx.TransportError as error:
                self.outcomes.append(type(error).__name__)
            finally:
                sent()
        for http in kept.values():
            http.close()


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
            balancer.wait_until_all_serve()
            first.restart()
            balancer.wait_until_all_serve()
            second.stop()
        finally:
            balancer.stopped.set()
            for client in clients:
                client.result()
            first.stop()

    print(dict(Counter(balancer.outcomes)))
    assert {"200"} == set(balancer.outcomes)
