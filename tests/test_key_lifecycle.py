"""A key's life: made on the command line, used, limited, rotated and revoked, against a running gateway."""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_process import PYTHON, GatewayProcess

MODELS = """
    small: {normalize: true, targets: [{provider: static, path: wordllama}]}
    small-too: {aliases: [other], normalize: true, targets: [{provider: static, path: wordllama}]}
    large: {normalize: true, targets: [{provider: static, path: wordllama}]}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("keys"), MODELS) as process:
        yield process


def command(running: GatewayProcess, *arguments: str) -> str:
    """What `gateway keys …` prints, called from another folder than the gateway's."""
    finished = subprocess.run(
        [*PYTHON, "-m", "gateway", "keys", *arguments, "--config", str(running.config)],
        check=True,
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parents[1],
    )
    return finished.stdout.strip()


def embed(running: GatewayProcess, key: str, model: str = "small") -> httpx.Response:
    with running.client(key) as http:
        return http.post("/v1/embeddings", json={"model": model, "input": "x"})


def seconds_until_refused(running: GatewayProcess, key: str) -> float:
    """Until the last request was sent that was still answered, however long that took."""
    begun = last = asked = time.monotonic()
    with running.client(key) as http:
        while http.get("/v1/models").status_code == 200:
            last, asked = asked, time.monotonic()
            assert last - begun < 30
    return last - begun


def test_a_new_key_works(running: GatewayProcess) -> None:
    """A key works as soon as it is made."""
    assert 200 == embed(running, command(running, "create", "--name", "fresh")).status_code


def test_a_key_for_some_models(running: GatewayProcess) -> None:
    """A key for some models may call those, and the others do not exist for it."""
    key = command(running, "create", "--name", "some", "--models", "small*")
    statuses = {model: embed(running, key, model).status_code for model in ("small", "small-too", "other", "large")}

    assert {"small": 200, "small-too": 200, "other": 200, "large": 404} == statuses


def test_a_key_sees_its_models(running: GatewayProcess) -> None:
    """The list of models holds those alone."""
    key = command(running, "create", "--name", "seeing", "--models", "large, other")
    with running.client(key) as http:
        listed = [model["id"] for model in http.get("/v1/models").json()["data"]]

    assert ["other", "large"] == listed


def test_forbidden_models_look_unknown(running: GatewayProcess) -> None:
    """A model that a key may not use is told in the very words of one that does not exist."""
    key = command(running, "create", "--name", "curious", "--models", "small")
    answers = [embed(running, key, model).text.replace(model, "…") for model in ("large", "no-such-model")]

    assert answers[0] == answers[1]


def test_revoked(running: GatewayProcess) -> None:
    """A revoked key stops within five seconds, although it was in use."""
    key = command(running, "create", "--name", "leaked")
    embed(running, key).raise_for_status()
    command(running, "revoke", "leaked")

    assert seconds_until_refused(running, key) < 5


def test_expired(running: GatewayProcess) -> None:
    """A key ends when its time is over."""
    key = command(running, "create", "--name", "brief", "--expires", "1500ms")
    embed(running, key)

    assert seconds_until_refused(running, key) < 5


def test_rotated(running: GatewayProcess) -> None:
    """A rotated key has a successor with the same rights, and works on for the overlap."""
    old = command(running, "create", "--name", "rotated", "--models", "small")
    new = command(running, "rotate", "rotated", "--overlap", "1h")

    assert (200, 200, 404) == (
        embed(running, old).status_code,
        embed(running, new).status_code,
        embed(running, new, "large").status_code,
    )


def test_rotated_without_overlap(running: GatewayProcess) -> None:
    """Without an overlap the old key stops at once, and the new one works."""
    old = command(running, "create", "--name", "replaced")
    new = command(running, "rotate", "replaced", "--overlap", "0")

    assert (401, 200) == (embed(running, old).status_code, embed(running, new).status_code)


def test_no_key_is_kept(running: GatewayProcess) -> None:
    """No file of the state holds the text of a key."""
    key = command(running, "create", "--name", "hidden")
    files = [file.read_bytes() for file in running.folder.glob("gateway.db*")]

    assert ([False] * len(files), True) == ([key.encode() in content for content in files], len(files) > 0)
