"""The command line: its help, its exit codes, what goes to stdout and what to stderr; and the first start for real."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

import gateway
from gateway.auth import key_hash, new_key, well_formed
from gateway.cli import main
from tests.gateway_process import PYTHON

SMALL = "{targets: [{provider: openai, model: text-embedding-3-small, api_key: s3cret}]}"
GOOD = f"models:\n  small: {SMALL}\n"
LOCAL = "models:\n  local: {normalize: true, targets: [{provider: static, path: wordllama}]}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the commands are called; empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str, given: str | bytes = "") -> Result:
    """A command in this process; what it raises, it raises here."""
    return CliRunner().invoke(main, arguments, input=given, catch_exceptions=False)


def call_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [*PYTHON, "-m", "gateway", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


def outcome(result: Result) -> tuple[int, str, str]:
    return result.exit_code, result.stdout, result.stderr


def commands(command: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, (*path, name))


# ── help and options ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help(path: tuple[str, ...], option: str) -> None:
    """Every command explains itself in a full sentence."""
    result = call(*path, option)

    assert (0, "") == (result.exit_code, result.stderr)
    assert re.search(r"^  [A-Z][^\n]*\w.*\.$", result.stdout, re.MULTILINE | re.DOTALL)


def test_commands() -> None:
    """There are these commands."""
    expected = [
        *("serve", "check", "schema", "import", "import litellm", "embed", "probe"),
        *("space", "space list", "space show", "space accept", "keys"),
        *(f"keys {name}" for name in ("create", "update", "show", "list", "revoke", "rotate", "mint", "hash")),
        *("usage", "targets", "targets list", "targets drain", "targets restore"),
        *("cache", "cache stats", "cache clear", "completion"),
    ]

    assert expected == [" ".join(path) for path in commands() if path]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "serve --nonsense",
        "serve --port -1",
        "serve --port 65536",
        "serve --port http",
        "serve --workers 0",
        "serve --workers 65",
        "serve --config .",
        "serve gateway.yaml",
        "check .",
        "check a b",
        "schema x",
        "embed",
        "embed small",
        "keys nonsense",
        "keys create",
        "keys create app",
        "keys list --format json",
        "keys revoke",
        "keys revoke a b",
        "keys rotate",
        "keys mint",
        "keys mint app",
        "keys hash sk-gateway-on-the-command-line",
    ],
)
def test_wrong_options(line: str) -> None:
    """A command that is called wrongly exits with 2 and says how it is called."""
    result = call(*line.split())

    assert (2, "", True) == (result.exit_code, result.stdout, result.stderr.startswith("Usage: "))


@pytest.mark.parametrize("command", ["serve", "check", "embed small hello", "keys list", "keys create --name a"])
def test_wrong_options_touch_nothing(folder: pathlib.Path, command: str) -> None:
    """A command that is called wrongly makes no file."""
    call(*command.split(), "--nonsense")

    assert [] == list(folder.iterdir())


def test_version() -> None:
    """`python -m gateway` is the same program, and knows its version."""
    done = call_process("--version")

    assert (0, f"gateway, version {gateway.__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


# ── check and schema ──────────────────────────────────────────────────────────────────────────────────────────────


def test_good_file(folder: pathlib.Path) -> None:
    """A good file is shown as it was understood, and called good."""
    (folder / "my.yaml").write_text(GOOD)
    expected = (
        "small: space openai/text-embedding-3-small, 1 to 1536 dimensions, "
        "targets openai-0 (openai: text-embedding-3-small)\n"
        "my.yaml is good: 1 model.\n"
    )

    assert (0, expected, "") == outcome(call("check", "my.yaml"))


def test_two_models(folder: pathlib.Path) -> None:
    """Models are counted as people count."""
    (folder / "my.yaml").write_text(f"{GOOD}  other: {SMALL}\n")

    assert call("check", "my.yaml").stdout.endswith("my.yaml is good: 2 models.\n")


def test_warnings(folder: pathlib.Path) -> None:
    """What should be known of a good file is warned of, with its line, and the file is good all the same."""
    (folder / "my.yaml").write_text(
        "models:\n  small:\n    dimensions: {native: 8}\n    targets:\n      - {provider: together, model: a}\n"
    )
    result = call("check", "my.yaml")

    assert (0, True, True) == (
        result.exit_code,
        result.stderr.startswith("Warning: my.yaml:5: models.small.targets[0]: together is not known to refuse"),
        result.stdout.endswith("\nmy.yaml is good: 1 model, 1 warning.\n"),
    )


def test_bad_file(folder: pathlib.Path) -> None:
    """Every problem of a bad file is told at once, each with its line, and then their number."""
    (folder / "my.yaml").write_text("server: {port: 99999}\nmodels:\n  small: {tragets: []}\n  large: 3\n")
    result = call("check", "my.yaml")
    *problems, last = result.stderr.splitlines()
    places = [":".join(problem.split(":")[:3]) for problem in problems]
    expected = [
        "my.yaml:1: server.port",
        "my.yaml:3: models.small.tragets",
        "my.yaml:3: models.small.targets",
        "my.yaml:4: models.large",
    ]

    assert (1, "", sorted(expected), "4 problems; nothing was started.") == (
        result.exit_code,
        result.stdout,
        sorted(places),
        last,
    )


def test_one_problem(folder: pathlib.Path) -> None:
    """Problems are counted as people count."""
    (folder / "my.yaml").write_text(f"{GOOD}sever: {{}}\n")

    assert call("check", "my.yaml").stderr.endswith("\n1 problem; nothing was started.\n")


@pytest.mark.parametrize("text", [GOOD, f"{GOOD}sever: {{}}\n", GOOD.replace("openai", "opneai")])
def test_secrets_are_not_shown(folder: pathlib.Path, text: str) -> None:
    """Good or bad, a file's secrets are not shown."""
    (folder / "my.yaml").write_text(text)

    assert "s3cret" not in call("check", "my.yaml").output


