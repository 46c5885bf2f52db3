"""Log lines as JSON, one object a line on stderr; an exception shows where it was raised, never what it said."""

from __future__ import annotations

import functools
import json
import logging
import logging.config
import time
import traceback
from typing import Any, Final

from providers import codec

ACCESS: Final = logging.getLogger("gateway.access")
GATEWAY: Final = logging.getLogger("gateway")


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
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            # An exception's message may quote a text, so only the places are kept.
            line["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])]
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


def configuration() -> dict[str, Any]:
    """For `logging.config.dictConfig`, in this process and in each worker."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "gateway.logs.JSONFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "gateway": {"level": "INFO"},
            "uvicorn.error": {"level": "WARNING"},
            "uvicorn.access": {"level": "CRITICAL"},
        },
    }
