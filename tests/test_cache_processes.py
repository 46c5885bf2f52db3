"""Two real gateways over one real Redis: what one has embedded the other need not, and Redis may come and go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import GatewayProcess

ADMIN = "an admin key of the tests"
ONLY_IF_CACHED = {"cache-control": "only-if-cached"}


@dataclass
class Replicas:
    gateways: Sequence[GatewayProcess]
    redis: RedisServer
    upstream: FakeOpenAI

    def embed(self, replica: int, *texts: str, **headers: str) -> httpx.Response:
        with self.gateways[replica].client() as http:
            return http.post("/v1/embeddings", json={"model": "small", "input": texts}, headers=headers)

    def command(self, *arguments: str) -> str:
        config = str(self.gateways[0].config)
        return CliRunner().invoke(main, ["cache", *arguments, "--config", config], catch_exceptions=False).output

    def admin(self, method: str) -> httpx.Response:
        with self.gateways[1].client(ADMIN) as http:
            return http.request(method, "/admin/cache")

    def hits_everywhere(self, text: str) -> bool:
        return all(self.embed(replica, text).headers["x-embedding-cache"] == "1/1" for replica in (0, 1))


@pytest.fixture(scope="module")
def running(running_openai: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    target = f"provider: openai, base_url: '{running_openai.base_url}', api_key: {running_openai.api_key}"
    models = f"small: {{targets: [{{model: text-embedding-3-small, {target}}}]}}"
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        first, second = (
            GatewayProcess(
                tmp_path_factory.mktemp("replica"),
                models,
                state=f"url: '{redis.url}'",
                access=f"admin_key: {ADMIN}",
                sections="cache: {memory: 10MiB}",
                may_complain=True,
            )
            for _ in range(2)
        )
        with first, second:
            yield Replicas([first, second], redis, running_openai)


@pytest.fixture
def replicas(running: Replicas) -> Replicas:
    running.upstream.clear()
    return running


def asked(replicas: Replicas) -> list[object]:
    return [request.body["input"] for request in replicas.upstream.requests]


def test_shared_and_cleared(replicas: Replicas) -> None:
    """What one replica has sent the other finds; `gateway cache clear` and DELETE /admin/cache end that for both."""
    answers = []
    for clear in (lambda: replicas.command("clear"), lambda: replicas.admin("DELETE").text, None):
        answers.append(replicas.embed(0, "shared a", "shared b"))
        # It is written beside the answer, and a look-up may be late on a machine that does much else.
        eventually(lambda: replicas.embed(1, "shared a", "shared b", **ONLY_IF_CACHED).status_code == 200)
        answers.append(replicas.embed(1, "shared b", "shared a", "shared b"))
        if clear is not None:
            assert "lear" in clear()
            eventually(lambda: replicas.embed(0, "shared a", **ONLY_IF_CACHED).status_code == 504)
            eventually(lambda: replicas.embed(1, "shared a", **ONLY_IF_CACHED).status_code == 504)
    # as what they are: a number that came as text goes out with the digits that it came with, unless it was kept
    vectors = [
        [np.array(item["embedding"], np.float32).tobytes() for item in answer.json()["data"]] for answer in answers
    ]
    told = [(answer.headers["x-embedding-cache"], answer.headers["x-embedding-target"]) for answer in answers]

    assert [("0/2", "openai-0"), ("3/3", "cache")] * 3 == told
    assert [[a, b] for a, b in [vectors[0]] * 3] == vectors[::2]
    assert [[b, a, b] for a, b in [vectors[0]] * 3] == vectors[1::2]
    assert [["shared a", "shared b"]] * 3 == asked(replicas)


def test_told(replicas: Replicas) -> None:
    """`gateway cache stats` and GET /admin/cache tell of both replicas."""
    replicas.embed(0, "told")
    replicas.embed(0, "told")
    eventually(lambda: json.loads(replicas.command("stats", "--json"))["processes"] == 2)
    found = replicas.admin("GET").json()

    assert (2, 20 * 2**20, "small") == (found["processes"], found["memory"]["limit"], found["models"][0]["model"])
    assert "HITS" in replicas.command("stats")


def test_redis_stands_still(replicas: Replicas) -> None:
    """While Redis takes connections and answers nothing, requests are answered all the same, and soon."""
    replicas.embed(0, "known to the first")
    with replicas.redis.paused():
        before = time.monotonic()
        answers = [replicas.embed(0, "known to the first"), *(replicas.embed(1, f"unknown {n}") for n in range(20))]
        seconds = time.monotonic() - before
    late = [dict(each.split(";dur=") for each in answer.headers["server-timing"].split(", ")) for answer in answers]

    assert ({200}, "1/1") == ({each.status_code for each in answers}, answers[0].headers["x-embedding-cache"])
    assert sorted(float(each["cache"]) for each in late)[10] < 100, (late, seconds)


def test_redis_dies(replicas: Replicas) -> None:
    """Without Redis every request is answered from memory or upstream; when it is back, it is shared again."""
    replicas.embed(0, "kept by the first")
    replicas.redis.kill()
    answers = [replicas.embed(replica, text) for replica in (0, 1) for text in ("kept by the first", "new", "new")]
    replicas.redis.start()
    eventually(lambda: replicas.embed(0, "after all").status_code == 200 and replicas.hits_everywhere("after all"))

    assert [200] * 6 == [answer.status_code for answer in answers]
    assert ["1/1", "0/1", "1/1", "0/1", "0/1", "1/1"] == [answer.headers["x-embedding-cache"] for answer in answers]
