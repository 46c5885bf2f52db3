"""What a person reads when the gateway starts."""

from __future__ import annotations

import pathlib
import shlex
import sys

import pytest

from gateway import loading, welcome
from gateway.config import Config

URL = "http://127.0.0.1:8080"
KEY = "sk-gateway-made-for-this-test"

TWO_MODELS = """
models:
  small: {targets: [{provider: openai, model: text-embedding-3-small, api_key: k}]}
  large: {targets: [{provider: openai, model: text-embedding-3-large, api_key: k}]}
"""


@pytest.fixture
def default() -> Config:
    return loading.load(None)


@pytest.fixture
def own(tmp_path: pathlib.Path) -> Config:
    file = tmp_path / "gateway.yaml"
    file.write_text(TWO_MODELS)
    return loading.load(file)


@pytest.fixture
def _no_path(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_with_a_routing_file(own: Config) -> None:
    """A gateway with a routing file says where it is and what it serves."""

    assert f"The embedding gateway listens on {URL}/v1 and serves: small, large" == welcome.text(own, URL, None)


def test_first_start(default: Config) -> None:
    """At its first start a gateway without one shows its key by itself on a line."""

    assert f"  {KEY}" in welcome.text(default, URL, KEY).splitlines()


@pytest.mark.usefixtures("_no_path")
def test_second_start(default: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later it says how to make another key."""
    monkeypatch.setattr(sys, "argv", ["bin/gateway"])
    first, second = welcome.text(default, URL, None).splitlines()

    assert (
        f"The embedding gateway listens on {URL}/v1 and serves: local-small",
        "Use the key from the first start, or make another: ./bin/gateway keys create --name NAME",
    ) == (first, second)


def test_curl(default: Config) -> None:
    """The call that is shown is one that a shell understands, with URL, key and model."""
    lines = welcome.text(default, URL, KEY).splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("  curl"))
    command = shlex.split("\n".join(lines[begin : begin + 4]).replace("\\\n", " "))
    expected = [
        "curl",
        f"{URL}/v1/embeddings",
        "-H",
        f"Authorization: Bearer {KEY}",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"model": "local-small", "input": ["The cat sat on the mat", "A kitten rests on a rug"]}',
    ]

    assert expected == command


def test_python(default: Config) -> None:
    """The program that is shown is one that Python understands."""
    lines = welcome.text(default, URL, KEY).splitlines()
    begin = lines.index("  from openai import OpenAI")
    code = compile("\n".join(line.removeprefix("  ") for line in lines[begin:]), "shown", "exec")

    assert {URL + "/v1", KEY, "local-small"} <= set(code.co_consts)


# ── how the program is called ─────────────────────────────────────────────────────────────────────────────────────


def test_on_the_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program on the path is called by its name."""
    (tmp_path / "gateway").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "gateway" == welcome.program()


@pytest.mark.usefixtures("_no_path")
@pytest.mark.parametrize(
    ("called", "expected"), [("gateway", "./gateway"), (".venv/bin/gateway", "./.venv/bin/gateway")]
)
def test_off_the_path(monkeypatch: pytest.MonkeyPatch, called: str, expected: str) -> None:
    """A program elsewhere is called by its place, so that a shell finds it."""
    monkeypatch.setattr(sys, "argv", [str(pathlib.Path.cwd() / called)])

    assert expected == welcome.program()


@pytest.mark.usefixtures("_no_path")
def test_as_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose Python has no program beside it is called as a module."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/gateway/__main__.py", "serve"])
    monkeypatch.setattr(sys, "executable", "/elsewhere/python")

    assert f"{sys.executable} -m gateway" == welcome.program()
