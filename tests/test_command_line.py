"""What makes the command line pleasant: colours and progress on a terminal, JSON for scripts, completion, help."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import shlex
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from gateway.cli import SECTIONS, main
from gateway.commands import output
from gateway.commands.probe import MOST
from gateway.inputs import MAX_INPUTS
from tests.gateway_process import PYTHON

GOOD = (
    "models: {small: {aliases: [tiny], targets: [{provider: openai, model: text-embedding-3-small, api_key: s3cret}]}}"
)
ESCAPE = "\x1b["


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the commands are called; empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments: str) -> Result:
    """A command in this process; what it raises, it raises here."""
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def on_a_terminal(*arguments: str, **environ: str) -> str:
    """All that a terminal is sent by a command."""
    screen, program = pty.openpty()
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],  # in development mode asyncio would talk, too
        stdin=program,
        stdout=program,
        stderr=program,
        env={**inherited, "TERM": "xterm", **environ},
    )
    os.close(program)
    said = b""
    try:
        while read := os.read(screen, 4096):
            said += read
    except OSError:  # how Linux tells that nobody writes any more
        pass
    os.close(screen)
    assert process.wait(60) in (0, 1)
    return said.decode()


# ── on a terminal ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_colours_and_progress(folder: pathlib.Path) -> None:
    """A terminal gets colours for what is good, and a bar that grows and gives the cursor back."""
    (folder / "texts.txt").write_text("a\nb\n")
    probed = on_a_terminal("probe")
    embedded = on_a_terminal("embed", "local-small", "--file", "texts.txt", "--output", "v.jsonl", "--batch", "1")

    assert f"answers       {ESCAPE}32m{ESCAPE}1m✓{ESCAPE}0m yes" in probed
    assert ["0/1", "1/1"] == re.findall(r"Asking 1 target  \[[#-]+]  (\d/\d)", probed)
    assert ["0/2", "1/2", "2/2"] == re.findall(r"Embedding texts.txt  \[[#-]+]  (\d/\d)", embedded)
    assert embedded.count(f"{ESCAPE}?25h") == 1


def test_a_problem_in_colour() -> None:
    """What is wrong is told in red."""
    assert f"{ESCAPE}31mno.yaml: cannot be read: No such file or directory.{ESCAPE}0m" in on_a_terminal(
        "check", "no.yaml"
    )


def test_no_colour(folder: pathlib.Path) -> None:
    """`NO_COLOR` takes the colours, and a dumb terminal is sent nothing but text."""
    (folder / "texts.txt").write_text("a\n")
    bulk = ("embed", "local-small", "--file", "texts.txt", "--output", "v.jsonl")
    plain, dumb = on_a_terminal("probe", NO_COLOR="1"), on_a_terminal(*bulk, TERM="dumb")

    assert ("✓ yes" in plain, "1/1" in plain, re.findall(r"\x1b\[\d+m", plain)) == (True, True, [])
    assert "v.jsonl holds the vectors of all 1 lines of texts.txt.\r\n" == dumb


def test_signs() -> None:
    """Signs are painted where they begin a line or a cell, and nowhere else."""
    text = "  base64  ✓ yes  ✗ floats\n! relay, a ! b?\nWhat? no"
    found = output._SIGN.findall(text)

    assert ["✓", "✗", "!"] == found


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers stand under each other's ends, wide letters count twice, and what is not known is a dash."""
    output.table([{"name": "名", "count": 5, "note": None}, {"name": "abc", "count": 1000, "note": "x"}])

    assert ["NAME  COUNT  NOTE", "名        5  -", "abc    1000  x"] == capsys.readouterr().out.splitlines()


# ── help ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sections() -> None:
    """The help of the whole has every command in one section, an example and the exit codes."""
    shown = call("--help").stdout
    listed = re.findall(r"^  ([a-z]+)  ", shown, re.MULTILINE)

    assert list(main.commands) == listed
    assert all(f"{section}:" in shown for section in SECTIONS)
    assert re.search(r"Example: gateway embed .* Exit codes: 0 fine, 1 a problem, 2", shown.replace("\n ", ""))


def test_help_imports_little() -> None:
    """Neither help nor completion waits for anything that serves to be imported."""
    heavy = ("pydantic", "starlette", "numpy", "redis", "uvicorn", "tiktoken", "jwt", "asyncio", "yaml")
    code = f"import sys, gateway.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


def test_most() -> None:
    """What the help of `probe` says of the largest request is so."""
    assert MAX_INPUTS == MOST


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chek", "No such command 'chek'. (Did you mean one of: 'cache', 'check', 'schema'?)"),
        ("keys lst", "No such command 'lst'. Did you mean 'list'?"),
        ("check --jsn", "No such option '--jsn'. Did you mean '--json'?"),
        ("embed a", "Give TEXT, or name a file of texts with --file."),
    ],
)
def test_what_was_meant(line: str, says: str) -> None:
    """Who mistypes is told what is like it."""
    result = call(*line.split())

    assert (2, "", True) == (result.exit_code, result.stdout, says in result.stderr)


def test_file_that_was_meant(folder: pathlib.Path) -> None:
    """A file that is not there is told with one of its kind that is."""
    (folder / "gateway.yaml").write_text(GOOD)
    (folder / "gateway.yml").write_text(GOOD)

    assert "gatway.yaml: cannot be read: No such file or directory. Did you mean `gateway.yaml`?\n" == (
        call("check", "gatway.yaml").stderr
    )


