"""Targets through the admin API of real gateways that share a Redis: seen in all, drained in all."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable

import httpx
import pytest

from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import RedisServer
from tests.gateway_process import GatewayProcess

ADMIN_KEY = "correct-horse-battery-staple"
SMALL = "text-embedding-3-small"


def until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true in a minute."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
    return True


def target_of(http: httpx.Client) -> str:
    answer = http.post("/v1/embeddings", json={"model": "m", "input": "x"})
    return str(answer.headers.get("x-embedding-target"))


def test_drain_in_every_replica(tmp_path: pathlib.Path) -> None:
    """A target drained at one gateway is asked by none, with every target drained there is a clear 503, and restored
    it is asked again; each gateway lists them all."""
    with FakeOpenAI() as upstream, RedisServer(tmp_path / "redis") as redis:
        targets = ", ".join(
            f"{{name: {name}, priority: {place}, provider: openai, model: {SMALL}, base_url: '{upstream.base_url}', "
            f"api_key: {upstream.api_key}}}"
            for place, name in enumerate(["first", "west/second"])
        )
        state, access = f"url: '{redis.url}'", f"admin_key: {ADMIN_KEY}"
        models = f"m: {{space: openai/{SMALL}, targets: [{targets}]}}"
        folders = [tmp_path / name for name in ("here", "there")]
        for folder in folders:
            folder.mkdir()
        here, there = (GatewayProcess(folder, models, state=state, access=access) for folder in folders)
        with here, there, here.client(ADMIN_KEY) as admin, here.client() as near, there.client() as far:
            before = (target_of(near), target_of(far))
            drained = admin.post("/admin/targets/drain", json={"model": "m", "target": "first"})
            at_once, later = target_of(near), until(lambda: target_of(far) == "west/second")
            admin.post("/admin/targets/drain", json={"model": "m", "target": "west/second"})
            without = near.post("/v1/embeddings", json={"model": "m", "input": "x"})
            ready = near.get("/health/ready")
            listed = until(lambda: len(admin.get("/admin/targets").json()["data"]) == 2)
            admin.post("/admin/targets/restore", json={"model": "m", "target": "first"})
            restored = (target_of(near), until(lambda: target_of(far) == "first"))

    assert before == ("first", "first")
    assert [(one["target"], one["state"]) for one in drained.json()["targets"]] == [
        ("first", "drained"),
        ("west/second", "closed"),
    ]
    assert (at_once, later, listed) == ("west/second", True, True)
    assert (without.status_code, without.json()["error"]["code"]) == (503, "upstream_unavailable")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "unavailable": ["m"]})
    assert restored == ("first", True)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"model": "small", "target": "nobody"}, 404, "nobody"),
        ({"model": "small"}, 400, "target"),
        ({"model": "small", "target": 1}, 400, "target"),
        ({"model": "small", "target": "static-1", "for": "1h"}, 400, "target"),
    ],
)
def test_mistakes(tmp_path: pathlib.Path, body: dict[str, object], status: int, word: str) -> None:
    """A target that is not served, and a body of another form, are told so."""
    models = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
    with (
        GatewayProcess(tmp_path, models, access=f"admin_key: {ADMIN_KEY}") as running,
        running.client(ADMIN_KEY) as admin,
    ):
        answers = [admin.post(f"/admin/targets/{action}", json=body) for action in ("drain", "restore")]

    told = [(answer.status_code, word in answer.json()["error"]["message"]) for answer in answers]
    assert told == [(status, True)] * 2