def test_check_here(folder: pathlib.Path) -> None:
    """Without a name the file `gateway.yaml` of this folder is checked."""
    (folder / "gateway.yaml").write_text("models: {}\n")
    result = call("check")

    assert (1, True) == (result.exit_code, result.stderr.startswith("gateway.yaml:1: models: "))


def test_check_what_would_change(folder: pathlib.Path) -> None:
    """What a file would change from another is told line by line; no change is a problem, but a bad file is."""
    running = "models: {m: {normalize: true, targets: [{provider: static, path: wordllama}]}}\n"
    (folder / "running.yaml").write_text(running)
    (folder / "new.yaml").write_text(f"server: {{port: 1}}\n{running.replace('m:', 'n:')}")
    (folder / "bad.yaml").write_text("models: {}\n")
    found = [call("check", new, "--diff", "running.yaml") for new in ("new.yaml", "running.yaml", "bad.yaml")]

    assert [0, 0, 1] == [one.exit_code for one in found]
    assert [
        "What would change:",
        "  server.port: 8080 → 1 (restart needed)",
        "  models.n: added",
        "  models.m: removed",
    ] == found[0].stdout.splitlines()[1:-1]
    assert "Nothing would change." in found[1].stdout


def test_check_nothing() -> None:
    """Where there is no file the embedded default is checked, and good."""
    result = call("check")

    assert (0, "The configuration is good: 1 model.") == (result.exit_code, result.stdout.splitlines()[-1])


def test_missing_file() -> None:
    """A file that is not there is told in one line."""

    assert (1, "", "my.yaml: cannot be read: No such file or directory.\n") == outcome(call("check", "my.yaml"))


def test_file_that_is_no_text(folder: pathlib.Path) -> None:
    """A file that is no text is told in one line."""
    (folder / "my.yaml").write_bytes(b"models: \xff")

    assert (1, "", "my.yaml: is not UTF-8 text.\n") == outcome(call("check", "my.yaml"))


@pytest.mark.parametrize("command", ["serve --port 0", "embed small hello", "keys list", "keys create --name a"])
def test_bad_file_elsewhere(folder: pathlib.Path, command: str) -> None:
    """No command starts with a bad file."""
    (folder / "gateway.yaml").write_text("models: {}\n")
    result = call(*command.split())

    assert (1, "", ["gateway.yaml"]) == (result.exit_code, result.stdout, [path.name for path in folder.iterdir()])


def test_schema() -> None:
    """The schema is printed as JSON."""

    assert "models" in json.loads(call("schema").stdout)["properties"]


