"""Log lines as JSON, one object a line on stderr; an exception shows where it was raised, never what it said."""

from __future__ import annotations

import datetime
import json
import logging
import logging.config
import traceback
from typing import Any, Final

ACCESS: Final = logging.getLogger("gateway.access")
GATEWAY: Final = logging.getLogger("gateway")


class JSONFormatter(logging.Formatter):
    """`extra={"fields": {...}}` of a log call becomes keys of the line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            # The first line alone: asyncio puts the exception's message behind it.
            "event": record.getMessage().partition("\n")[0],
        }
        line.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            # An exception's message may quote a text, so only the places are kept.
            line["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])]
        return json.dumps(line, default=str)  # in ASCII: U+2028 and U+0085 end a line for some readers


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
