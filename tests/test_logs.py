"""Log lines: one JSON object each, whatever is in them, and never what an exception says."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.logs import ConsoleFormatter, JSONFormatter, Lines

ANY_TEXT = st.text(st.characters())
"""Lone surrogates and all kinds of line ends, too."""


def written(event: str = "request", **attributes: Any) -> str:
    attributes = {"msg": event, "levelname": "INFO", "created": 1_800_000_000.25, **attributes}
    return JSONFormatter().format(logging.makeLogRecord(attributes))


def raised(error: Exception, cause: Exception | None = None) -> Any:
    """What `logger.exception` would pass on."""
    try:
        raise error from cause
    except type(error):
        return sys.exc_info()


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_line() -> None:
    """A line has the time in UTC, the level and the event."""

    assert {"at": "2027-01-15T08:00:00.250Z", "level": "info", "event": "request"} == json.loads(written())


def test_fields() -> None:
    """Fields become keys of the line."""
    line = json.loads(written(fields={"status": 200, "metadata": {"a": "b"}, "targets": ["x"]}))

    assert (200, {"a": "b"}, ["x"]) == (line["status"], line["metadata"], line["targets"])


@given(st.dictionaries(ANY_TEXT.map("f_".__add__), ANY_TEXT))
def test_one_line(fields: dict[str, str]) -> None:
    """Whatever fields hold, the line is one line for every reader."""

    assert 1 == len(written(fields=fields).splitlines())


@given(st.dictionaries(ANY_TEXT.map("f_".__add__), ANY_TEXT))
def test_fields_read_back(fields: dict[str, str]) -> None:
    """Whatever fields hold, they read back as they were."""
    line = json.loads(written(fields=fields))

    assert fields == {name: value for name, value in line.items() if name.startswith("f_")}


@given(ANY_TEXT)
def test_ascii(text: str) -> None:
    """A line can be written to a stream of any encoding."""

    assert written(text, fields={"a": text}).isascii()


def test_other_values() -> None:
    """A value that JSON does not know is written as its text."""

    assert "a/b" == json.loads(written(fields={"file": pathlib.PurePosixPath("a/b")}))["file"]


# ── exceptions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_exception_is_named() -> None:
    """An exception is named by its class."""

    assert "ZeroDivisionError" == json.loads(written(exc_info=raised(ZeroDivisionError("s3cret"))))["exception"]


def test_exception_is_placed() -> None:
    """An exception's trace tells the file, the line and the function of each call."""
    (place,) = json.loads(written(exc_info=raised(ZeroDivisionError())))["trace"]
    file, _, function = place.rpartition(" ")

    assert (__file__, "raised") == (file.rpartition(":")[0], function)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ValueError("s3cret"), None),
        (KeyError("s3cret"), None),
        (RuntimeError("harmless"), ValueError("s3cret")),
        (ExceptionGroup("s3cret", [ValueError("s3cret")]), None),
    ],
)
def test_exception_is_not_quoted(error: Exception, cause: Exception | None) -> None:
    """An exception's message, which may quote a text, is not in the line; nor is its cause's."""

    assert "s3cret" not in written(exc_info=raised(error, cause))


def test_no_exception() -> None:
    """Asked for an exception where there is none, the line has none."""

    assert {"at", "level", "event"} == set(json.loads(written(exc_info=(None, None, None))))


async def test_forgotten_task() -> None:
    """What asyncio says of a failed task that nobody awaited does not quote the exception."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    task = asyncio.get_running_loop().create_future()
    task.set_exception(error := ValueError("s3cret"))
    logging.getLogger("asyncio").addHandler(handler)
    try:
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": error, "future": task}
        )
    finally:
        logging.getLogger("asyncio").removeHandler(handler)
    task.exception()
    line = json.loads(stream.getvalue())

    assert ("Task exception was never retrieved", "ValueError", False) == (
        line["event"],
        line["exception"],
        "s3cret" in stream.getvalue(),
    )


# ── the configuration ─────────────────────────────────────────────────────────────────────────────────────────────

SPEAKING = """
import logging, logging.config
from gateway.logs import configuration
logging.config.dictConfig(configuration())
for name in ("gateway", "gateway.access", "uvicorn.error", "uvicorn.access", "asyncio", "httpx"):
    for level in (logging.INFO, logging.WARNING, logging.ERROR):
        logging.getLogger(name).log(level, f"{name} {logging.getLevelName(level)}")