# ── embed ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_embed() -> None:
    """Texts are embedded without a server, and the answer is OpenAI's."""
    result = call("embed", "local-small", "a cat", "a dog")
    answer = json.loads(result.stdout)

    assert (0, "", "local-small", [0, 1], [256, 256]) == (
        result.exit_code,
        result.stderr,
        answer["model"],
        [item["index"] for item in answer["data"]],
        [len(item["embedding"]) for item in answer["data"]],
    )


def test_embed_with_a_file(folder: pathlib.Path) -> None:
    """The models are those of the file that is named."""
    (folder / "my.yaml").write_text(LOCAL)

    assert "local" == json.loads(call("embed", "-c", "my.yaml", "local", "a cat").stdout)["model"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("local-smal", "a cat"),
            "There is no model `local-smal`. Did you mean `local-small`? There is `local-small`.",
        ),
        (("local-small", ""), "`input[0]` is an empty string"),
        (("local-small", "a cat", ""), "`input[1]` is an empty string"),
        (("local-small", "\udcff"), "The request body is not valid JSON"),
        (("", "a cat"), "`model` must name a model"),
        (("local-small:query", *["x"] * 2049), "`input` holds 2049 inputs; at most 2048"),
    ],
    ids=["model", "empty", "second empty", "no text", "no name", "many"],
)
def test_embed_refused(arguments: tuple[str, ...], message: str) -> None:
    """What the endpoint would refuse is refused in its words, on one line."""
    result = call("embed", *arguments)

    assert (1, "", 1, True) == (
        result.exit_code,
        result.stdout,
        len(result.stderr.splitlines()),
        result.stderr.startswith(message),
    )


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def make_key(*arguments: str) -> str:
    result = call("keys", "create", "--name", *arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def listed(*arguments: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(call("keys", "list", "--json", *arguments).stdout)
    return rows


def test_create() -> None:
    """A new key is alone on stdout."""
    result = call("keys", "create", "--name", "app")

    assert (0, True, "\n") == (result.exit_code, well_formed(result.stdout[:-1]), result.stdout[-1])


def test_create_explains() -> None:
    """What to know about a new key goes to stderr, without the key."""
    result = call("keys", "create", "--name", "app")

    assert "This is the key `app`. It is shown only now: only its hash is kept.\n" == result.stderr


@pytest.mark.parametrize(
    ("models", "expected"),
    [("text-*", ["text-*"]), ("a, b ,,c", ["a", "b", "c"]), ("*", ["*"]), ("team/a:query", ["team/a:query"])],
)
def test_create_for_models(models: str, expected: list[str]) -> None:
    """Models are given with commas between them, and blanks where one likes."""
    make_key("app", "--models", models)

    assert [expected] == [row["models"] for row in listed()]


def test_create_with_an_end() -> None:
    """A key may be given an end."""
    make_key("app", "--expires", "2099-01-31")

    assert [4073500800.0] == [row["expires"] for row in listed()]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--name", ""),
        ("--name", "a\nb"),
        ("--name", "\udcff"),
        ("--name", "app", "--models", ""),
        ("--name", "app", "--models", " , "),
        ("--name", "app", "--expires", "2020-01-01"),
        ("--name", "app", "--expires", "soon"),
        ("--name", "app", "--expires", "999999999d"),
        ("--name", "taken"),
    ],
)
def test_create_refused(arguments: tuple[str, ...]) -> None:
    """A key that makes no sense is refused in one line, and not made."""
    make_key("taken")
    result = call("keys", "create", *arguments)

    assert (1, "", 1, ["taken"]) == (
        result.exit_code,
        result.stdout,
        len(result.stderr.splitlines()),
        [row["name"] for row in listed()],
    )


def test_list_nothing() -> None:
    """Where there are no keys the list says how to make one."""
    expected = "There are no keys yet; `gateway keys create --name NAME` makes one.\n"

    assert (0, expected, "") == outcome(call("keys", "list"))


def test_list(folder: pathlib.Path) -> None:
    """Keys are listed in columns, the routing file's first, without hashes and keys."""
    key_of_file = f"{{name: the-one-of-the-file, sha256: {key_hash(new_key())}, models: [small], expires: 2099-01-31}}"
    (folder / "gateway.yaml").write_text(f"{GOOD}auth: {{keys: [{key_of_file}]}}\n")
    make_key("o'brien 名")
    lines = call("keys", "list").stdout.splitlines()
    now = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    expected = [
        r"ID                        NAME                 MODELS  TEAM  LIMITS  "
        r"CREATED           EXPIRES           STATUS",
        r"file:the-one-of-the-file  the-one-of-the-file  small   -     -       "
        r"-                 2099-01-31 00:00  active",
        rf"key_[0-9a-f]{{12}}          o'brien 名           \*       -     -       {now}  -                 active",
    ]

    assert [True] * 3 == [
        re.fullmatch(pattern, line) is not None for pattern, line in zip(expected, lines, strict=True)
    ]


