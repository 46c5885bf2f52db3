"""Programs that a measurement needs: started on free ports, watched through /proc, ended with all their children."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class StartError(Exception):
    """A program did not start; the message holds the end of what it said."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """Runs in a session of its own from entering to leaving, and has its port open in between.

    `patience` is how many seconds it may take to open the port.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: pathlib.Path,
        environ: Mapping[str, str] | None = None,
        patience: float = 30.0,
    ) -> None:
        self.name = name
        self.port = port
        self.idle_memory = 0
        self._command = command
        self._folder = folder
        self._log = folder / f"{name}.log"
        self._environ = environ or {}
        self._patience = patience

    def __enter__(self) -> Self:
        inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        with self._log.open("ab") as log:  # appended to, so that it can be emptied while the program writes
            self._process = subprocess.Popen(  # noqa: S603
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**inherited, **self._environ},
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2000:]

    def forget_log(self) -> None:
        os.truncate(self._log, 0)

    def family(self) -> list[int]:
        """The process and its children, and theirs."""
        found, rest = [], [self.pid]
        while rest:
            pid = rest.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                rest += map(int, children.read_text().split())
        return found

    def processor_time(self) -> float:
        """Seconds that the whole family has computed since it started."""
        return sum(_ticks(pid) for pid in self.family()) / TICKS

    def memory(self) -> int:
        """Resident bytes of the largest process of the family."""
        return max(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.family())

    def sockets(self) -> int:
        """Open sockets of the whole family."""
        links = [link for pid in self.family() for link in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        return sum(_target(link).startswith("socket:") for link in links)

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise StartError(f"{self.name} did not start:\n{self.said}")

    def _end(self) -> None:
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # its own session: whatever of it is left
            self._process.wait()


def _ticks(pid: int) -> int:
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: utime and stime are the 14th and 15th field
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _target(link: pathlib.Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed meanwhile
        return ""
