"""A client that hangs up: the upstream is not kept busy for it, nothing of its request is left, its line says so."""

from __future__ import annotations

import json
import os
import pathlib
import random
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from gateway.auth import key_hash, new_key
from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import KEY, GatewayProcess

LIMITED = new_key()
LARGE = [f"{number}{'a' * 5_000}" for number in range(60)]
"""More than the server reads before anybody asks for it."""


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def running(fake: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    target = (
        "provider: openai, model: text-embedding-3-small, "
        f"base_url: '{fake.base_url}', api_key: {fake.api_key}, max_concurrency: 1"
    )
    models = f"small: {{targets: [{{{target}}}]}}"
    limits = "{concurrent: 1, tpm: 1000000}"
    keys = f"- {{name: limited, sha256: {key_hash(LIMITED)}, limits: {limits}}}"
    with GatewayProcess(tmp_path_factory.mktemp("hang"), models, keys=keys) as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def _clear(fake: FakeOpenAI) -> None:
    fake.clear()


def request(name: str, text: str | list[str] = "x", key: str = KEY) -> bytes:
    body = json.dumps({"model": "small", "input": text}).encode()
    return (
        f"POST /v1/embeddings HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\nx-request-id: {name}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def connected(gateway: GatewayProcess, sent: bytes) -> socket.socket:
    url = httpx.URL(gateway.root_url)
    client = socket.create_connection((url.host, url.port or 80), timeout=60)
    client.sendall(sent)
    return client


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < until:
        time.sleep(0.01)
    return met


def load(http: httpx.Client) -> tuple[int, int]:
    """How many calls wait, and how many run."""
    stats = http.get("/v1/models/small").json()["stats"]
    return stats["queue_absolute"], stats["results_pending"]


def close(client: socket.socket) -> None:
    client.close()


def shut_down(client: socket.socket) -> None:
    """Only the sending side."""
    client.shutdown(socket.SHUT_WR)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()


@pytest.mark.parametrize("leave", [close, shut_down, reset])
@pytest.mark.parametrize("text", ["x", LARGE], ids=["small", "large"])
def test_call_is_cancelled(
    running: GatewayProcess, fake: FakeOpenAI, leave: Callable[[socket.socket], None], text: str | list[str]
) -> None:
    """The upstream sees its connection closed, the request's line says 499, and its slot is free for the next."""
    fake.behave(mishaps.never_answers())
    name = f"left-{leave.__name__}-{len(text)}"
    client = connected(running, request(name, text))
    assert fake.wait_until(lambda: len(fake.requests) == 1)
    leave(client)
    assert fake.wait_until(lambda: len(fake.abandoned) == 1)
    line = running.request_log(name)
    client.close()
    with running.client() as http:
        answer = http.post("/v1/embeddings", json={"model": "small", "input": "next"})

    assert (499, "tests", "small", None) == (line["status"], line["key"], line["model"], line.get("error"))
    assert 200 == answer.status_code


def test_waiting_call_is_forgotten(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """A call that waits for a slot leaves the line with its client, and is never sent."""
    fake.behave(mishaps.never_answers())
    first = connected(running, request("holds"))
    assert fake.wait_until(lambda: len(fake.requests) == 1)
    second = connected(running, request("waits"))
    with running.client() as http:
        assert eventually(lambda: load(http) == (1, 1))
        second.close()
        assert eventually(lambda: load(http) == (0, 1))
        first.close()
        assert eventually(lambda: load(http) == (0, 0))

    assert 1 == len(fake.requests)


def test_limits(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """Its place among the key's requests at a time is free again; its tokens stay spent, for they may be billed."""
    fake.behave(mishaps.never_answers())
    client = connected(running, request("limited", "one two three four five six seven eight", LIMITED))
    assert fake.wait_until(lambda: len(fake.requests) == 1)
    client.close()
    assert fake.wait_until(lambda: len(fake.abandoned) == 1)
    assert 499 == running.request_log("limited")["status"]  # now all of it is over
    with running.client(LIMITED) as http:
        answer = http.post("/v1/embeddings", json={"model": "small", "input": "next"})

        def used() -> tuple[int, int, int]:
            total = http.get("/v1/usage").json()["total"]
            return total["requests"], total["errors"], total["tokens"]

        assert 200 == answer.status_code
        assert eventually(lambda: used() == (2, 1, 8 + 1))


def test_half_a_body(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """Who leaves before all is sent has a line, too."""
    whole = request("half", "x" * 1000)
    connected(running, whole[:-500]).close()

    assert (499, []) == (running.request_log("half")["status"], fake.requests)


def test_pipelined(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """Of a client that sent two requests at once and left, nothing is left."""
    fake.behave(mishaps.slow(0.2), times=None)
    connected(running, request("pipelined-1") + request("pipelined-2")).close()
    assert running.request_log("pipelined-1")["status"] in (200, 499)
    fake.behave(mishaps.slow(0), times=None)
    with running.client() as http:
        assert eventually(lambda: load(http) == (0, 0))


def test_a_crowd(running: GatewayProcess, fake: FakeOpenAI) -> None:
    """After 200 clients have left at any moment their sockets are closed, nobody waits, and nothing runs."""
    chance = random.Random(7)  # noqa: S311 (no secret)
    with running.client() as http:
        assert eventually(lambda: load(http) == (0, 0))
        before = len(os.listdir(f"/proc/{running.pid}/fd"))
        fake.behave(mishaps.slow(0.005), times=None)
        for number in range(200):
            client = connected(running, request(f"crowd-{number}"))
            time.sleep(chance.random() * 0.01)
            client.close()
        idle = eventually(lambda: load(http) == (0, 0))
        most = before + 4  # some kept ones to the upstream
        sockets = eventually(lambda: len(os.listdir(f"/proc/{running.pid}/fd")) <= most)
    lines = [line for line in running.log if line.get("id", "").startswith("crowd-")]

    assert (True, True) == (idle, sockets)
    assert {line["status"] for line in lines} <= {200, 499}
    assert 499 in {line["status"] for line in lines}


def test_an_operators_change_is_carried_out(tmp_path: pathlib.Path) -> None:
    """Who leaves while a key is made has made it."""
    admin = "an-admin-key-of-some-length"
    body = json.dumps({"name": "made"}).encode()
    head = (
        f"POST /admin/keys HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {admin}\r\nx-request-id: made\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    models = "local: {normalize: true, targets: [{provider: static, path: wordllama}]}"
    with GatewayProcess(tmp_path, models, access=f"admin_key: {admin}") as gateway:
        client = connected(gateway, head + body)
        client.recv(1)
        client.close()
        with gateway.client(admin) as http:
            names = [key["name"] for key in http.get("/admin/keys").json()["data"]]

    assert "made" in names
