"""Which lane a request waits in: what its key allows, what it wishes for, and how much it holds."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from gateway.auth import key_hash, new_key
from tests.gateway_process import KEY, GatewayProcess

BULK = new_key()
MODELS = "local: {normalize: true, targets: [{provider: static, path: wordllama}]}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: pathlib.Path = tmp_path_factory.mktemp("priority")
    with GatewayProcess(folder, MODELS, keys=f"- {{name: bulk, sha256: {key_hash(BULK)}, priority: bulk}}") as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("key", "wish", "items", "expected"),
    [
        (KEY, None, 64, "interactive"),
        (KEY, None, 65, "bulk"),
        (KEY, "interactive", 1, "interactive"),
        (KEY, "bulk", 1, "bulk"),
        (BULK, None, 1, "bulk"),
        (BULK, "interactive", 1, "bulk"),
    ],
)
def test_lane(running: GatewayProcess, key: str, wish: str | None, items: int, expected: str) -> None:
    """The request's log line tells its lane."""
    with running.client(key) as http:
        headers = {} if wish is None else {"x-priority": wish}
        answer = http.post("/v1/embeddings", json={"model": "local", "input": ["x"] * items}, headers=headers)

    assert (200, expected) == (answer.status_code, running.request_log(answer.headers["x-request-id"])["lane"])


@pytest.mark.parametrize("wish", ["", "high", "Bulk", "bulk, interactive"])
def test_no_such_lane(running: GatewayProcess, wish: str) -> None:
    """Any other wish is refused."""
    with running.client() as http:
        answer = http.post("/v1/embeddings", json={"model": "local", "input": "x"}, headers={"x-priority": wish})

    assert (400, True) == (answer.status_code, "`x-priority`" in answer.json()["error"]["message"])
