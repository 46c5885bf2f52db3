"""What is done for requests that have ended, which nobody waits for: they are counted, and have their log lines.

It is done for all that have ended within a moment, one after the other. The processor then still has at hand what it
needed for the one before: between other work of a request it would have to fetch it anew, which takes most of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gateway import logs
from gateway.inputs import quoted
from gateway.metrics import Metrics
from gateway.record import Record

MOMENT: Final = 0.01
"""Seconds."""
MOST: Final = 256
"""Requests that are left for later."""
HEALTH: Final = "/health/"
"""Where paths begin that are asked every few seconds, and have no log lines."""
STOPPED: Final = "stopping"
"""The error of a request that the end of the process has cut off; there may be no moment later."""


class Aftermath:
    """`count` is told of every request for embeddings, with its status."""

    def __init__(self, metrics: Metrics, count: Callable[[Record, int], None] | None = None) -> None:
        self._metrics = metrics
        self._count = count
        self._ended: list[tuple[Record, str, str, int]] = []
        metrics.first(self.settle)

    def add(self, record: Record, method: str, path: str, status: int) -> None:
        """A request has ended now, with this status or 0."""
        record.end()
        ended = self._ended
        ended.append((record, method, path, status))
        if len(ended) == 1:
            asyncio.get_running_loop().call_later(MOMENT, self.settle)
        if len(ended) >= MOST or record.error == STOPPED:
            self.settle()

    def settle(self) -> None:
        """For all that have ended until now."""
        ended, self._ended = self._ended, []
        for record, method, path, status in ended:
            if record.embeds:
                self._metrics.answered(record, status)
                if self._count is not None:
                    self._count(record, status)
            if not path.startswith(HEALTH):
                logs.access(record.log_fields(method, quoted(path), status))
