"""What the documents show is so: every block of code in docs/ and in the README is run, loaded or looked at."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml
from click import Command, Group
from starlette.routing import Route

from gateway import importing, loading
from gateway.admin import Admin
from gateway.allowances import NANOS
from gateway.app import routes
from gateway.cli import main
from gateway.config import Config
from gateway.endpoints import Endpoints
from gateway.openapi_schemas import INVALID_KEY, error_codes, kinds_of_error
from gateway.target_admin import TargetAdmin
from gateway.vocabulary import VOCABULARY, unpack
from providers import PROVIDERS
from scripts import pages
from tests.fakes import google_account
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL
from tests.warm_python import WarmPython

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ADMIN_KEY = "correct-horse-battery-staple"
ADDRESS = "http://127.0.0.1:8080"
VOCABULARY_URL = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
NODE_MODULES = pathlib.Path(sys.executable).parents[1] / "node" / "node_modules"


@dataclass(frozen=True, slots=True)
class Block:
    page: pathlib.Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}:{self.language}"


def blocks_of(page: pathlib.Path) -> Iterator[Block]:
    text = page.read_text()
    for found in re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]

# Blocks that cannot be run as they stand: by page and a word in them, why, and what is looked at instead.
LOOKED_AT = {
    ("README.md", "scripts/serve"): "it serves until it is stopped, and runs all tests: its scripts exist",
    ("quickstart.md", "scripts/serve"): "it serves until it is stopped: the script exists",
    (
        "operations.md",
        "docker-compose up",
    ): "it builds images; scripts/test-compose runs it for real: its scripts exist",
    ("local-models.md", "pip install"): "it installs packages: the extra exists",
    ("configuration.md", "gateway probe    "): "it asks a real provider: commands and options exist",
    ("configuration.md", "$ gateway probe"): "tests/test_probe_command.py compares the whole output",
    ("command-line.md", "targets drain"): "tests/test_targets_command.py does it, where it disturbs no other example",
    ("adapters.md", "ACME"): "tests/test_adapters.py serves with it",
    ("clients.md", "RAG_EMBEDDING_ENGINE"): "another program's variables: each has a value",
    ("operations.md", "[Unit]"): "no systemd here: it is read, and its command exists",
}
RUNNERS = {"sh", "python", "js"}
READ = {"yaml", "json"}


def is_looked_at(block: Block) -> bool:
    return any(block.page.name == page and word in block.text for page, word in LOOKED_AT)


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and not is_looked_at(block)]


def test_every_block() -> None:
    """A block is run, read, or stands in the list of those that are looked at; and that list names no others."""
    forgotten = [str(block) for block in BLOCKS if block.language not in RUNNERS | READ and not is_looked_at(block)]
    unused = [key for key in LOOKED_AT if sum(b.page.name == key[0] and key[1] in b.text for b in BLOCKS) != 1]

    assert ([], []) == (forgotten, unused)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The embedded default's model, with an admin key and keys that can be minted; the command `gateway` beside it."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "signing").write_text("s" * 40)
    access = f"admin_key: {ADMIN_KEY}\nsigning_key_file: signing"
    teams = "teams:\n  apps: {}"
    models = LOCAL.replace("local:", "local-small:")
    with WarmPython(folder / "bin"), GatewayProcess(folder, models, access=access, sections=teams) as process:
        yield process


@pytest.fixture(scope="module")
def environ(served: GatewayProcess) -> dict[str, str]:
    """What a reader has set: the address, a key, the admin key, and a key's id."""
    with served.client(ADMIN_KEY) as http:
        made = http.post("/admin/keys", json={"name": "another", "limits": {"rpm": 5}}).json()
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    cache = served.folder / hashlib.sha1(VOCABULARY_URL.encode(), usedforsecurity=False).hexdigest()  # as tiktoken does
    ranks = unpack(VOCABULARY.read_bytes())
    cache.write_bytes(b"".join(b"%b %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items()))
    return {
        **inherited,
        "TIKTOKEN_CACHE_DIR": str(served.folder),  # LangChain would fetch its vocabulary
        "PATH": f"{served.folder / 'bin'}:{os.environ['PATH']}",
        "OPENAI_BASE_URL": served.url,
        "OPENAI_API_KEY": KEY,
        "KEY": KEY,
        "ADMIN_KEY": ADMIN_KEY,
        "ID": made["id"],
        "KEY_ID": made["id"],
        "no_proxy": "*",
    }


def run(command: list[str], text: str, served: GatewayProcess, environ: dict[str, str]) -> str:
    shown = text.replace(ADDRESS, served.root_url)
    ran = subprocess.run(
        command, input=shown, cwd=served.folder, env=environ, capture_output=True, text=True, timeout=300
    )

    assert ran.returncode == 0, f"{shown}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


@pytest.mark.parametrize("block", [block for block in of("sh") if "$ADMIN/keys" not in block.text], ids=str)
def test_shell(block: Block, served: GatewayProcess, environ: dict[str, str]) -> None:
    """Every command of a block succeeds, and no answer of the gateway is an error."""
    out = run(["bash", "-eu", "-o", "pipefail"], block.text, served, environ)

    assert '{"error":' not in out


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python(block: Block, served: GatewayProcess, environ: dict[str, str]) -> None:
    """It runs, and prints something."""
    given = f"KEY = {KEY!r}\n" if "api_key=KEY" in block.text else ""

    assert run(["python-warm"], given + block.text, served, environ)


@pytest.mark.parametrize("block", of("js"), ids=str)
def test_javascript(block: Block, served: GatewayProcess, environ: dict[str, str]) -> None:
    """It runs, and prints something; openai-node is there where `scripts/setup dev` found npm."""
    if shutil.which("node") is None:
        pytest.skip("there is no node: the JavaScript of the documents is NOT run")
    if " from " in block.text and not NODE_MODULES.exists():
        pytest.skip("there is no openai-node: install npm and run scripts/setup dev; this example is NOT run")
    if NODE_MODULES.exists() and not (link := served.folder / "node_modules").exists():
        link.symlink_to(NODE_MODULES)

    assert run(["node", "--input-type=module", "-"], block.text, served, environ)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_yaml(block: Block, tmp_path: pathlib.Path) -> None:
    """It is a routing file, or the part of one, and loads."""
    loaded(block, tmp_path)


def loaded(block: Block, tmp_path: pathlib.Path) -> Config:
    text = block.text
    if text.startswith("targets:"):
        text = "models:\n  text-embedding-005:\n" + "".join(f"    {line}\n" for line in text.splitlines())
        (tmp_path / "sa.json").write_text(google_account.key_file())
        text = text.replace("/run/secrets/sa.json", str(tmp_path / "sa.json"))
    elif "models" not in yaml.safe_load(text):
        text += "models: {m: {targets: [{provider: static, path: wordllama}]}}"
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    names = set(re.findall(r"\$\{(\w+)}", text))
    return loading.load(file, {name: "https://acme.example" if "BASE" in name else "x" for name in names})


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json(block: Block) -> None:
    """It is JSON."""
    json.loads(block.text)


@pytest.mark.parametrize(("page", "word"), LOOKED_AT)
def test_looked_at(page: str, word: str) -> None:
    """What cannot be run names scripts, commands, options and extras that there are."""
    [block] = [block for block in BLOCKS if block.page.name == page and word in block.text]
    for script in re.findall(r"^(scripts/[\w-]+)", block.text, re.MULTILINE):
        assert os.access(ROOT / script, os.X_OK)
    for extra in re.findall(r'"\.\[(\w+)]"', block.text):
        assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    if block.language == "env":
        assert all(re.fullmatch(r"RAG_[A-Z_]+=\S+", line) for line in block.text.splitlines())


COMMANDS = sorted(
    set(re.findall(r"^(?:\$ |ExecStart=\S*/)?gateway ([^#\n>]*)", "\n".join(b.text for b in BLOCKS), re.M))
)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str) -> None:
    """Every command of `gateway` that is shown exists, with its options."""
    name, *rest = line.split()
    command: Command = main.commands[name]
    while isinstance(command, Group):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in rest if word.startswith("--")} <= known


