"""One client's connection: which task works for it now, and whether the client has gone.

A client that hangs up ends the work for it, which costs a request two attributes and no task of its own. Only work
whose fruit is an answer ends so: an operator's change is carried out.

Who only shuts down its sending side counts as gone: that cannot be told from hanging up before something is written,
HTTP clients do not do it, and the server closes such a connection anyway. A client that sends its next request before
it has the last answer is noticed to be gone when that answer is written: until then nothing more is read from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

CONNECTION: Final = "gateway.connection"
"""Where the scope keeps the request's `Connection`."""


class Connection:
    task: asyncio.Task[Any] | None = None
    """The one that answers its request. One at a time: requests of a connection are answered one after the other."""

    def __init__(self) -> None:
        self.gone = False
        self._working = False

    def __enter__(self) -> None:
        """While inside, the task is cancelled when the client goes."""
        self._working = True

    def __exit__(self, *raised: object) -> None:
        self._working = False

    def hang_up(self) -> None:
        """The client has gone: nobody would get the answer."""
        self.gone = True
        if self._working and self.task is not None:
            self.task.cancel()


def of(scope: Mapping[str, Any]) -> Connection:
    """The connection of a request; one that never hangs up where the server tells of none."""
    return scope.get(CONNECTION) or Connection()
