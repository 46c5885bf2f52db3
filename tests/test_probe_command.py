"""`gateway probe` as people run it: over real sockets, its exit codes, and nothing secret on the screen."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.fakes import lies
from tests.fakes.openai_upstream import FakeOpenAI
from tests.gateway_process import PYTHON

WRONG = "sk-wrong-key-0123456789abcdef"


@pytest.fixture(scope="module")
def served() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def file(tmp_path: pathlib.Path, served: FakeOpenAI) -> pathlib.Path:
    """A service that is configured rightly, the same with a wrong key, and a local model."""
    served.clear()
    common = f"provider: openai, model: text-embedding-3-small, base_url: '{served.base_url}'"
    written = tmp_path / "gateway.yaml"
    written.write_text(f"""
models:
  small:
    aliases: [tiny]
    limits: {{inputs: 8}}
    targets: [{{{common}, name: gpu-1, api_key: {served.api_key}, base64: true}}]
  refused:
    targets: [{{{common}, api_key: {WRONG}}}]
  local:
    normalize: true
    targets: [{{provider: static, path: wordllama}}]
""")
    return written


def probe(file: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON, "-m", "gateway", "probe", "--config", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["probe", *arguments], catch_exceptions=False)


def test_everything(file: pathlib.Path, served: FakeOpenAI) -> None:
    """A process asks all targets; one that does not answer makes the exit code 1; no key, text or address is shown."""
    result = probe(file, "--max-items", "8")
    shown = result.stdout + result.stderr

    assert 1 == result.returncode
    assert [["small", "gpu-1"], ["refused", "openai-0"], ["local", "static-0"]] == [
        block.partition("\n")[0].split() for block in shown.split("\n\n") if "\n  answers" in block
    ]
    assert "✗ openai-0, answers: it refuses the credentials, the model or the address (401)" in shown
    assert "One finding contradicts the configuration." in shown
    assert [] == [secret for secret in (WRONG, served.api_key, served.base_url, "river") if secret in shown]
    assert "Traceback" not in shown


@pytest.mark.parametrize("name", ["small", "tiny"])
def test_one_model(file: pathlib.Path, served: FakeOpenAI, name: str) -> None:
    """One model is asked by any of its names; one that does what is configured makes the exit code 0."""
    result = call("--config", str(file), name, "--max-items", "8", "--json")
    (target,) = json.loads(result.stdout)["targets"]

    assert (0, "small", "gpu-1") == (result.exit_code, target["model"], target["target"])
    assert target["calls"] == len(served.requests)


def test_lie(file: pathlib.Path, served: FakeOpenAI) -> None:
    """What a target does otherwise than configured makes the exit code 1, and stands in the YAML that follows."""
    served.behave(lies.floats_anyway(), times=None)
    result = call("--config", str(file), "small", "--max-items", "8")

    assert 1 == result.exit_code
    assert "        base64: false  # now true\n" in result.stdout


def test_no_such_model(file: pathlib.Path) -> None:
    """A model that there is not is named with those that there are."""
    result = call("--config", str(file), "none")

    assert (1, "") == (result.exit_code, result.stdout)
    assert "There is no model `none`. There are `small`, `refused`, `local`.\n" == result.stderr


@pytest.mark.parametrize("arguments", [["a", "b"], ["--max-items", "0"], ["--max-items", "2049"], ["--nonsense"]])
def test_wrong_options(arguments: list[str]) -> None:
    """A command that is called wrongly says how it is called."""
    result = call(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)


def test_documents(tmp_path: pathlib.Path, served: FakeOpenAI) -> None:
    """The documents show what is really printed about a service and a relay before it."""
    served.clear()
    with FakeOpenAI() as relay:
        relay.behave(lies.relay(32), times=None)
        common = f"provider: openai, base64: true, api_key: {served.api_key}"
        file = tmp_path / "gateway.yaml"
        file.write_text(f"""
models:
  text-embedding-3-small:
    space: openai/text-embedding-3-small
    targets:
      - {{{common}, name: openai, base_url: "{served.base_url}", token_ids: true}}
      - {{{common}, name: relay, base_url: "{relay.base_url}", priority: 1}}
""")
        result = call("--config", str(file), "text-embedding-3-small")
    page = (pathlib.Path(__file__).parents[1] / "docs" / "configuration.md").read_text()

    assert f"$ gateway probe text-embedding-3-small\n{result.stdout}```" in page
