"""`gateway embed --file`: many texts in their order, gone on with after a stop, and never mixed with other vectors."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from gateway import bulk
from gateway.answers import Result as Vectors
from gateway.cli import main
from providers import codec
from tests.fakes.openai_upstream import FakeOpenAI

SPACE = "openai/text-embedding-3-small"
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """Where the commands are called; with a file of texts."""
    monkeypatch.chdir(tmp_path)
    write("a", "b", "c", "d", "e")
    return tmp_path


def write(*texts: str) -> None:
    pathlib.Path("texts.txt").write_text("".join(f"{text}\n" for text in texts))


def embed(model: str = "local-small", *options: str) -> Result:
    """In this process; what it raises, it raises here."""
    arguments = ["embed", model, "--file", "texts.txt", "--output", "vectors.jsonl", *options]
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def written() -> bytes:
    return pathlib.Path("vectors.jsonl").read_bytes()


def result(count: int) -> Vectors:
    vectors = [codec.vector_from_numbers([float(number), 1.0]) for number in range(count)]
    return Vectors("m", vectors, tokens=count, usage_source="counted", space="s", targets=["t"])


# ── the two files ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(texts=st.lists(LINES, min_size=1, max_size=6), data=st.data())
def test_any_stop(texts: Sequence[str], data: st.DataObject) -> None:
    """Wherever a run was stopped, even within a line, the whole lines count, and no more."""
    whole = bulk.lines(result(len(texts)), texts, 0)
    cut = data.draw(st.integers(0, len(whole)))
    file = pathlib.Path("stopped.jsonl")
    file.write_bytes(whole[:cut])
    found = bulk.done(file, texts, "m", "s")

    assert (whole[:cut].count(b"\n"), whole[:cut].rfind(b"\n") + 1) == (found.texts, found.size)


@pytest.mark.parametrize(
    ("texts", "model", "space"),
    [
        (["a", "B", "c"], "m", "s"),
        (["a"], "m", "s"),
        (["a", "b", "c"], "m:query", "s"),
        (["a", "b", "c"], "m", "s+unit"),
    ],
    ids=["a text", "fewer texts", "model", "space"],
)
def test_other_vectors(texts: Sequence[str], model: str, space: str) -> None:
    """What does not belong to these texts, this model and this space is refused."""
    file = pathlib.Path("vectors.jsonl")
    file.write_bytes(bulk.lines(result(2), ["a", "b"], 0))

    with pytest.raises(bulk.BulkRefused, match=r"^vectors.jsonl:[12]: is not the vector of line"):
        bulk.done(file, texts, model, space)


def test_other_file() -> None:
    """A file of anything else is refused, and stays as it is."""
    pathlib.Path("vectors.jsonl").write_text("dear diary\n")
    refused = embed()

    assert (1, "", b"dear diary\n") == (refused.exit_code, refused.stdout, written())
    assert refused.stderr.startswith("vectors.jsonl:1: is not the vector of line 1 by `local-small`")


# ── the command ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_all() -> None:
    """Each line has its own vector, the same as alone; no progress where there is no terminal."""
    done = embed("local-small", "--batch", "2")
    lines = [json.loads(line) for line in written().splitlines()]
    alone = CliRunner().invoke(main, ["embed", "local-small", "d"]).stdout

    assert (0, "", "vectors.jsonl holds the vectors of all 5 lines of texts.txt.\n") == (
        done.exit_code,
        done.stdout,
        done.stderr,
    )
    assert [0, 1, 2, 3, 4] == [line["index"] for line in lines]
    assert json.loads(alone)["data"][0]["embedding"] == pytest.approx(lines[3]["embedding"], abs=1e-6)


def test_stop_and_go_on(folder: pathlib.Path, running_openai: FakeOpenAI) -> None:
    """A failure says what is not embedded; the same command then sends only that."""
    running_openai.clear()
    target = f"provider: openai, base_url: '{running_openai.base_url}', api_key: {running_openai.api_key}"
    model = f"models: {{small: {{targets: [{{model: text-embedding-3-small, {target}}}]}}}}"
    (folder / "gateway.yaml").write_text(model)
    write("a", "b")
    embed("small")
    before = written()
    write("a", "b", "c " * 9000, "d")
    failed = embed("small", "--batch", "1")
    between = written()
    write("a", "b", "c", "d")
    running_openai.clear()
    finished = embed("small")
    sent = [request.body["input"] for request in running_openai.requests]

    assert (1, before) == (failed.exit_code, between)
    assert failed.stderr.startswith("Lines 3 to 3 of texts.txt are not embedded (`input[0]` is line 3): ")
    assert failed.stderr.endswith("2 of 4 are in vectors.jsonl; the same command goes on from there.\n")
    assert (0, [["c", "d"]]) == (finished.exit_code, sent)
    assert written().startswith(before)
    assert {SPACE} == {json.loads(line)["space"] for line in written().splitlines()}


def test_too_many_tokens(folder: pathlib.Path) -> None:
    """What is too much for one request is sent in several."""
    limits = "limits: {request_tokens: 8}"
    target = "{provider: static, path: wordllama}"
    (folder / "gateway.yaml").write_text(f"models: {{small: {{normalize: true, {limits}, targets: [{target}]}}}}")
    write(*("a b c" for _ in range(7)))

    assert (0, 7) == (embed("small").exit_code, written().count(b"\n"))


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (b"a\n\nb\n", "texts.txt:2: is an empty line; an empty text has no vector. Remove the line.\n"),
        (b"", "texts.txt:1: is an empty line; an empty text has no vector. Remove the line.\n"),
        (b"\xff", "texts.txt: is not UTF-8 text.\n"),
        (None, "texts.txt: cannot be read: No such file or directory. Did you mean `text.txt`?\n"),
    ],
    ids=["empty line", "empty file", "no text", "no file"],
)
def test_refused(folder: pathlib.Path, texts: bytes | None, says: str) -> None:
    """Texts that cannot be are told before anything is sent or written."""
    if texts is None:
        (folder / "texts.txt").rename(folder / "text.txt")
    else:
        (folder / "texts.txt").write_bytes(texts)
    refused = embed()

    assert (1, "", says) == (refused.exit_code, refused.stdout, refused.stderr)
    assert not (folder / "vectors.jsonl").exists()


@pytest.mark.parametrize(
    "line", ["--file texts.txt", "a --output v.jsonl", "a --file texts.txt --output v.jsonl", "--batch 3"]
)
def test_called_wrongly(line: str) -> None:
    """Texts come from one place, and those of a file go to another."""
    assert 2 == CliRunner().invoke(main, ["embed", "local-small", *line.split()]).exit_code


def test_no_model(folder: pathlib.Path) -> None:
    """A model that there is not makes no file."""
    refused = embed("local-smal")

    assert (1, "There is no model `local-smal`. Did you mean `local-small`? There is `local-small`.\n") == (
        refused.exit_code,
        refused.stderr,
    )
    assert not (folder / "vectors.jsonl").exists()
