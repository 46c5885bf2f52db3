"""A provider's name: the package's own, or one that is imported from outside, and what can be wrong with that."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import pytest
from openai import OpenAI

from gateway import adapters
from gateway.adapters import AdapterError
from gateway.document import parse
from gateway.model_shape import TargetShape
from gateway.reading import Reading
from providers import PROVIDERS
from providers.openai import OPENAI
from tests.fakes.acme import API_KEY, DIMENSIONS, FakeAcme, vector
from tests.gateway_process import KEY, PYTHON, GatewayProcess

PAGE = (pathlib.Path(__file__).parents[1] / "docs" / "adapters.md").read_text()
MODULE = """
import providers.base
from providers.openai import OPENAI as MINE
from providers.local.static import STATIC

NUMBER = 5
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder on Python's path with a module `outside_good`."""
    (tmp_path / "outside_good.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def refusal(name: str) -> str:
    with pytest.raises(AdapterError) as caught:
        adapters.find(name)
    return str(caught.value)


@pytest.mark.parametrize("name", ["openai", "bedrock-cohere-v4", "static"])
def test_own(name: str) -> None:
    """The package's own providers are found by their names."""
    assert PROVIDERS[name] is adapters.find(name)


@pytest.mark.parametrize("name", ["", "OpenAI", "S3cret", "a:", ":A", "a-b:C", "a..b:C", "a:B.c", "a:B\n", "ä:B"])
def test_no_provider(name: str) -> None:
    """Any other name is refused with those that there are, and is not repeated."""
    message = refusal(name)

    assert message.startswith("no such provider; there are `aihubmix`, `azure`, ")
    assert "S3cret" not in message


def test_outside(folder: pathlib.Path) -> None:
    """A provider from outside is called what the routing file calls it, whatever name it gives itself."""
    found = adapters.find("outside_good:MINE")

    assert ("outside_good:MINE", OPENAI.owned) == (found.name, getattr(found, "owned", None))


def test_outside_local(folder: pathlib.Path) -> None:
    """An engine may come from outside, too."""
    assert "outside_good:STATIC" == adapters.find("outside_good:STATIC").name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("outside_none:A", "there is no module `outside_none`: install it where the gateway runs, or name its folder "),
        ("outside_none.a.b:A", "there is no module `outside_none`: install it"),
        ("outside_good.a:A", "there is no module `outside_good.a`: install it"),
        ("outside_good:YOURS", "the module `outside_good` has no `YOURS`; its providers are `MINE`, `STATIC`"),
        ("providers.base:YOURS", "the module `providers.base` has no `YOURS`; it has no provider"),
        ("outside_good:NUMBER", "`NUMBER` of the module `outside_good` is a `int`, and must be a `Provider` or a "),
        ("providers.base:Provider", "`Provider` of the module `providers.base` is a `type`, and must be"),
    ],
)
def test_not_found(folder: pathlib.Path, name: str, expected: str) -> None:
    """What is not there, or is something else, is named."""
    assert refusal(name).startswith(expected)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import outside_none", "ModuleNotFoundError: No module named 'outside_none'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: invalid syntax (outside_bad.py, line 1)"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("raise ValueError", "ValueError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise ValueError('x' * 300)", f"ValueError: {'x' * 200}…"),
    ],
)
def test_raising_module(folder: pathlib.Path, code: str, expected: str) -> None:
    """A module that fails when it is imported is told with the error's class and words, on one line."""
    (folder / "outside_bad.py").write_text(code)

    assert f"the module `outside_bad` cannot be imported: {expected}" == refusal("outside_bad:A")


def test_finding_can_be_switched_off() -> None:
    """Whoever reads a routing file says how providers are found, so that a pasted one need not import anything."""
    asked: list[str] = []

    def find(name: str) -> adapters.Adapter:
        asked.append(name)
        return OPENAI

    reading = Reading(parse("", {}), pathlib.Path(), {}, find)
    shape = reading.shape(TargetShape, {"provider": "outside_never_imported:A"}, ())

    assert (["outside_never_imported:A"], OPENAI) == (asked, shape and shape.provider)


@pytest.mark.parametrize(
    ("searched", "expected"),
    [
        (".", "the module `outside_bad` cannot be imported: ZeroDivisionError: division by zero"),
        ("nowhere", "there is no module `outside_bad`: install it where the gateway runs, or name its folder in "),
    ],
)
def test_check(tmp_path: pathlib.Path, searched: str, expected: str) -> None:
    """`gateway check` tells what cannot be loaded with its line; the routing file's own folder is not searched."""
    (tmp_path / "outside_bad.py").write_text("1 / 0")
    file = tmp_path / "gateway.yaml"
    file.write_text("models:\n  m:\n    targets:\n      - provider: outside_bad:A\n")
    command = [*PYTHON, "-m", "gateway", "check", str(file)]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / searched)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    first, last = result.stderr.splitlines()

    assert (1, "", "1 problem; nothing was started.") == (result.returncode, result.stdout, last)
    assert first.startswith(f"{file}:4: models.m.targets[0].provider: {expected}")


# ── the documents' own ─────────────────────────────────────────────────────────────────────────────────────────────

(EXAMPLE,) = (text for text in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if "ACME" in text)


def test_example_is_short() -> None:
    """The documents' provider is complete in fewer than 40 lines."""
    assert EXAMPLE.count("\n") < 40


def test_example(tmp_path: pathlib.Path) -> None:
    """The documents' provider serves through a running gateway, in each of its processes."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "acme_embeddings.py").write_text(EXAMPLE)
    texts = [f"text {n}" for n in range(40)]
    with FakeAcme() as fake:
        target = f"{{provider: 'acme_embeddings:ACME', base_url: '{fake.base_url}', api_key: {API_KEY}}}"
        dimensions = f"{{native: {DIMENSIONS}, shorten: native}}"
        models = f"acme-large:\n  dimensions: {dimensions}\n  targets: [{target}]"
        with (
            GatewayProcess(
                tmp_path,
                models,
                server="workers: 2",
                state="allow_unshared: true",
                environ={"PYTHONPATH": str(modules)},
            ) as gateway,
            OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client,
        ):
            many = client.embeddings.create(model="acme-large", input=texts, extra_body={"color": "red"})
            short = client.embeddings.create(model="acme-large", input="a", dimensions=2)

    assert [vector(text, DIMENSIONS) for text in texts] == [item.embedding for item in many.data]
    assert vector("a", 2) == short.data[0].embedding
    assert 40 == many.usage.prompt_tokens
    assert [16, 16, 8, 1] == sorted([len(body["texts"]) for body in fake.bodies], key=lambda n: (n == 1, -n))
