"""The process around the application: its socket, its workers, and how it stops. The only uvicorn."""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway import build, logs
from gateway.assembly import BuildError
from gateway.config import Config
from gateway.middleware import Running
from gateway.protocol import EnvelopeProtocol
from gateway.store import StoreError

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a balancer keeps its idle connections, so that it never sends a request into a closing one."""
BACKLOG: Final = 2048
STARTUP_FAILURE: Final = 3
"""The exit code that tells uvicorn's supervisor not to start a worker again."""


class ListenError(Exception):
    """The address cannot be listened on; the message says why, and what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, which the workers share; raises ListenError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise ListenError(f"The host `{host}` is no address of this machine.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # from now on a call waits for the first worker, instead of being refused
    except OSError as error:
        listener.close()
        raise ListenError(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another with `--port` (0 takes a free one)."
        ) from None
    listener.set_inheritable(True)
    return listener


def url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


def serve(config: Config, listener: socket.socket, announce: Callable[[], None]) -> None:
    """Serves until a stop signal, in this process or in `server.workers` of them.

    Raises BuildError or StoreError when what is configured cannot be brought up; nothing is announced then.
    """
    announcement = _Announcement(announce)
    if config.server.workers > 1:
        asyncio.run(build.house(config).close())  # what the workers cannot build is said once, and here
        settings = _settings(config, functools.partial(_in_worker, config))
        _AnnouncedWorkers(settings, [listener], announcement).run()
    else:
        application = _application(config)
        _AnnouncedServer(_settings(config, lambda: application), announcement).run(sockets=[listener])
    if announcement.exit is not None:
        raise announcement.exit


class _Announcement:
    """Made once, by whoever serves and minds signals already."""

    def __init__(self, announce: Callable[[], None]) -> None:
        self._announce = announce
        self.made = False
        self.exit: SystemExit | None = None
        """What it ended with where it could not be made; nothing should be served then."""

    def make(self) -> None:
        self.made = True
        try:
            self._announce()
        except SystemExit as error:
            self.exit = error


class _AnnouncedServer(uvicorn.Server):
    def __init__(self, settings: uvicorn.Config, announcement: _Announcement) -> None:
        super().__init__(settings)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await asyncio.to_thread(self._announcement.make)  # which has an event loop of its own
            self.should_exit = self.should_exit or self._announcement.exit is not None


class _AnnouncedWorkers(Multiprocess):
    def __init__(self, settings: uvicorn.Config, sockets: list[socket.socket], announcement: _Announcement) -> None:
        super().__init__(settings, sockets)
        self._announcement = announcement

    def keep_subprocess_alive(self) -> None:
        """Twice a second; the announcement is made when all workers serve."""
        super().keep_subprocess_alive()
        if self._announcement.made or self.should_exit.is_set():
            return
        if all(worker.is_ready() for worker in self.processes):
            self._announcement.make()
            if self._announcement.exit is not None:
                self.should_exit.set()


def _settings(config: Config, factory: Callable[[], ASGIApp]) -> uvicorn.Config:
    return uvicorn.Config(
        factory,
        factory=True,
        http=EnvelopeProtocol,
        ws="none",
        workers=config.server.workers,
        backlog=BACKLOG,
        log_config=logs.configuration(),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=config.server.drain / 2,  # type: ignore[arg-type]  # which goes to asyncio as it is
    )


def _application(config: Config) -> ASGIApp:
    house = build.house(config)
    return build.web(house, draining(house.running, config.server.drain / 2))


def _in_worker(config: Config) -> ASGIApp:
    try:
        return _application(config)
    except (BuildError, StoreError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (there is no one else to tell it)
        raise SystemExit(STARTUP_FAILURE) from None


@contextmanager
def draining(running: Running, seconds: float) -> Iterator[None]:
    """SIGTERM first turns readiness off; for up to `seconds` what runs finishes, and balancers are told. Then it stops.

    The listening socket stays open meanwhile: a balancer that has not noticed yet is still answered.
    """
    stop = signal.getsignal(signal.SIGTERM)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def finish(signum: int) -> None:
        await running.until_left(seconds)
        if callable(stop):
            stop(signum, None)

    def begin(signum: int) -> None:
        if running.draining:
            return
        running.drain(loop.time())
        tasks.add(loop.create_task(finish(signum)))

    def on_signal(signum: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin, signum)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, stop)