"""


def test_configuration() -> None:
    """The gateway's own loggers say what happens, others what is wrong, and uvicorn's access log nothing."""
    done = subprocess.run([sys.executable, "-c", SPEAKING], check=True, capture_output=True, text=True)
    events = [json.loads(line)["event"] for line in done.stderr.splitlines()]
    expected = [
        "gateway INFO",
        "gateway WARNING",
        "gateway ERROR",
        "gateway.access INFO",
        "gateway.access WARNING",
        "gateway.access ERROR",
        "uvicorn.error WARNING",
        "uvicorn.error ERROR",
        "asyncio WARNING",
        "asyncio ERROR",
        "httpx WARNING",
        "httpx ERROR",
    ]

    assert expected == events


# ── for people ────────────────────────────────────────────────────────────────────────────────────────────────────


def for_people(colours: bool = False, **attributes: Any) -> str:
    attributes = {"msg": "request", "levelname": "INFO", "levelno": logging.INFO, "created": 1.0, **attributes}
    return ConsoleFormatter(colours).format(logging.makeLogRecord(attributes))


REQUEST = {"id": "req_1", "method": "POST", "path": "/v1/embeddings", "status": 200, "ms": 12.34, "key": "app"}


def test_request_for_people() -> None:
    """A request's line begins with what came of it."""
    line = for_people(name="gateway.access", fields=REQUEST | {"model": "small", "targets": ["a"]})

    assert '200       12.3 ms  POST /v1/embeddings  app  small  id=req_1 targets=["a"]' == line.partition(" ")[2]


def test_event_for_people() -> None:
    """Any other line begins with how bad it is."""
    line = for_people(msg="away\nsecond line", levelname="WARNING", fields={"problems": 2})

    assert "warning away  problems=2" == line.partition(" ")[2]


@pytest.mark.parametrize(("status", "colour"), [(200, 32), (404, 33), (503, 31)])
def test_colours(status: int, colour: int) -> None:
    """A request's colour tells at a glance what came of it, where colours are wanted."""
    lines = [for_people(wanted, name="gateway.access", fields=REQUEST | {"status": status}) for wanted in (True, False)]

    assert [True, False] == [f"\x1b[{colour}m{status} \x1b[0m" in line for line in lines]
    assert "\x1b" not in lines[1]


@given(ANY_TEXT, ANY_TEXT)
def test_nothing_for_the_terminal(event: str, text: str) -> None:
    """Whatever a client puts into a line, it stays one line, and is nothing that a terminal would obey."""
    line = for_people(msg=event, fields={"model": text, "metadata": {"a": text}})

    assert line.isprintable()


def test_exception_for_people() -> None:
    """An exception is named and placed, and not quoted."""
    line = for_people(exc_info=raised(ZeroDivisionError("s3cret")))

    assert ("exception=ZeroDivisionError" in line, __file__ in line, "s3cret" in line) == (True, True, False)


# ── pieces ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Stream(io.StringIO):
    """Remembers each piece that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, piece: str) -> int:
        self.pieces.append(piece)
        return len(piece)


def line_of(event: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": event, "levelno": level, "levelname": logging.getLevelName(level)})


async def test_lines_of_one_turn() -> None:
    """What is told in one turn of the event loop is written in one piece, in order, at the turn's end."""
    lines = Lines(stream := Stream())
    for event in ("a", "b"):
        lines.handle(line_of(event))
    before = list(stream.pieces)
    await asyncio.sleep(0)

    assert ([], ["a\nb\n"]) == (before, stream.pieces)


async def test_warnings_do_not_wait() -> None:
    """What is amiss is written at once, behind what was told before it."""
    lines = Lines(stream := Stream())
    lines.handle(line_of("a"))
    lines.handle(line_of("b", logging.WARNING))
    written_at_once = list(stream.pieces)
    await asyncio.sleep(0)

    assert ["a\nb\n"] == written_at_once == stream.pieces


def test_lines_without_a_loop() -> None:
    """Where no event loop runs, each line is written at once."""
    lines = Lines(stream := Stream())
    for event in ("a", "b"):
        lines.handle(line_of(event))

    assert ["a\n", "b\n"] == stream.pieces


async def test_nobody_listens() -> None:
    """A stream that was closed disturbs nobody."""
    stream = Stream()
    lines = Lines(stream)
    lines.handle(line_of("a"))
    stream.close()
    lines.flush()

    assert ["a\n"] == stream.pieces
