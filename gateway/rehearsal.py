"""Bringing a configuration up once before the workers do, so that what is wrong with it is said once.

It is done in a process of its own: what it loads would stay in the parent's memory, which serves nothing, for ever.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from dataclasses import replace
from multiprocessing.connection import Connection

from gateway import build
from gateway.assembly import BuildError
from gateway.config import Config
from gateway.store import StoreError


def rehearse(config: Config) -> None:
    """Raises BuildError where it cannot be brought up on this machine."""
    spawn = multiprocessing.get_context("spawn")
    ours, its = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_bring_up, args=(config, its), daemon=True)
    process.start()
    its.close()
    with ours:
        try:
            problem: str | None = ours.recv()
        except EOFError:
            process.join()
            problem = f"The process that tried the configuration out has died (exit code {process.exitcode})."
    process.join()
    if problem is not None:
        raise BuildError(problem)


def _bring_up(config: Config, answer: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # its parent says what is to be said
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        asyncio.run(build.house(replace(config, tracing=None)).close())  # there is nothing to trace
    except (BuildError, StoreError) as error:
        answer.send(str(error))
    else:
        answer.send(None)
