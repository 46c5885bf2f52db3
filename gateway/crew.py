"""Several workers serve one configuration: the parent reads and tries it once, and hands on what it read.

A worker connects to its parent when it starts, and is told what the files held when the configuration was read that
serves now. So one that is started later, in a dead one's place, serves what the others serve, whatever stands in the
file by then. All that is sent after that: the parent tells workers to take other contents, and each says when it has;
a worker that was asked for a reload asks the parent, and is told what came of it. Who is asked what has been counted
asks the parent, too, which asks all of them.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any, Final

from gateway.config import Config
from gateway.link import Address
from gateway.logs import GATEWAY
from gateway.reading import Contents
from gateway.reload import WATCH_SECONDS, By, Outcome, Refused, Watched, tell, wanted
from gateway.source import Source
from gateway.tally import Tally

TAKE_SECONDS: Final = 60.0
"""How long the parent waits for one worker, which may be loading its models."""


@dataclass(frozen=True, slots=True, eq=False)
class _Worker:
    connection: Connection
    taken: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)
    sending: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: tuple[Any, ...]) -> None:
        with self.sending, contextlib.suppress(OSError):  # it has gone, and another one comes
            self.connection.send(message)


class Parent:
    """Of all workers. `try_out` raises Refused for a configuration that cannot be brought up on this machine."""

    def __init__(self, file: Source, config: Config, contents: Contents, try_out: Callable[[Config], None]) -> None:
        self._file = file
        self._config = config
        self._contents = contents
        self._try_out = try_out
        self._watched = Watched(contents)
        self._turn = threading.Lock()
        self._workers: set[_Worker] = set()
        self._tally = Tally[_Worker]()
        secret = secrets.token_bytes(32)
        self._listener = Listener(family="AF_UNIX", backlog=64, authkey=secret)
        self.address = Address(str(self._listener.address), secret)
        for work in (self._accept, self._watch):
            threading.Thread(target=work, daemon=True).start()

    def begin(self, by: By) -> None:
        """A reload, in a thread of its own: the parent looks after its workers meanwhile."""
        threading.Thread(target=self.reload, args=(by,), daemon=True).start()

    def reload(self, by: By) -> Outcome:
        with self._turn:
            contents: Contents = {}
            try:
                config, found = wanted(self._file, self._config, contents)
                self._try_out(config)
                outcome = Outcome(found, config.warnings)
            except Refused as refused:
                outcome = Outcome(problems=refused.problems)
            except Exception as error:  # noqa: BLE001 (whoever asked waits for an answer)
                GATEWAY.error("unexpected exception in a reload", exc_info=error)
                outcome = Outcome(problems=("the gateway made a mistake, which its log tells",))
            else:
                self._config, self._contents = config, contents
                self._hand_on()
            if contents:
                self._watched.contents = contents
        tell(by, outcome)
        return outcome

    def _hand_on(self) -> None:
        workers = list(self._workers)
        for worker in workers:
            worker.send(("take", self._contents))
        for worker in workers:
            try:
                worker.taken.get(timeout=TAKE_SECONDS)
            except queue.Empty:
                GATEWAY.error("a worker has not taken the new configuration in time; it takes it when it can")

    def _accept(self) -> None:
        while True:
            with contextlib.suppress(AuthenticationError, OSError, EOFError):  # it was no worker, or is none any more
                worker = _Worker(self._listener.accept())
                threading.Thread(target=self._attend, args=(worker,), daemon=True).start()

    def _attend(self, worker: _Worker) -> None:
        with self._turn:
            worker.send(("begin", self._contents))
            self._workers.add(worker)
            self._tally.came(worker)
        with contextlib.suppress(OSError, EOFError):
            while True:
                match worker.connection.recv():
                    case ("taken",):
                        worker.taken.put(None)
                    case ("ask", number, by):
                        threading.Thread(target=self._answer, args=(worker, number, by), daemon=True).start()
                    case ("count", number):
                        threading.Thread(target=self._count, args=(worker, number), daemon=True).start()
                    case ("counted", round_, families):
                        self._tally.told(worker, round_, families)
        self._workers.discard(worker)
        self._tally.left(worker)
        worker.taken.put(None)  # nobody waits for it any more

    def _answer(self, worker: _Worker, number: int, by: By) -> None:
        worker.send(("outcome", number, self.reload(by)))

    def _count(self, worker: _Worker, number: int) -> None:
        worker.send(("outcome", number, self._tally.gathered(lambda one, round_: one.send(("tell", round_)))))

    def _watch(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            if self._config.server.watch and self._watched.changed():
                self.reload("watch")
