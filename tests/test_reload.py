"""A gateway whose configuration changes while it serves: whole or not at all, and no request notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import trustme

from gateway import auth
from gateway.auth import key_hash
from gateway.canary import Verdict
from gateway.loading import load
from gateway.reading import Contents
from gateway.recipe import mark, run_name
from gateway.reload import NOTHING_TO_READ, Refused, wanted
from gateway.source import Source
from gateway.spaces import VERDICTS
from gateway.store.embedded import EmbeddedStore
from tests.fakes import mishaps
from tests.fakes.google_account import key_file
from tests.fakes.openai_upstream import Exchange, FakeOpenAI
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import GatewayProcess
from tests.test_process import TWO, descriptors, memory

ADMIN_KEY = "correct-horse-battery-staple"
ADMIN = f"admin_key: {ADMIN_KEY}"
OLD, NEW = "the-old-space", "the-new-space"


def models(fake: FakeOpenAI, space: str = OLD, target: str = "first", canary: str = "report", **keys: object) -> str:
    """One model, whose answers tell by two headers which configuration made them."""
    more = "".join(f", {name}: {value}" for name, value in keys.items())
    name = "text-embedding-3-small"
    service = f"provider: openai, model: {name}, base_url: '{fake.base_url}', api_key: {fake.api_key}, base64: true"
    return f"m: {{space: {space}, canary: {canary}, targets: [{{name: {target}, {service}{more}}}]}}"


def rewritten(gateway: GatewayProcess, models: str) -> None:
    """Puts other models into the file."""
    text = gateway.config.read_text()
    gateway.config.write_text(f"{text[: text.index('models:')]}models:\n  {models}\n")


def reload(gateway: GatewayProcess) -> httpx.Response:
    with gateway.client(ADMIN_KEY) as http:
        return http.post("/admin/reload")


def told(gateway: GatewayProcess) -> list[dict[str, Any]]:
    """The lines of reloads."""
    lines = gateway.stderr.splitlines(keepends=True)
    return [json.loads(line) for line in lines if '"by":' in line and line.endswith("\n")]


def hang_up(gateway: GatewayProcess) -> dict[str, Any]:
    """Reloads by a signal, and waits for the line."""
    before = len(told(gateway))
    os.kill(gateway.pid, signal.SIGHUP)
    eventually(lambda: len(told(gateway)) > before)
    return told(gateway)[-1]


def embed(http: httpx.Client, text: str = "x") -> httpx.Response:
    return http.post("/v1/embeddings", json={"model": "m", "input": text})


def served(answer: httpx.Response) -> tuple[str, str]:
    return (answer.headers["x-embedding-space"], answer.headers["x-embedding-target"])


def test_a_hundred_reloads_under_load(tmp_path: pathlib.Path) -> None:
    """No request is lost, each is answered by one of the good configurations, and nothing is left behind."""
    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake), access=ADMIN) as gateway:
        good = [models(fake, OLD, "first"), models(fake, NEW, "second")]
        bad = ["m: {targets: []}", "[", "m: {dimensions: {native: 4}, targets: [{provider: static, path: ./none}]}"]
        stop = threading.Event()
        answers: set[tuple[int, tuple[str, str]]] = set()

        def load() -> int:
            sent = 0
            with gateway.client() as http:
                while not stop.is_set():
                    answer = embed(http, f"text {sent}")
                    answers.add((answer.status_code, served(answer)))
                    sent += 1
            return sent

        def turns(count: int) -> list[int]:
            statuses = []
            for turn in range(count):
                rewritten(gateway, good[turn // 2 % 2] if turn % 2 else bad[turn // 2 % 3])
                statuses.append(reload(gateway).status_code)
            return statuses

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(load) for _ in range(4)]
            turns(20)
            before, open_before = memory(gateway.pid), descriptors(gateway.pid)
            statuses = turns(100)
            after, open_after = memory(gateway.pid), descriptors(gateway.pid)
            stop.set()
            sent = sum(client.result() for client in clients)

    print(f"{sent} requests; {before / 2**20:.1f} → {after / 2**20:.1f} MiB; {open_before} → {open_after} descriptors")
    assert [400, 200] * 50 == statuses
    assert {(200, (OLD, "first")), (200, (NEW, "second"))} == answers
    assert sent > 100
    assert after < before + 10 * 2**20
    assert open_after <= open_before + 8


def test_a_running_request_ends_on_the_configuration_it_began_on(tmp_path: pathlib.Path) -> None:
    """A request that runs while the model is renamed and its target goes is answered as it began."""
    release = threading.Event()

    async def held(exchange: Exchange) -> None:
        await asyncio.to_thread(release.wait)
        await mishaps.slow(0)(exchange)

    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake), access=ADMIN) as gateway:
        fake.behave(held)
        with gateway.client() as http, gateway.client() as other, ThreadPoolExecutor(1) as pool:
            running = pool.submit(embed, http)
            assert fake.wait_until(lambda: len(fake.requests) == 1)
            rewritten(gateway, "local: {normalize: true, targets: [{provider: static, path: wordllama}]}")
            changed = reload(gateway)
            gone = embed(other)
            release.set()
            ended = running.result()

    assert (200, 404) == (changed.status_code, gone.status_code)
    assert (200, (OLD, "first")) == (ended.status_code, served(ended))


def test_who_has_drifted_stays_out(tmp_path: pathlib.Path) -> None:
    """A target that a canary has taken out is asked by no request after a reload that changes it."""

    async def drifted(config: pathlib.Path) -> None:
        [model] = load(config).models
        verdict = Verdict(at=0.0, pinned=0.0, cosine=0.5, complaint="cosine 0.5", in_a_row=2, ejected=True)
        store = EmbeddedStore(tmp_path / "gateway.db")
        await store.put_value(VERDICTS, run_name(model, mark(model.targets[0])), verdict.written())
        await store.close()

    with FakeOpenAI() as fake:
        gateway = GatewayProcess(tmp_path, models(fake, canary="eject"), access=ADMIN)
        asyncio.run(drifted(gateway.config))
        with gateway, gateway.client() as http:
            before = embed(http)
            rewritten(gateway, models(fake, canary="eject", headers="{x-team: another}"))
            changed = reload(gateway)
            after = embed(http)

    assert (503, 200, 503) == (before.status_code, changed.status_code, after.status_code)
    assert [] == fake.requests


def test_what_is_told(tmp_path: pathlib.Path) -> None:
    """A reload tells what it changed, a refused one everything that is wrong, and neither tells a secret."""
    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake), access=ADMIN) as gateway:
        rewritten(gateway, models(fake, weight=3, headers="{x-team: a-new-secret}"))
        changed = reload(gateway)
        rewritten(gateway, "m: {targets: [{provider: no-one}]}\n  n: {price: {input: -1}, targets: []}")
        refused = reload(gateway)
        text = gateway.config.read_text().replace("port: 0", "port: 1\n  drain: 1s")
        gateway.config.write_text(text[: text.index("models:")] + f"models:\n  {models(fake)}\n")
        restart = reload(gateway)
        with gateway.client(ADMIN_KEY) as http:
            shown = http.get("/admin/config")
        log = gateway.stderr
        lines = told(gateway)

    path = "m.targets.first"
    assert (200, [f"models.{path}.headers.x-team", f"models.{path}.weight"]) == (
        changed.status_code,
        [change["path"] for change in changed.json()["changes"]],
    )
    assert (400, {"error", "problems"}) == (refused.status_code, refused.json().keys())
    assert 3 == sum(f"{gateway.config}:" in problem for problem in refused.json()["problems"])
    assert ["server.port", "server.drain"] == [one.split(": ")[1] for one in restart.json()["problems"]]
    assert 3 == shown.json()["models"]["m"]["targets"]["first"]["weight"]
    assert [("admin", 2), ("admin", None), ("admin", None)] == [(line["by"], line.get("changes")) for line in lines]
    for secret in ("a-new-secret", fake.api_key, ADMIN_KEY):
        assert secret not in f"{changed.text}{refused.text}{restart.text}{shown.text}{log}"


def test_signal(tmp_path: pathlib.Path) -> None:
    """SIGHUP reads the file anew; with a bad one it tells every problem, and goes on serving."""
    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake)) as gateway, gateway.client() as http:
        embed(http)
        rewritten(gateway, "m: {colour: red, targets: []}")
        refused = hang_up(gateway)
        meanwhile = served(embed(http))
        rewritten(gateway, models(fake, NEW))
        changed = hang_up(gateway)
        afterwards = served(embed(http))

    assert ("warning", "signal", 2) == (refused["level"], refused["by"], len(refused["problems"]))
    assert ("info", "signal", 1) == (changed["level"], changed["by"], changed["changes"])
    assert (OLD, NEW) == (meanwhile[0], afterwards[0])


def sockets(gateway: GatewayProcess) -> set[str]:
    """Each open one has a number of its own."""
    links = set()
    for file in pathlib.Path(f"/proc/{gateway.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            links.add(str(file.readlink()))
    return {link for link in links if link.startswith("socket:")}


def test_connections(tmp_path: pathlib.Path) -> None:
    """A reload keeps the connections of a target that goes on being reached as it was, and closes the others."""
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    with (
        FakeOpenAI() as fake,
        GatewayProcess(tmp_path, models(fake), access=ADMIN) as gateway,
        gateway.client() as http,
        gateway.client(ADMIN_KEY) as admin,
    ):

        def change(models: str) -> None:
            rewritten(gateway, models)
            admin.post("/admin/reload").raise_for_status()
            assert NEW == served(embed(http))[0]

        embed(http)
        admin.get("/admin/config")
        begun = sockets(gateway)
        change(models(fake, NEW, weight=2))
        kept = sockets(gateway)
        change(models(fake, NEW, ca_file="ca.pem"))
        eventually(lambda: len(kept - sockets(gateway)) == 1)  # it is closed beside the requests
        moved = sockets(gateway)

    assert begun == kept
    assert (1, 1) == (len(kept - moved), len(moved - kept))


def workers(gateway: GatewayProcess) -> list[str]:
    children = pathlib.Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [pid for pid in children if "spawn_main" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]


def test_keys(tmp_path: pathlib.Path) -> None:
    """A key of the file works from the reload on that adds it, and ends with the one that takes it away."""
    key = auth.new_key()
    listed = f"- {{name: later, sha256: {key_hash(key)}}}\n"
    with FakeOpenAI() as fake, GatewayProcess(tmp_path, models(fake), access=ADMIN) as gateway:
        text = gateway.config.read_text()
        with gateway.client(key) as http:
            statuses = [embed(http).status_code]
            for version in (text.replace("keys:\n", f"keys:\n    {listed}"), text):
                gateway.config.write_text(version)
                assert 200 == reload(gateway).status_code
                statuses.append(embed(http).status_code)

    assert [401, 200, 401] == statuses


def test_watch(tmp_path: pathlib.Path) -> None:
    """With `watch` a change of the file, or of a secret that it names, is found without being told."""
    (tmp_path / "key").write_text("a-wrong-key")
    with FakeOpenAI() as fake:
        wanted = models(fake).replace(f"api_key: {fake.api_key}", "api_key_file: key")
        with GatewayProcess(tmp_path, wanted, server="watch: true") as gateway, gateway.client() as http:
            wrong = embed(http).status_code
            (tmp_path / "new").write_text(fake.api_key)
            (tmp_path / "new").replace(tmp_path / "key")  # at once: half a file is a change, too
            eventually(lambda: len(told(gateway)) == 1)
            right = embed(http).status_code
            line = told(gateway)[0]

    assert (502, 200, "watch", 1) == (wrong, right, line["by"], line["changes"])


@pytest.mark.parametrize("ask", [reload, hang_up])
def test_workers(tmp_path: pathlib.Path, ask: Callable[[GatewayProcess], object]) -> None:
    """All workers change together; one in the place of a dead one serves what they serve, whatever the file says."""
    with (
        RedisServer(tmp_path / "redis") as redis,
        FakeOpenAI() as fake,
        GatewayProcess(tmp_path, models(fake), access=ADMIN, state=f"url: '{redis.url}'", arguments=TWO) as gateway,
    ):

        def serving() -> set[tuple[str, str]]:
            found = set()
            for _ in range(30):
                with gateway.client() as http:
                    found.add(served(embed(http)))
            return found

        before = serving()
        rewritten(gateway, models(fake, NEW))
        ask(gateway)
        after = serving()
        rewritten(gateway, "m: {targets: []}")
        ask(gateway)
        dead, _ = workers(gateway)
        os.kill(int(dead), signal.SIGKILL)
        eventually(lambda: len(now := workers(gateway)) == 2 and dead not in now)
        still = serving()
        reloads = told(gateway)

    assert ({(OLD, "first")}, {(NEW, "first")}, {(NEW, "first")}) == (before, after, still)
    assert ["info", "warning"] == [line["level"] for line in reloads]  # once for all of them


def test_nothing_to_read() -> None:
    """A gateway that was started without a file says so."""
    with pytest.raises(Refused) as refused:
        wanted(Source(None), load(None), {})

    assert (NOTHING_TO_READ,) == refused.value.problems


def test_what_workers_are_given(tmp_path: pathlib.Path) -> None:
    """What was read can be handed to another process, and is the same configuration there when the files are gone."""
    file, account = tmp_path / "gateway.yaml", tmp_path / "account.json"
    account.write_text(key_file())
    target = "provider: vertex, region: r, project: p, credentials: {kind: google, service_account_file: account.json}"
    file.write_text(f"models: {{m: {{dimensions: {{native: 3}}, targets: [{{{target}}}]}}}}")
    source = Source(file, {"port": 0})
    contents: Contents = {}
    expected = source.read(contents)
    file.unlink()
    account.unlink()
    source, contents = pickle.loads(pickle.dumps((source, contents)))  # noqa: S301 (they are our own)

    assert expected == source.read(contents)