def test_list_as_json() -> None:
    """Scripts get the list as JSON."""
    make_key("app")

    assert [("app", "active", ["*"], None)] == [
        (row["name"], row["status"], row["models"], row["budget"]) for row in listed()
    ]


def test_create_with_limits() -> None:
    """Limits and a budget are given as options."""
    make_key(
        "app",
        "--rpm",
        "5",
        "--tpm",
        "7",
        "--shadow",
        "--budget-usd",
        "0.5",
        "--per",
        "day",
        "--priority",
        "bulk",
        "--no-cache",
    )
    (row,) = listed()

    assert {"rpm": 5, "tpm": 7, "concurrent": None, "shadow": True} == row["limits"]
    assert ({"usd": 0.5, "tokens": None, "per": "day", "soft": 0.8}, "bulk") == (row["budget"], row["priority"])
    assert row["cache"] is False


@pytest.mark.parametrize(("alone", "needs"), [("--shadow", "--rpm"), ("--per day", "`usd`, `tokens`")])
def test_options_that_need_others(alone: str, needs: str) -> None:
    """An option that says nothing by itself is refused, with those it goes with."""
    result = call("keys", "create", "--name", "app", *alone.split())

    assert (1, True, []) == (result.exit_code, needs in result.stderr, listed())


def test_create_with_notes_and_limits_of_models() -> None:
    """Notes, and limits of single models, may be given several times; `show` tells them."""
    limits = ("--model-limit", "text-*", "rpm", "5", "--model-limit", "text-*", "tpm", "7")
    make_key("app", *limits, "--metadata", "owner=me", "--metadata", "why=a=b")
    (row,) = listed()
    shown = json.loads(call("keys", "show", row["id"]).stdout)

    assert {"text-*": {"rpm": 5, "tpm": 7, "concurrent": None, "shadow": False}} == shown["model_limits"]
    assert ({"owner": "me", "why": "a=b"}, row) == (shown["metadata"], shown)


def test_show_nothing() -> None:
    """A key that is not there cannot be shown."""
    result = call("keys", "show", "key_9")

    assert (1, "There is no key `key_9` in the state.\n") == (result.exit_code, result.stderr)


def test_update() -> None:
    """What is named changes, and what is not stays."""
    make_key("app", "--rpm", "5")
    (row,) = listed()
    call("keys", "update", row["id"], "--models", "a,b", "--tpm", "7", "--budget-tokens", "9", "--per", "week")
    (changed,) = listed()

    limits = {"rpm": 5, "tpm": 7, "concurrent": None, "shadow": False}
    budget = {"usd": None, "tokens": 9, "per": "week", "soft": 0.8}
    assert {**row, "models": ["a", "b"], "limits": limits, "budget": budget} == changed


def test_update_nothing() -> None:
    """A change of nothing is a mistake."""
    result = call("keys", "update", "key_1")

    assert (1, "Say what to change: `gateway keys update --help` shows what can be.\n") == (
        result.exit_code,
        result.stderr,
    )


def test_no_usage() -> None:
    """Where nothing was used, that is said."""

    assert "Nothing was used in that time.\n" == call("usage", "--from", "2026-01-01").stdout


def test_usage_of_no_day() -> None:
    """What is no day is refused."""
    result = call("usage", "--to", "2026-02-30")

    assert (2, True) == (result.exit_code, "`to` must be a day like 2026-11-21" in result.stderr)


@pytest.mark.parametrize("column", ["name", "id"])
def test_revoke(column: str) -> None:
    """A key is revoked by its name or its id, which is told on stderr."""
    make_key("app")
    (row,) = listed()
    result = call("keys", "revoke", row[column])

    assert (0, "", f"The key `app` ({row['id']}) is revoked.\n", ["revoked"]) == (
        *outcome(result),
        [row["status"] for row in listed()],
    )