# ── what a table says ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", pages.pages(), ids=lambda page: page.name)
def test_made_pages(page: pathlib.Path) -> None:
    """What is made from the code is up to date: `scripts/docs`, or `python -m scripts.pages`, renews it."""
    assert pages.pages()[page] == page.read_text()


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_providers() -> None:
    """The table of providers names every provider that there is, and no other."""
    assert sorted(PROVIDERS) == sorted(set(re.findall(r"^\| `([\w-]+)` \|", page("providers.md"), re.M)) - {"provider"})


def test_errors() -> None:
    """The table of errors has every status and code that there is, and no other, and says what to do."""
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in page("errors.md").splitlines() if "| " in row][
        1:
    ]
    named = {(int(status), code.strip("`")) for status, code, *_ in rows if status.isdigit()}
    kinds = {(kind.status, kind.code or "none") for kind in kinds_of_error()} - {(500, "none")}

    assert kinds | {(401, INVALID_KEY)} == named
    assert {code for _, code in named} - {"none"} == set(error_codes())
    assert all(all(row) for row in rows)


def test_admin_endpoints() -> None:
    """The table of the admin API has every endpoint that there is, and no other."""
    named = set(re.findall(r"`([A-Z]+ /admin/[^`]+)`", page("keys.md")))
    admin = object.__new__(Admin)  # only its methods' names matter
    served = {
        f"{method} {route.path.replace('{key_id:path}', '{id}')}"
        for route in routes(object.__new__(Endpoints), admin, object.__new__(TargetAdmin), None)
        if isinstance(route, Route) and route.path.startswith("/admin") and not route.path.endswith("/")
        for method in (route.methods or set()) - {"HEAD"}
    }

    assert served == named


