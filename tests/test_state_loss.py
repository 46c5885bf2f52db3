"""A gateway whose Redis is away, comes, goes and comes back; and what two workers share through it."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner, Result

from gateway import auth
from gateway.cli import main
from tests.fakes.redis_server import RedisServer, eventually
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL, TWO

PASSWORD = "correct horse"


@pytest.fixture
def redis_server(tmp_path: pathlib.Path) -> Iterator[RedisServer]:
    """Not started yet."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    server = RedisServer(tmp_path / "redis", password=PASSWORD)
    yield server
    server.kill()


def gateway_with(
    folder: pathlib.Path, server: RedisServer, on_loss: str, arguments: tuple[str, ...] = ()
) -> GatewayProcess:
    state = f"url: '{server.url}', password_file: password, on_state_loss: {on_loss}"
    server_lines = "drain: 2s"  # who has asked for readiness is waited for
    return GatewayProcess(folder, LOCAL, server=server_lines, state=state, arguments=arguments, may_complain=True)


def keys(gateway: GatewayProcess, *arguments: str) -> Result:
    """`gateway keys`, called in this process, which is quicker."""
    return CliRunner().invoke(main, ["keys", *arguments, "--config", str(gateway.config)])


def embed(gateway: GatewayProcess, key: str) -> httpx.Response:
    with gateway.client(key) as http:
        return http.post("/v1/embeddings", json={"model": "local", "input": "x"})


def ready(gateway: GatewayProcess) -> int:
    with gateway.client(None) as http:
        return http.get("/health/ready").status_code


@pytest.mark.parametrize("on_loss", ["allow", "deny"])
def test_away_and_back(tmp_path: pathlib.Path, redis_server: RedisServer, on_loss: str) -> None:
    """Without its Redis a gateway starts, is not ready, and serves known keys or none; it finds it by itself."""
    without = 200 if on_loss == "allow" else 503
    with gateway_with(tmp_path, redis_server, on_loss) as gateway:
        made = keys(gateway, "create", "--name", "app")
        started = (ready(gateway), embed(gateway, KEY).status_code, embed(gateway, auth.new_key()))
        redis_server.start()
        eventually(lambda: ready(gateway) == 200)
        key = keys(gateway, "create", "--name", "app").stdout.strip()
        there = (embed(gateway, KEY).status_code, embed(gateway, key).status_code)
        redis_server.kill()
        eventually(lambda: ready(gateway) == without and gateway.stderr.count("trying again every second") == 2)
        lost = (embed(gateway, KEY).status_code, embed(gateway, key).status_code, embed(gateway, auth.new_key()))
        redis_server.start()
        eventually(
            lambda: "reached again" in gateway.log[-1]["event"] or embed(gateway, auth.new_key()).status_code == 401
        )
        again = (ready(gateway), embed(gateway, KEY).status_code)
        log = gateway.stderr

    assert (503, without, 503) == (*started[:2], started[2].status_code)
    assert "state_unavailable" == started[2].json()["error"]["code"]
    assert (200, 200) == there
    assert (without, without, 503) == (*lost[:2], lost[2].status_code)
    assert (200, 200) == again
    away = f"The state at {redis_server.url} cannot be reached: the connection is refused."
    assert (1, f"{away}\n") == (made.exit_code, made.stderr)
    errors = [line for line in map(json.loads, log.splitlines()) if line["level"] == "error"]
    assert [away] == [line["reason"] for line in errors if "reason" in line][:1]
    assert 2 == sum(line["event"].startswith("the state cannot be reached") for line in errors)
    assert PASSWORD not in log


def test_revoked_everywhere(tmp_path: pathlib.Path, redis_server: RedisServer) -> None:
    """A key made once works at each worker, and ends at each within five seconds after it was revoked."""
    redis_server.start()
    with gateway_with(tmp_path, redis_server, "allow", TWO) as gateway:
        key = keys(gateway, "create", "--name", "app").stdout.strip()
        before = {embed(gateway, key).status_code for _ in range(20)}
        keys(gateway, "revoke", "app")
        revoked = time.monotonic()
        refused = 0
        while refused < 20:
            asked = time.monotonic()
            refused = refused + 1 if embed(gateway, key).status_code in (401, 429) else 0  # 429 after many wrong keys
            assert refused or asked < revoked + 5  # however long the answer took

    assert {200} == before
