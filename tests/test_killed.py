"""A gateway that is killed in the middle of its work, over both homes: what it had confirmed is there afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.auth import key_hash, new_key
from gateway.cli import main
from gateway.limits import LEASE_SECONDS
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import GatewayProcess
from tests.test_process import LOCAL

BUDGET = 50_000
CALLERS = 4
TIMEOUT = 5.0
"""Of a request, in seconds: as long a machine may stand still between its beginning and the kill."""
WORKING, HELD = new_key(), new_key()
GRANTED = f"""
- {{name: working, sha256: {key_hash(WORKING)}, budget: {{tokens: {BUDGET}, per: total}}}}
- {{name: held, sha256: {key_hash(HELD)}, limits: {{concurrent: 2}}, budget: {{tokens: 3, per: total}}}}
"""


@pytest.fixture(params=["sqlite", "redis"])
def state(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield "url: sqlite:///gateway.db"
        return
    with RedisServer(tmp_path / "redis") as server:
        yield f"url: '{server.url}'"


def gateway_with(folder: pathlib.Path, state: str, models: str = LOCAL, server: str = "") -> GatewayProcess:
    return GatewayProcess(folder, models, server=server, state=state, keys=GRANTED, may_complain=True)


def embed(gateway: GatewayProcess, key: str, text: str | list[str] = "word", model: str = "local") -> httpx.Response:
    with gateway.client(key) as http:
        return http.post("/v1/embeddings", json={"model": model, "input": text})


def create_key(gateway: GatewayProcess, name: str) -> str:
    return CliRunner().invoke(main, ["keys", "create", "--name", name, "--config", str(gateway.config)]).stdout.strip()


TEXT = "three words here"


@dataclass(slots=True)
class Load:
    """Callers who ask for one text after the other until nobody answers."""

    done: list[int] = field(default_factory=list)
    """The tokens that each answer told."""
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, gateway: GatewayProcess) -> None:
        with gateway.client(WORKING) as http, contextlib.suppress(httpx.TransportError):
            while True:
                with self.lock:
                    self.sent += 1
                answer = http.post("/v1/embeddings", json={"model": "local", "input": TEXT})
                self.done.append(answer.raise_for_status().json()["usage"]["total_tokens"])


def spent(gateway: GatewayProcess) -> int:
    """Of the working key's budget, by asking for more than there is."""
    refused = embed(gateway, WORKING, [f"{number}{' word' * 8000}" for number in range(7)])
    found = re.search(rf"(\d+) tokens are left of {BUDGET}", refused.json()["error"]["message"])
    assert found is not None, refused.text
    return BUDGET - int(found[1])


def usage(gateway: GatewayProcess) -> dict[str, Any]:
    with gateway.client(WORKING) as http:
        total: dict[str, Any] = http.get("/v1/usage").json()["total"]
        return total


def written(gateway: GatewayProcess) -> int:
    """Requests of the working key that the state has, which another process reads."""
    arguments = ["usage", "--json", "--key", "file:working", "--config", str(gateway.config)]
    told = CliRunner().invoke(main, arguments, catch_exceptions=False).stdout
    return int(json.loads(told)["total"]["requests"])


def test_killed_at_work(tmp_path: pathlib.Path, state: str) -> None:
    """After kill -9 in the middle of load keys are there, and budget and ledger have all but what came last."""
    load = Load()
    with ThreadPoolExecutor(CALLERS) as pool, gateway_with(tmp_path, state) as gateway:
        for _ in range(CALLERS):
            pool.submit(load.run, gateway)
        before = create_key(gateway, "before")
        eventually(lambda: len(load.done) > CALLERS)
        kept = len(load.done)
        eventually(lambda: written(gateway) >= kept)
        first = written(gateway)  # of this writing the budget may be still to come
        eventually(lambda: written(gateway) > first and len(load.done) > kept)
        late = create_key(gateway, "late")
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.wait()
    with gateway_with(tmp_path, state) as gateway:
        statuses = [embed(gateway, key).status_code for key in (before, late)]
        told, taken = usage(gateway), spent(gateway)

    each = load.done[0]

    assert [200, 200] == statuses
    assert 0 < kept < len(load.done) <= load.sent
    assert kept <= told["requests"] <= load.sent
    assert told["requests"] * each == told["tokens"]
    least, in_flight = len(load.done) if state.startswith("url: 'redis") else kept, CALLERS * len(TEXT)
    assert least * each <= taken <= load.sent * each + in_flight  # which stays spent as what it could have been at most


def test_leases_end(tmp_path: pathlib.Path) -> None:
    """Concurrent requests of a killed gateway come back when their time, and five seconds, are over; tokens do not."""
    with RedisServer(tmp_path / "redis") as redis, FakeOpenAI() as fake, ThreadPoolExecutor(2) as pool:
        target = f"{{provider: openai, base_url: '{fake.base_url}', api_key: {fake.api_key}}}"
        models = f"text-embedding-3-small: {{targets: [{target}]}}\n{LOCAL}"
        state = f"url: '{redis.url}'"
        fake.behave(mishaps.never_answers(), times=None)
        (tmp_path / "other").mkdir()
        with (
            gateway_with(tmp_path / "other", state, models) as other,
            gateway_with(tmp_path, state, models, f"timeout: {TIMEOUT:g}s") as gateway,
        ):
            reserved = time.monotonic()
            running = [pool.submit(embed, gateway, HELD, model="text-embedding-3-small") for _ in range(2)]
            assert fake.wait_until(lambda: len(fake.requests) == 2)
            begun = time.monotonic()
            os.kill(gateway.pid, signal.SIGKILL)
            gateway.wait()
            failed = [isinstance(run.exception(), httpx.TransportError) for run in running]
            full = embed(other, HELD)
            asked = time.monotonic()
            while embed(other, HELD).status_code != 200:
                assert asked - begun < TIMEOUT + LEASE_SECONDS + 1  # however long the answer took
                asked = time.monotonic()
            come_back = time.monotonic()
            again = [embed(other, HELD).status_code for _ in range(3)]

    assert [True, True] == failed
    assert (429, "requests") == (full.status_code, full.json()["error"]["type"])
    assert TIMEOUT + LEASE_SECONDS - 0.5 < come_back - reserved
    assert [429, 429, 429] == again  # of a budget of three tokens the dead ones keep two: they may have been billed
