"""Real redis-servers of a test's own: one, one with TLS, a sentinel, or a cluster, each on a free port."""

from __future__ import annotations

import contextlib
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import pytest
import redis

PROGRAM = shutil.which("redis-server")
SECONDS = 60.0
"""For what a server needs a moment for, on a machine that does much else."""
DOWN_MILLISECONDS = 1000
"""After which a sentinel takes a master that has died for dead."""
PORTS = iter(random.SystemRandom().sample(range(20_000, 32_000), 12_000))
"""Below those that the system gives away by itself: a port is still free when a server starts, or starts anew."""


def required() -> None:
    if PROGRAM is None:
        pytest.skip("there is no redis-server here; `scripts/test` installs one where it can")


class RedisServer:
    """Runs from entering to leaving; `arguments` are redis-server's own, after its defaults here."""

    def __init__(self, folder: pathlib.Path, *arguments: str, password: str | None = None, port: int = 0) -> None:
        required()
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.password = password
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self.launch()
        try:
            eventually(self._answers)
        except BaseException:
            self.kill()
            raise

    def launch(self) -> None:
        """Without waiting until it answers."""
        secret = [] if self.password is None else ["--requirepass", self.password, "--masterauth", self.password]
        common = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "", "--loglevel", "warning"]
        self._run("--port", str(self.port), *common, *secret, *self._arguments)

    def _run(self, *arguments: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([str(PROGRAM), *arguments], stdout=log, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        """As a power cut does; what it had in memory is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It takes connections, and answers nothing."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def do(self, *words: str | float) -> Any:
        """What an operator does on its command line."""
        with redis.Redis(
            "127.0.0.1", self.port, password=self.password, decode_responses=True, **self._tls()
        ) as client:
            return client.execute_command(*words)

    def _tls(self) -> dict[str, Any]:
        return {}

    def _answers(self) -> bool:
        return bool(self.do("PING"))


class TLSRedisServer(RedisServer):
    """Speaks TLS alone; `certificate` holds its key, too."""

    def __init__(self, folder: pathlib.Path, certificate: pathlib.Path, ca: pathlib.Path, *arguments: str) -> None:
        port = free_port()
        files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(certificate), "--tls-ca-cert-file", str(ca))
        super().__init__(
            folder, *files, "--tls-port", str(port), "--tls-auth-clients", "no", "--port", "0", *arguments, port=port
        )
        self._ca = ca

    @property
    def url(self) -> str:
        return f"rediss://127.0.0.1:{self.port}"

    def _tls(self) -> dict[str, Any]:
        return {"ssl": True, "ssl_ca_certs": str(self._ca)}


class Sentinel(RedisServer):
    """Watches one master under the name `main`, alone; it takes it for dead once it is told to look closely."""

    def __init__(self, folder: pathlib.Path, master: RedisServer) -> None:
        super().__init__(folder)
        secret = "" if master.password is None else f'sentinel auth-pass main "{master.password}"\n'
        (folder / "sentinel.conf").write_text(
            f"sentinel monitor main 127.0.0.1 {master.port} 1\n{secret}"
            f"sentinel down-after-milliseconds main {int(SECONDS * 1000)}\nsentinel failover-timeout main 1000\n"
        )

    def launch(self) -> None:
        self._run(str(self.folder / "sentinel.conf"), "--sentinel", "--port", str(self.port))

    def look_closely(self) -> None:
        """From now on, as before that a master that is only slow would pass for a dead one."""
        self.do("SENTINEL", "SET", "main", "down-after-milliseconds", DOWN_MILLISECONDS)


@contextlib.contextmanager
def cluster(folder: pathlib.Path, nodes: int = 3) -> Iterator[Sequence[RedisServer]]:
    """Masters that share the slots, and agree that they do."""
    required()
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                RedisServer(
                    folder / str(number),
                    *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                    *("--cluster-port", str(free_port()), "--cluster-require-full-coverage", "yes"),
                )
            )
            for number in range(nodes)
        ]
        share = 16384 // nodes + 1
        for number, server in enumerate(servers):
            server.do("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            server.do("CLUSTER", "ADDSLOTSRANGE", number * share, min(16384, (number + 1) * share) - 1)
        for server in servers[1:]:
            bus = servers[0].do("CONFIG", "GET", "cluster-port")
            port = bus["cluster-port"] if isinstance(bus, dict) else bus[1]
            server.do("CLUSTER", "MEET", "127.0.0.1", servers[0].port, port)
        for server in servers:
            eventually(lambda server=server: _is_whole(server, nodes))  # type: ignore[misc]
        for server in servers:  # a node that is only slow for a while shall not pass for a dead one
            server.do("CONFIG", "SET", "cluster-node-timeout", int(SECONDS * 1000))
        for server in servers:
            eventually(lambda server=server: _is_whole(server, nodes))  # type: ignore[misc]
        yield servers


def _is_whole(server: RedisServer, nodes: int) -> bool:
    told = str(server.do("CLUSTER", "INFO"))
    return "cluster_state:ok" in told and f"cluster_known_nodes:{nodes}" in told


def free_port() -> int:
    """Another one each time."""
    for port in PORTS:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def eventually(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Returns when the condition holds; servers tell nobody when they are ready."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(redis.RedisError, OSError):
            if condition():
                return
        if time.monotonic() > deadline:
            raise AssertionError(f"{condition} did not become true")
        time.sleep(0.01)
