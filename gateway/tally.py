"""What the workers of one parent have counted together, those that have ended too.

It is asked and told from several threads. A sum never shrinks because a worker has ended: of that one remains what it
has told last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gateway import exposition
from gateway.exposition import Families

TELL_SECONDS: Final = 2.0
"""How long a worker may take to tell, which may be busy; Prometheus waits ten.

Who is late is counted as it was before."""

_WorkerT = TypeVar("_WorkerT")


@dataclass(slots=True)
class _Told:
    round: int = 0
    families: Families = ()


class Tally(Generic[_WorkerT]):
    def __init__(self, seconds: float = TELL_SECONDS) -> None:
        self._seconds = seconds
        self._told: dict[_WorkerT, _Told] = {}
        self._ended: Families = ()
        self._round = 0
        self._news = threading.Condition()

    def came(self, worker: _WorkerT) -> None:
        with self._news:
            self._told[worker] = _Told()

    def left(self, worker: _WorkerT) -> None:
        with self._news:
            told = self._told.pop(worker)
            self._ended = exposition.merged([self._ended, exposition.lasting(told.families)])
            self._news.notify_all()

    def told(self, worker: _WorkerT, round_: int, families: Families) -> None:
        with self._news:
            self._told[worker] = _Told(round_, families)
            self._news.notify_all()

    def gathered(self, ask: Callable[[_WorkerT, int], None]) -> Families:
        """Asks every worker for what it has counted, and waits for all for a moment."""
        with self._news:
            self._round += 1
            wanted, workers = self._round, list(self._told)
        for worker in workers:
            ask(worker, wanted)
        with self._news:
            self._news.wait_for(
                lambda: all(self._told[worker].round >= wanted for worker in workers if worker in self._told),
                self._seconds,
            )
            return exposition.merged([self._ended, *(told.families for told in self._told.values())])
