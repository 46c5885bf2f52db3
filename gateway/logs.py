"""Log lines on stderr: JSON, one object a line, or for people to read. An exception shows where it was raised.

What it said is never told: it may quote a text.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import json
import logging
import logging.config
import time
import traceback
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any, Final, Literal, TextIO

from providers import codec

ACCESS: Final = logging.getLogger("gateway.access")
GATEWAY: Final = logging.getLogger("gateway")
_ROOT: Final = logging.getLogger()


_REQUEST: Final[Mapping[str, Any]] = vars(logging.LogRecord(ACCESS.name, logging.INFO, "", 0, "request", None, None))


class _Request(logging.LogRecord):
    """A request that has ended: a copy of one like it, where logging would look up each attribute of each line anew."""

    fields: Mapping[str, Any]

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update(_REQUEST)
        self.fields = fields
        self.created = time.time()
        self.msecs = self.created * 1000 % 1000


def access(fields: Mapping[str, Any]) -> None:
    """One request's line."""
    if ACCESS.isEnabledFor(logging.INFO):
        for handler in _ROOT.handlers:  # where such a line comes to, by two other loggers that have none
            handler.handle(_Request(fields))


class Lines(logging.StreamHandler[TextIO]):
    """Writes what is told in one turn of the event loop in one piece, at the turn's end; at once what is amiss.

    A system call for each request's line costs more than all else about it. Other threads' lines are written at once.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def handle(self, record: logging.LogRecord) -> bool:
        self.emit(record)  # there is no filter, and a list needs no lock
        return True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 (as logging does: it tells of it, and goes on)
            self.handleError(record)
            return
        self._lines.append(line)
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        with self.lock or nullcontext(), suppress(OSError, ValueError):  # who has closed stderr is told nothing
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("\n".join((*lines, "")))
            super().flush()


class JSONFormatter(logging.Formatter):
    """`extra={"fields": {...}}` of a log call becomes keys of the line."""

    def format(self, record: logging.LogRecord) -> str:
        seconds, milliseconds = divmod(int(record.created * 1000), 1000)
        line: dict[str, Any] = {
            "at": f"{_second(seconds)}.{milliseconds:03}Z",
            "level": record.levelname.lower(),
            # The first line alone: asyncio puts the exception's message behind it.
            "event": record.getMessage().partition("\n")[0],
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line.update(_exception(record))
        return _written(line)


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _written(line: dict[str, Any]) -> str:
    """In ASCII: U+2028 and U+0085 end a line for some readers. Nearly all is, and then the quicker writer will do."""
    try:
        written = codec.write_json(line)
    except TypeError:  # something that is no JSON, or half a character
        return json.dumps(line, default=str)
    return written.decode() if written.isascii() and b"\x7f" not in written else json.dumps(line, default=str)


def without_origins() -> None:
    """No line tells which function, thread or process has written it, so that need not be found out either.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _exception(record: logging.LogRecord) -> dict[str, Any]:
    """Its class, and the places of its trace alone."""
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    trace = traceback.extract_tb(record.exc_info[2])
    return {
        "exception": record.exc_info[0].__name__,
        "trace": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in trace],
    }


class ConsoleFormatter(logging.Formatter):
    """A line for people: the time here, what happened, and what is known of it; of a request first what came of it."""

    def __init__(self, colours: bool = False) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created).strftime("%H:%M:%S.%f")[:-3]
        fields = {**getattr(record, "fields", {}), **_exception(record)}
        if record.name == ACCESS.name and "status" in fields:
            status, path = fields.pop("status"), f"{fields.pop('method', '')} {fields.pop('path', '')}"
            what = f"{self._painted(f'{status:<4}', _of_status(status))} {fields.pop('ms', 0):>9.1f} ms  {path}"
            for name in ("key", "model"):
                what += f"  {_plain(fields.pop(name))}" if name in fields else ""
        else:
            level = self._painted(f"{record.levelname.lower():<7}", _OF_LEVEL.get(record.levelno))
            what = f"{level} {_plain(record.getMessage().partition(chr(10))[0])}"
        rest = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        return f"{self._painted(at, _GREY)} {what}" + (f"  {self._painted(rest, _GREY)}" if rest else "")

    def _painted(self, text: str, colour: int | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour is not None else text


_GREY, _RED, _GREEN, _YELLOW = 90, 31, 32, 33
_OF_LEVEL: Final[Mapping[int, int]] = {logging.WARNING: _YELLOW, logging.ERROR: _RED, logging.CRITICAL: _RED}


def _of_status(status: int) -> int:
    return _RED if status >= 500 else _YELLOW if status >= 400 else _GREEN


def _plain(value: Any) -> str:
    """On one line, and without anything that a terminal would obey."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text.isprintable() else json.dumps(text)


Style = Literal["json", "console"]


def configuration(style: Style = "json", colours: bool = False) -> dict[str, Any]:
    """For `logging.config.dictConfig`, in this process and in each worker."""
    formatters = {
        "json": {"()": "gateway.logs.JSONFormatter"},
        "console": {"()": "gateway.logs.ConsoleFormatter", "colours": colours},
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": {"stderr": {"class": "gateway.logs.Lines", "formatter": style, "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "gateway": {"level": "INFO"},
            "uvicorn.error": {"level": "WARNING"},
            "uvicorn.access": {"level": "CRITICAL"},
        },
    }
