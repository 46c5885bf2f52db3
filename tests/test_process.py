"""A good process: it stops when told, finishes what runs, keeps to its memory, and shares its port among workers."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import eventually
from tests.gateway_process import KEY, PYTHON, GatewayProcess

SMALL = "text-embedding-3-small"
TWO = ("--workers", "2")
APART = "allow_unshared: true"
LOCAL = "local: {normalize: true, targets: [{provider: static, path: wordllama}]}"


def models(fake: FakeOpenAI) -> str:
    target = f"{{provider: openai, base_url: '{fake.base_url}', api_key: {fake.api_key}, base64: true}}"
    return f"{SMALL}: {{targets: [{target}]}}\n{LOCAL}"


def test_live(http: httpx.Client) -> None:
    """A process that answers is live."""
    assert (200, {"status": "live"}) == ((answer := http.get("/health/live")).status_code, answer.json())


def test_ready(gateway: GatewayProcess) -> None:
    """Readiness needs no key."""
    with gateway.client(None) as http:
        assert (200, {"status": "ready"}) == ((answer := http.get("/health/ready")).status_code, answer.json())


def test_stop_finishes_what_runs(tmp_path: pathlib.Path) -> None:
    """After SIGTERM the process is not ready, still answers, finishes the running request, and ends."""
    release = threading.Event()

    async def held(exchange: object) -> None:
        import asyncio

        await asyncio.to_thread(release.wait)
        await mishaps.slow(0)(exchange)  # type: ignore[arg-type]

    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake)) as gateway:
        fake.behave(held)
        with gateway.client() as slow, gateway.client() as other, ThreadPoolExecutor(1) as pool:
            running = pool.submit(slow.post, "/v1/embeddings", json={"model": SMALL, "input": "x"})
            assert fake.wait_until(lambda: len(fake.requests) == 1)
            gateway.terminate()
            while (ready := other.get("/health/ready")).status_code == 200:
                pass
            meanwhile = other.post("/v1/embeddings", json={"model": "local", "input": "x"})
            release.set()
            finished = running.result()
        gateway.wait()

    assert (503, "close", 200, 200) == (
        ready.status_code,
        ready.headers["connection"],
        meanwhile.status_code,
        finished.status_code,
    )


def test_stop_does_not_wait_for_ever(tmp_path: pathlib.Path) -> None:
    """A request that does not finish within the drain time is told to be sent again."""
    with (
        FakeOpenAI() as fake,
        GatewayProcess(tmp_path, models(fake), server="drain: 400ms", may_complain=True) as gateway,
    ):
        fake.behave(mishaps.never_answers())
        with gateway.client() as http, ThreadPoolExecutor(1) as pool:
            running = pool.submit(http.post, "/v1/embeddings", json={"model": SMALL, "input": "x"})
            assert fake.wait_until(lambda: len(fake.requests) == 1)
            gateway.terminate()
            gateway.wait()
            left = running.result()

    assert (503, "overloaded") == (left.status_code, left.json()["error"]["code"])


@pytest.mark.parametrize("workers", [(), TWO], ids=["one", "two"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_right_away(tmp_path: pathlib.Path, number: signal.Signals, workers: tuple[str, ...]) -> None:
    """Once announced the process minds its signals: it ends without a complaint, and promptly."""
    with GatewayProcess(tmp_path, LOCAL, state=APART, arguments=workers) as gateway:
        os.kill(gateway.pid, number)
        code = gateway.wait()

    assert code in (0, -number)


@pytest.mark.parametrize("workers", [(), TWO], ids=["one", "two"])
def test_announced_when_it_serves(tmp_path: pathlib.Path, workers: tuple[str, ...]) -> None:
    """Once announced the process answers: it is asked a single time."""
    with GatewayProcess(tmp_path, LOCAL, state=APART, arguments=workers) as gateway, gateway.client() as http:
        status = http.get("/v1/models").status_code

    assert 200 == status


def test_workers(tmp_path: pathlib.Path) -> None:
    """Several workers answer on one port, and stop together."""
    with GatewayProcess(tmp_path, LOCAL, state=APART, arguments=TWO) as gateway, ThreadPoolExecutor(16) as pool:

        def embed(number: int) -> int:
            with gateway.client() as http:
                return http.post("/v1/embeddings", json={"model": "local", "input": f"text {number}"}).status_code

        statuses = set(pool.map(embed, range(100)))

    assert {200} == statuses


def test_worker_is_replaced(tmp_path: pathlib.Path) -> None:
    """A worker that dies is replaced, and the port goes on answering."""
    with GatewayProcess(tmp_path, LOCAL, state=APART, arguments=TWO, may_complain=True) as gateway:
        with gateway.client() as http:
            http.post("/v1/embeddings", json={"model": "local", "input": "x"}).raise_for_status()
        children = pathlib.Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
        workers = [pid for pid in children if "spawn_main" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
        os.kill(int(workers[0]), signal.SIGKILL)
        with gateway.client(transport=httpx.HTTPTransport(retries=3)) as http:
            status = http.post("/v1/embeddings", json={"model": "local", "input": "x"}).status_code

    assert (2, 200) == (len(workers), status)


def memory(pid: int) -> int:
    """Resident bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def calls(gateway: GatewayProcess, model: str, count: int) -> None:
    """So many requests on one connection, by the leanest client there is."""
    connection = http.client.HTTPConnection(gateway.root_url.removeprefix("http://"), timeout=60)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    for number in range(count):
        body = json.dumps({"model": model, "input": [f"text {number}"], "encoding_format": "base64"})
        connection.request("POST", "/v1/embeddings", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


@pytest.mark.parametrize("model", ["local", SMALL])
def test_nothing_grows(tmp_path: pathlib.Path, model: str) -> None:
    """10,000 sequential requests, then as many from 64 callers, leave memory and descriptors where they were."""
    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake)) as gateway, ThreadPoolExecutor(64) as pool:
        calls(gateway, model, 1)  # the event loop opens one of its own with the first connection out
        idle = descriptors(gateway.pid)
        for _ in pool.map(lambda _: calls(gateway, model, 25), range(64)):  # warm: connections, threads, caches
            fake.requests.clear()
        before = memory(gateway.pid)
        for _ in range(10):
            calls(gateway, model, 1_000)
            fake.requests.clear()
        for _ in pool.map(lambda _: calls(gateway, model, 156), range(64)):
            fake.requests.clear()
        after = memory(gateway.pid)
        kept = idle + 64  # the kept connections to the upstream, at most one a caller
        eventually(lambda: descriptors(gateway.pid) <= kept)  # the clients' are let go when their ends are seen

    print(f"{model}: {before / 2**20:.1f} → {after / 2**20:.1f} MiB")
    assert after < before + 10 * 2**20


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["one", "two"])
def test_what_cannot_be_brought_up(tmp_path: pathlib.Path, command: str, workers: list[str]) -> None:
    """A model whose files are not there is told in one line, and nothing is announced."""
    file = tmp_path / "gateway.yaml"
    models = "models: {m: {dimensions: {native: 4}, targets: [{provider: static, path: ./nowhere}]}}"
    file.write_text(f"state: {{{APART}}}\n{models}")
    arguments = (
        ["serve", "--port", "0", *workers, "--config", str(file)] if command == "serve" else ["check", str(file)]
    )
    finished = subprocess.run([*PYTHON, "-m", "gateway", *arguments], capture_output=True, text=True, timeout=150)

    assert (1, "", 1, True) == (
        finished.returncode,
        finished.stdout,
        finished.stderr.count("\n"),
        "nowhere` is no folder" in finished.stderr,
    )


def test_log_for_people(tmp_path: pathlib.Path) -> None:
    """With `--log-format console` a request is one line for people, without colours where there is no terminal."""
    with GatewayProcess(tmp_path, LOCAL, arguments=("--log-format", "console")) as gateway, gateway.client() as http:
        http.post("/v1/embeddings", json={"model": "local", "input": "a"})
    (line,) = gateway.stderr.splitlines()

    assert re.fullmatch(r"[\d:.]{12} 200 +[\d.]+ ms  POST /v1/embeddings  tests  local  id=.*", line)