def test_import() -> None:
    """The routing file that is shown is what `gateway import litellm` makes of the configuration above it."""
    [command, made] = [block.text for block in BLOCKS if block.page.name == "migrating-from-litellm.md"]
    [given] = re.findall(r"<<'END'\n(.*?)^END$", command, re.DOTALL | re.MULTILINE)

    assert importing.convert(given).text == made


def test_limits(tmp_path: pathlib.Path) -> None:
    """The limits and budgets that are shown are those of the key and its team."""
    [block] = [block for block in of("yaml") if block.page.name == "keys.md" and "budget:" in block.text]
    config = loaded(block, tmp_path)

    assert ("apps", 600, 50 * NANOS) == ((key := config.keys[0]).team, key.rates.rpm, key.budget and key.budget.nanos)


def test_admin(served: GatewayProcess, environ: dict[str, str]) -> None:
    """The calls of the admin API are answered as its table says."""
    [block] = [block for block in of("sh") if "$ADMIN/keys" in block.text]
    with served.client(ADMIN_KEY) as http:
        for one in http.get("/admin/keys").json()["data"]:
            if one["name"] == "search":
                http.delete(f"/admin/keys/{one['id']}")
        made = http.post("/admin/keys", json={"name": "changed", "limits": {"rpm": 5}}).json()["id"]
        script = block.text.replace("curl ", "curl -sS -o /dev/null -w '%{http_code} ' ")
        answers = run(["bash", "-eu"], script, served, {**environ, "ID": made})
        shown = http.get(f"/admin/keys/{made}").json()

    assert ["201", "200", "200", "200", "201", "200", "200"] == answers.split()
    assert ("revoked", None, 1_000_000) == (shown["status"], shown["limits"]["rpm"], shown["limits"]["tpm"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: pathlib.Path) -> None:
    """Every file that a page links to exists, and every page can be reached from the first one."""
    text = page.read_text()
    links = re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", text)
    named = re.findall(r"`((?:scripts|tests|deploy)/[\w./-]+)`", text)

    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert page.parent == ROOT or page.name == "index.md" or f"({page.name})" in (ROOT / "docs/index.md").read_text()


def test_site(tmp_path: pathlib.Path) -> None:
    """The pages are built, and none of them loads anything from elsewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", str(ROOT / "deploy/mkdocs.yml")]
    subprocess.run([*command, "--site-dir", str(tmp_path)], check=True, capture_output=True)
    built = {file.stem: file.read_text() for file in tmp_path.glob("*.html")}

    assert {page.stem for page in PAGES if page.parent != ROOT} <= set(built)
    assert [
        name for name, html in built.items() if re.search(r'<(script|img|link)[^>]+(src|href)="(https?:)?//', html)
    ] == []