# ── for scripts ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_as_json(folder: pathlib.Path) -> None:
    """A good file's models and changes are told as JSON, without a secret."""
    (folder / "old.yaml").write_text(GOOD.replace("s3cret", "s3cret2"))
    (folder / "new.yaml").write_text(GOOD)
    result = call("check", "new.yaml", "--diff", "old.yaml", "--json")
    told = json.loads(result.stdout)
    (model,), (change,) = told["models"], told["changes"]

    assert (0, "", True, []) == (result.exit_code, result.stderr, told["good"], told["problems"])
    assert ("small", "openai/text-embedding-3-small", 1536) == (model["model"], model["space"], model["dimensions"])
    assert [{"target": "openai-0", "provider": "openai", "upstream_model": "text-embedding-3-small"}] == model[
        "targets"
    ]
    assert ("models.small.targets.openai-0.api_key", "changed") == (change["path"], change["kind"])
    assert "s3cret" not in result.stdout


def test_problems_as_json(folder: pathlib.Path) -> None:
    """Every problem is told as JSON, with its place; the exit code is that of a problem."""
    (folder / "bad.yaml").write_text("server: {port: 99999}\nmodels:\n  large: 3\n")
    bad, missing = call("check", "bad.yaml", "--json"), call("check", "no.yaml", "--json")
    problems = json.loads(bad.stdout)["problems"]

    assert [("bad.yaml", 1, "server.port"), ("bad.yaml", 3, "models.large")] == [
        (one["file"], one["line"], one["path"]) for one in problems
    ]
    assert (1, "", 1, "") == (bad.exit_code, bad.stderr, missing.exit_code, missing.stderr)
    assert (
        "no.yaml: cannot be read: No such file or directory. Did you mean `bad.yaml`?"
        == (json.loads(missing.stdout)["problems"][0]["message"])
    )


@pytest.mark.parametrize("command", [("create", "--name", "app", "--rpm", "5"), ("rotate", "app")])
def test_key_as_json(command: tuple[str, ...]) -> None:
    """A new key is told as JSON together with what is known of it."""
    call("keys", "create", "--name", "other" if command[0] == "create" else "app", "--rpm", "5")
    made = json.loads(call("keys", *command, "--json").stdout)
    shown = json.loads(call("keys", "show", made["id"]).stdout)

    assert re.fullmatch(r"sk-gateway-\w+", made.pop("key"))
    assert ("app", 5, made) == (made["name"], made["limits"]["rpm"], shown)


# ── completion ────────────────────────────────────────────────────────────────────────────────────────────────────


def completed(line: str) -> list[str]:
    """What the Tab key offers at the end of a line."""
    *words, last = line.split(" ")
    return [item.value for item in ShellComplete(main, {}, "gateway", "_").get_completions(words, last)]


def test_completion(folder: pathlib.Path) -> None:
    """Commands, options, and the names that a routing file has are completed, even of one that is not right."""
    (folder / "gateway.yaml").write_text(f"{GOOD}\nsever: 1\n")
    (folder / "other.yaml").write_text("models: {m: {targets: [{provider: tei, name: gpu}, {provider: tei}, 3]}, n: 1}")

    assert ["keys"] == completed("k")
    assert ["--diff"] == completed("check --d")
    assert ["small", "tiny"] == completed("embed ")
    assert ["openai-0"] == completed("targets drain small ")
    assert ["gpu", "tei-1"] == completed("targets drain -c other.yaml m ")
    assert [] == completed("embed -c missing.yaml ")
    assert [] == completed("targets drain nothing ")


def test_completion_of_keys(folder: pathlib.Path) -> None:
    """Keys that work are completed; a state that is not there is not made, and a wrong file says nothing."""
    before = (completed("keys revoke "), list(folder.iterdir()))
    call("keys", "create", "--name", "app")
    call("keys", "create", "--name", "gone")
    call("keys", "revoke", "gone")
    key_id = json.loads(call("keys", "list", "--json").stdout)[0]["id"]
    after = (completed("keys revoke "), completed("keys update key_"))
    (folder / "gateway.yaml").write_text("models: {}")

    assert ([], []) == before
    assert (["app", key_id], [key_id]) == after
    assert [] == completed("keys revoke ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(shell: str) -> None:
    """The script for each shell is told, and asks the program by the variable that it listens to."""
    result = call("completion", shell)

    assert (0, True) == (result.exit_code, f"_GATEWAY_COMPLETE={shell}_complete" in result.stdout)


def test_completion_in_bash(folder: pathlib.Path) -> None:
    """Bash takes the script, and completes with it."""
    (folder / "gateway.yaml").write_text(GOOD)
    (folder / "gateway").write_text(f'#!/bin/sh\nexec {shlex.join(PYTHON)} -m gateway "$@"\n')
    (folder / "gateway").chmod(0o755)
    script = call("completion", "bash").stdout
    lines = 'COMP_WORDS=(gateway embed sm); COMP_CWORD=2; _gateway_completion ./gateway; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", f"{script}\n{lines}"], capture_output=True, text=True, check=True)

    assert ("small\n", "") == (done.stdout, done.stderr)