def test_revoke_during_an_overlap() -> None:
    """Revoking a name right after its rotation ends the old key as well as the new one."""
    make_key("app")
    call("keys", "rotate", "app")
    result = call("keys", "revoke", "app")

    assert (2, ["revoked", "revoked"]) == (len(result.stderr.splitlines()), [row["status"] for row in listed()])


def test_revoke_file_key(folder: pathlib.Path) -> None:
    """A key of the routing file cannot be revoked here."""
    (folder / "gateway.yaml").write_text(f"{GOOD}auth: {{keys: [{{name: ci, sha256: {key_hash(new_key())}}}]}}\n")
    result = call("keys", "revoke", "ci")

    assert (1, "", True) == (result.exit_code, result.stdout, "ended by removing them there" in result.stderr)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "The old one ends in 24h."),
        (("--overlap", "90m"), "The old one ends in 90m."),
        (("--overlap", "0"), "The old one has ended."),
    ],
)
def test_rotate(options: tuple[str, ...], says: str) -> None:
    """A rotation prints the new key alone on stdout, and what becomes of the old one on stderr."""
    old = make_key("app")
    result = call("keys", "rotate", "app", *options)
    new = result.stdout[:-1]

    assert (0, True, True, f"This is the new key `app`, shown only now. {says}\n") == (
        result.exit_code,
        well_formed(new),
        new != old,
        result.stderr,
    )


@pytest.mark.parametrize("arguments", [("nobody",), ("app", "--overlap", "soon"), ("app", "--overlap", "1")])
def test_rotate_refused(arguments: tuple[str, ...]) -> None:
    """A rotation that makes no sense is refused in one line, and changes nothing."""
    make_key("app")
    result = call("keys", "rotate", *arguments)

    assert (1, "", 1, ["active"]) == (
        result.exit_code,
        result.stdout,
        len(result.stderr.splitlines()),
        [row["status"] for row in listed()],
    )


def test_mint_without_a_secret() -> None:
    """Without a signing key nothing is minted, and the message says what is missing."""
    call("keys", "create", "--name", "app")
    result = call("keys", "mint", "--key", "app")

    assert (1, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("There is nothing to sign with: name a file of at least 32 secret bytes as `auth.s")


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "  \n", "\nmore\n"])
def test_hash(end: str) -> None:
    """The hash of a key on standard input is alone on stdout."""
    key = new_key()

    assert (0, f"{key_hash(key)}\n", "") == outcome(call("keys", "hash", given=f"{key}{end}"))


@pytest.mark.parametrize("given", ["", "\n", "sk-proj-0123456789\n", b"\xff\xfe\n", new_key()[:-1], f"\n{new_key()}"])
def test_hash_refused(given: str | bytes) -> None:
    """What is no key is refused without being repeated."""
    message = "This is not one of the gateway's keys, or it is mistyped; `gateway keys create` makes one.\n"

    assert (1, "", message) == outcome(call("keys", "hash", given=given))


