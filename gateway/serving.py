"""The process around the application: its socket, its workers, and how it stops."""

from __future__ import annotations

import functools
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from gateway import build, lifespan, logs, memory, rehearsal
from gateway.announcement import AnnouncedServer, AnnouncedWorkers, Announcement
from gateway.assembly import BuildError
from gateway.config import Config
from gateway.crew import Parent
from gateway.house import House
from gateway.link import Address, Link
from gateway.protocol import ClientProtocol
from gateway.reload import Provision, Refused
from gateway.signals import draining, hanging_up
from gateway.source import Source
from gateway.store import StoreError

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a balancer keeps its idle connections, so that it never sends a request into a closing one."""
BACKLOG: Final = 2048
WORKER_SECONDS: Final = 30
"""A worker that does not answer its parent for so long is replaced. It cannot while it is being imported, which takes
ten seconds where the disk or the processors are busy: uvicorn's five would replace it again and again."""
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


def serve(
    config: Config,
    provision: Provision,
    listener: socket.socket,
    announce: Callable[[], None],
    log: Mapping[str, Any] | None = None,
) -> None:
    """Serves until a stop signal, in this process or in `server.workers` of them; SIGHUP reads the configuration anew.

    Raises BuildError or StoreError when what is configured cannot be brought up; nothing is announced then.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to hear it
    announcement = Announcement(announce)
    if config.server.workers > 1:
        rehearsal.rehearse(config)  # what the workers cannot build is said once, and here
        parent = Parent(provision.file, config, provision.contents, _rehearse_anew)
        in_worker = functools.partial(_in_worker, provision.file, parent.address)
        _Workers(_settings(config, in_worker, log), listener, announcement, parent).run()
    else:
        application = _application(config, provision)
        AnnouncedServer(_settings(config, lambda: application, log), announcement).run(sockets=[listener])
    if announcement.exit is not None:
        raise announcement.exit


def _settings(config: Config, factory: Callable[[], ASGIApp], log: Mapping[str, Any] | None) -> uvicorn.Config:
    return uvicorn.Config(
        factory,
        factory=True,
        http=ClientProtocol,
        loop="gateway.event_loop:" + ("EventLoop" if config.server.workers == 1 else "SharedEventLoop"),
        ws="none",
        workers=config.server.workers,
        backlog=BACKLOG,
        log_config=dict(log or logs.configuration()),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_worker_healthcheck=WORKER_SECONDS,
        timeout_graceful_shutdown=config.server.drain / 2,  # type: ignore[arg-type]  # which goes to asyncio as it is
    )


def _application(config: Config, provision: Provision) -> ASGIApp:
    memory.keep_large_blocks()
    logs.without_origins()
    house = build.house(config, provision)
    app = lifespan.web(house, _until_stopped(house, config, functools.partial(hanging_up, house.reloader)))
    memory.leave_alone()
    return app


@contextmanager
def _until_stopped(house: House, config: Config, told: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Hears of a stop, and by what `told` enters of a new configuration."""
    with draining(house.running, config.server.drain / 2), told():
        yield


class _Workers(AnnouncedWorkers):
    """On SIGHUP uvicorn's own would replace its workers; these stay, and change their configuration."""

    def __init__(
        self, settings: uvicorn.Config, listener: socket.socket, announcement: Announcement, parent: Parent
    ) -> None:
        super().__init__(settings, listener, announcement)
        self._parent = parent

    def handle_hup(self) -> None:
        self._parent.begin("signal")


def _rehearse_anew(config: Config) -> None:
    try:
        rehearsal.rehearse(config)
    except BuildError as error:
        raise Refused([str(error)]) from None


def _in_worker(file: Source, address: Address) -> ASGIApp:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's to hear
    memory.keep_large_blocks()
    logs.without_origins()
    link = Link(address)
    try:
        config = file.read(link.contents)
        house = build.house(config, Provision(file, link.contents, link.ask), link.counted)
    except (BuildError, StoreError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (there is no one else to tell it)
        raise SystemExit(STARTUP_FAILURE) from None
    app = lifespan.web(house, _until_stopped(house, config, functools.partial(attending, link, house)))
    memory.leave_alone()
    return app


@contextmanager
def attending(link: Link, house: House) -> Iterator[None]:
    link.attend(house.reloader.take_contents, house.metrics.families)
    yield
