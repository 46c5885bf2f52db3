"""What the README shows works as it stands: its two client calls, its YAML, its commands, its error codes."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest
from starlette.routing import Route

from gateway import errors, loading
from gateway.admin import Admin
from gateway.allowances import NANOS
from gateway.app import routes
from gateway.cli import main
from gateway.endpoints import Endpoints
from gateway.target_admin import TargetAdmin
from gateway.wire import INPUT_TYPES
from providers import PROVIDERS
from providers.base import Provider
from providers.engine import LocalProvider
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def block(language: str, word: str) -> str:
    (found,) = (text for kind, text in BLOCKS if kind == language and word in text)
    return str(found)


@pytest.fixture
def small(tmp_path: pathlib.Path) -> GatewayProcess:
    return GatewayProcess(tmp_path, LOCAL.replace("local:", "local-small:"))


def test_curl(small: GatewayProcess) -> None:
    """The curl call answers two embeddings."""
    with small as gateway:
        call = block("sh", "/v1/embeddings").replace("http://127.0.0.1:8080", gateway.root_url)
        answer = subprocess.run(["sh", "-c", call], env={**os.environ, "KEY": KEY}, capture_output=True, text=True)

    assert 2 == answer.stdout.count('"object":"embedding"')


def test_python(small: GatewayProcess) -> None:
    """The Python call prints the length of a vector and its usage."""
    with small as gateway:
        code = f"KEY = {KEY!r}\n" + block("python", "OpenAI").replace("http://127.0.0.1:8080", gateway.root_url)
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.startswith("256 Usage(prompt_tokens=")


def test_yaml(tmp_path: pathlib.Path) -> None:
    """The configuration loads."""
    file = tmp_path / "gateway.yaml"
    file.write_text(block("yaml", "OPENAI_API_KEY"))
    config = loading.load(file, {"OPENAI_API_KEY": "sk-x"})

    assert ["text-embedding-3-small", "bge-m3"] == [model.alias for model in config.models]


def test_limits(tmp_path: pathlib.Path) -> None:
    """The limits and budgets load, and are those of the key and its team."""
    file = tmp_path / "gateway.yaml"
    file.write_text(block("yaml", "budget:") + "models: {m: {targets: [{provider: static, path: wordllama}]}}")
    config = loading.load(file, {})

    assert ("apps", 600, 50 * NANOS) == ((key := config.keys[0]).team, key.rates.rpm, key.budget and key.budget.nanos)
    assert ["apps"] == list(config.teams)


def test_admin(tmp_path: pathlib.Path) -> None:
    """The calls of the admin API do what the table says."""
    admin_key = "correct-horse-battery-staple"
    with (
        GatewayProcess(tmp_path, LOCAL, access=f"admin_key: {admin_key}") as gateway,
        gateway.client(admin_key) as http,
    ):
        made = http.post("/admin/keys", json={"name": "another", "limits": {"rpm": 5}}).json()
        calls = block("sh", "/admin").replace("http://127.0.0.1:8080", gateway.root_url)
        script = calls.replace("curl ", "curl -sS -o /dev/null -w '%{http_code} ' ")
        environ = {**os.environ, "ADMIN_KEY": admin_key, "ID": made["id"], "no_proxy": "*"}
        answers = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True).stdout.split()
        shown = http.get(f"/admin/keys/{made['id']}").json()

    assert ["201", "200", "200", "200", "201", "200", "200"] == answers
    assert ("revoked", None, 1_000_000) == (shown["status"], shown["limits"]["rpm"], shown["limits"]["tpm"])


def test_admin_endpoints() -> None:
    """The table of the admin API has every endpoint that there is, and no other."""
    table = README[README.index("### The admin API") : README.index("## For clients")]
    named = set(re.findall(r"`([A-Z]+ /admin/[^`]+)`", table))
    admin, targets = object.__new__(Admin), object.__new__(TargetAdmin)  # only their methods' names matter
    served = {
        f"{method} {route.path.replace('{key_id:path}', '{id}')}"
        for route in routes(object.__new__(Endpoints), admin, targets, None)
        if isinstance(route, Route) and route.path.startswith("/admin") and not route.path.endswith("/")
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert served == named


def test_access_yaml(tmp_path: pathlib.Path) -> None:
    """The identity provider loads, too."""
    file = tmp_path / "gateway.yaml"
    file.write_text(f"{block('yaml', 'jwt:')}\nmodels:\n  {LOCAL}\n")
    [issuer] = loading.load(file, {}).issuers

    assert "https://login.example.com/" == issuer.name


def test_commands() -> None:
    """Every command and option of `gateway` that the README names exists."""
    for line in re.findall(r"^gateway ([^#\n]*)", "\n".join(text for _, text in BLOCKS), re.MULTILINE):
        name, *rest = line.split()
        command = main.commands[name]
        if name in ("keys", "space"):
            command = command.commands[rest[0]]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts}

        assert {word for word in rest if word.startswith("--")} <= known


def test_errors() -> None:
    """The table of errors has every code that there is, and no other."""
    table = README[README.index("### Errors") : README.index("## Operating")]
    cells = [row.split("|")[2] for row in table.splitlines() if row.startswith("| ")]
    codes = {code for cell in cells for code in re.findall(r"`(\w+)`", cell)}

    def all_codes(kind: type[errors.GatewayError]) -> set[str]:
        own = {kind.code} if kind.code else set()
        return own.union(*map(all_codes, kind.__subclasses__()))

    assert codes == all_codes(errors.GatewayError) | {"invalid_api_key"}


@pytest.mark.parametrize(
    "path", re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r"`((?:scripts|tests)/[\w./]+)`", README)
)
def test_paths(path: str) -> None:
    """Every file that the README names exists."""
    assert (ROOT / path).exists()


def test_providers() -> None:
    """The table of backends names every provider that there is, and no other."""
    table = README[README.index("## Backends") : README.index("The default model")]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)} - {"provider"}

    assert set(PROVIDERS) == named


TOO_LONG = {"refuses": "refused", "obeys": "refused, as told", "cuts": "cut", "unknown": "not said"}


def facts(provider: Provider | LocalProvider) -> list[str]:
    """What the table has to say of a provider, behind what it reaches and its credentials."""
    if isinstance(provider, LocalProvider):
        return ["", "", "", "refused" if provider.batches else ""]
    limits = provider.limits
    amounts = {
        "input" if limits.inputs == 1 else "inputs": limits.inputs,
        "tokens": limits.request_tokens,
        "bytes": limits.request_bytes,
        "characters each": limits.input_chars,
    }
    takes = {"dimensions": provider.shortens, "token ids": provider.token_ids, "base64": provider.base64}
    return [
        ", ".join(f"{most:,} {unit}" for unit, most in amounts.items() if most) or "no limit known",
        ", ".join(name for name, taken in takes.items() if taken),
        ", ".join(role for role in INPUT_TYPES if role in provider.roles)
        + (" (one is needed)" if provider.needs_role else ""),
        TOO_LONG[provider.overlong],
    ]


@pytest.mark.parametrize("name", PROVIDERS)
def test_facts_of_providers(name: str) -> None:
    """The table tells of each provider what its adapter knows: limits, fields, roles, and the habit with long texts."""
    (row,) = (line for line in README.splitlines() if line.startswith(f"| `{name}` |"))

    assert facts(PROVIDERS[name]) == [cell.strip() for cell in row.split("|")[4:-1]]