def test_hash_at_a_terminal() -> None:
    """A key that is typed at a terminal is not shown, and its hash is alone on stdout."""
    key = new_key()
    terminal, keyboard = pty.openpty()
    command = [*PYTHON, "-m", "gateway", "keys", "hash"]
    with subprocess.Popen(
        command, stdin=keyboard, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stderr is not None
        while process.stderr.read(1) != b":":  # typing begins after the question, when nothing is shown any more
            pass
        os.write(terminal, f"{key}\n".encode())
        printed, _ = process.communicate(timeout=30)
    shown, _, _ = select.select([terminal], [], [], 0)
    os.close(terminal)
    os.close(keyboard)

    assert (f"{key_hash(key)}\n", []) == (printed.decode(), shown)


@pytest.mark.parametrize("command", ["list", "create --name a", "revoke a", "rotate a"])
def test_state_that_cannot_be_opened(folder: pathlib.Path, command: str) -> None:
    """A state that cannot be opened is told in one line with its file."""
    (folder / "gateway.yaml").write_text(f"{GOOD}state: {{url: 'sqlite:///missing/keys.db'}}\n")
    file = folder / "missing" / "keys.db"
    message = f"The state file {file} cannot be opened: No such file or directory.\n"

    assert (1, "", message) == outcome(call("keys", *command.split()))


def test_state_of_the_file_that_is_named(folder: pathlib.Path) -> None:
    """The state lies where the routing file says, seen from that file's folder."""
    (folder / "conf").mkdir()
    (folder / "conf" / "my.yaml").write_text(f"{GOOD}state: {{url: 'sqlite:///keys.db'}}\n")
    make_key("app", "--config", "conf/my.yaml")

    assert (["conf"], True) == (
        [path.name for path in folder.iterdir()],
        (folder / "conf" / "keys.db").exists(),
    )


# ── serving for real ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def serving() -> Iterator[subprocess.Popen[str]]:
    """A gateway without a routing file on a free port."""
    command = [*PYTHON, "-m", "gateway", "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it says and complains of from its start to its stop."""
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    return first + process.stdout.read(), process.stderr.read()


def keys_in(text: str) -> set[str]:
    return set(re.findall(r"sk-gateway-\w+", text))


def test_first_start() -> None:
    """The first start shows one key and complains of nothing."""
    with serving() as process:
        said, complaints = stopped(process)

    assert ([True], "") == ([well_formed(key) for key in keys_in(said)], complaints)


def test_second_start() -> None:
    """The second start shows no key."""
    for _ in range(2):
        with serving() as process:
            said, _ = stopped(process)

    assert (True, set()) == (said.startswith("The embedding gateway listens on http://127.0.0.1:"), keys_in(said))


def test_first_call() -> None:
    """The call that the first start shows works as it stands."""
    with serving() as process:
        assert process.stdout is not None
        said = ""
        while "-d '" not in said:
            said += process.stdout.readline()
        (url,) = re.findall(r"curl (\S+)", said)
        (key,) = keys_in(said)
        (body,) = re.findall(r"-d '(.*)'", said)
        with httpx.Client(trust_env=False, timeout=60) as http:
            answer = http.post(
                url, content=body, headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            )

    assert (200, 2) == (answer.status_code, len(answer.json()["data"]))


def test_state_of_the_first_start(folder: pathlib.Path) -> None:
    """The state of a gateway without a routing file lies in the current folder, for its owner alone."""
    with serving() as process:
        stopped(process)

    assert 0o600 == stat.S_IMODE((folder / "gateway.db").stat().st_mode)


def test_port_in_use() -> None:
    """A port that is taken is told in one line, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = call_process("serve", "--port", str(port))
    message = (
        f"Cannot listen on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with `--port` (0 takes a free one).\n"
    )

    assert (1, "", message) == (done.returncode, done.stdout, done.stderr)


def test_no_key_for_a_start_that_fails(folder: pathlib.Path) -> None:
    """A first start that fails makes no key: nobody would ever be told it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        call("serve", "--port", str(other.getsockname()[1]))

    assert [] == list(folder.iterdir())


def test_address_of_others() -> None:
    """An address that is none of this machine's is told in one line."""
    message = (
        "Cannot listen on 192.0.2.1 port 0: Cannot assign requested address. "
        "Choose another with `--port` (0 takes a free one).\n"
    )

    assert (1, "", message) == outcome(call("serve", "--host", "192.0.2.1", "--port", "0"))


def test_workers_apart(folder: pathlib.Path) -> None:
    """Several workers that would each count for themselves are refused, and nothing is started."""
    (folder / "my.yaml").write_text(GOOD)
    result = call("serve", "--config", "my.yaml", "--workers", "2")

    assert (1, "", True) == (
        result.exit_code,
        result.stdout,
        "--workers 2: several workers over SQLite" in result.stderr,
    )


def test_keys_without_the_state(folder: pathlib.Path) -> None:
    """Where Redis is away, a command says which, and why."""
    (folder / "my.yaml").write_text(f"state: {{url: 'redis://127.0.0.1:9'}}\n{GOOD}")
    told = "The state at redis://127.0.0.1:9 cannot be reached: the connection is refused.\n"

    assert (1, "", told) == outcome(call("keys", "list", "--config", "my.yaml"))


def test_serve_with_an_unusable_state(folder: pathlib.Path) -> None:
    """A gateway whose state cannot be opened does not start, and says why in one line."""
    (folder / "gateway.yaml").write_text(f"{LOCAL}state: {{url: 'sqlite:///missing/keys.db'}}\n")
    done = call_process("serve", "--port", "0")
    message = f"The state file {folder / 'missing' / 'keys.db'} cannot be opened: No such file or directory.\n"

    assert (True, "", message) == (done.returncode != 0, done.stdout, done.stderr)
