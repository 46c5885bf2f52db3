"""The way to a Redis: a command goes out once, and comes back soon or fails.

What reserves may not run twice, so nothing is sent again: not by redis-py, whose own retries are turned off, and not
here. An idle connection that the server has closed is noticed before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.sentinel import MasterNotFoundError

from gateway.logs import GATEWAY
from gateway.store import StoreError, redis_client, unavailable
from gateway.store.outage import Outage, Refusals
from gateway.store.redis_address import Address

TIMEOUT_SECONDS: Final = 0.5
"""For one command, connecting included, from when it has its turn."""
CONNECTIONS: Final = 32
"""Most commands of one process under way at once; the others wait their turn."""
TURN_TIMES: Final = 4
"""For its turn a command may wait so many times as long: behind a Redis that is slow they would pile up."""
_PARTS: Final = 20
"""Of a time. A burst of requests may keep this process from looking for answers longer than a Redis may take for them,
and would pass for an outage: however long it is busy between two looks, that is one part of the time."""
_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (exceptions.AuthenticationError, "it refuses the user or the password"),
    (exceptions.NoPermissionError, "this user may not do what the gateway needs"),
    (exceptions.BusyLoadingError, "it is still loading its data"),
    (exceptions.ReadOnlyError, "it is a replica and takes no writes"),
    (exceptions.OutOfMemoryError, "its memory is full"),
    (exceptions.MasterDownError, "it has lost its master"),
    (exceptions.ClusterDownError, "the cluster is down"),
    (MasterNotFoundError, "no sentinel that answers knows a master"),
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "it does not speak TLS as it should"),
    (ConnectionRefusedError, "the connection is refused"),
    (TimeoutError, "it does not answer in time"),
    (exceptions.TimeoutError, "it does not answer in time"),
)
"""What an operator is told; redis-py's own words are not, since some quote what was sent."""
_VAGUE_REASONS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (exceptions.RedisClusterException, "no node of a cluster answers"),
    (exceptions.ResponseError, "it refuses a command"),
    (BaseException, "the connection fails"),
)
_LOSSES: Final = (
    exceptions.NoPermissionError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.MasterDownError,
    exceptions.ClusterDownError,
)
"""Refusals that every other command would meet too; any other refusal is an answer to one command."""
_TIMEOUTS: Final = (TimeoutError, exceptions.TimeoutError)
_FAILURES: Final = (
    exceptions.RedisError,
    exceptions.RedisClusterException,
    OSError,
    LookupError,  # redis-py's cluster client, when its table of slots
    AttributeError,  # or of nodes has not heard yet of what another node names
)


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, which a Redis knows by its SHA-1 once it has seen it."""

    text: str = field(repr=False)
    sha1: str

    @classmethod
    def of(cls, *names: str) -> Self:
        """The files of `lua/`, one after the other."""
        folder = pathlib.Path(__file__).with_name("lua")
        text = "\n".join(folder.joinpath(f"{name}.lua").read_text("utf-8") for name in names)
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class RedisLink:
    """Texts are sent as UTF-8, answers come as bytes. Every failure is StateUnavailable; its cause says why.

    `clock` is in seconds and never goes back.
    """

    def __init__(
        self,
        address: Address,
        ca_file: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """Connects to nothing yet; raises StoreError where the CA file cannot be used."""
        self.name = address.name
        self._client = redis_client.client(address, ca_file, CONNECTIONS)
        self._timeout = timeout
        self._turn = asyncio.Semaphore(CONNECTIONS)
        self._outage = Outage(clock)
        self._refusals = Refusals(clock)
        self._late_since: float | None = None
        self._reason = ""
        self._closed = False

    @property
    def is_cluster(self) -> bool:
        return isinstance(self._client, RedisCluster)

    async def command(self, *words: str | bytes | float) -> Any:
        return await self._once(lambda: self._client.execute_command(*words))

    async def commands(self, each: Iterable[Sequence[str | bytes | float]]) -> list[Any]:
        """Sent together, one after the other and not as one step; in a Cluster to all nodes concerned at once."""

        async def run() -> list[Any]:
            pipeline = self._client.pipeline(transaction=False)
            for words in each:
                pipeline.execute_command(*words)
            return await pipeline.execute()

        together: list[Any] = await self._once(run)
        return together

    async def script(self, script: Script, keys: Sequence[str], values: Sequence[str | float | bytes]) -> Any:
        """Runs a script; a Redis that has forgotten it, and so has not run it, is sent its text."""
        rest = (len(keys), *keys, *values)

        async def run() -> Any:
            try:
                return await self._client.execute_command("EVALSHA", script.sha1, *rest)
            except exceptions.NoScriptError:
                return await self._client.execute_command("EVAL", script.text, *rest)

        return await self._once(run)

    async def close(self) -> None:
        self._closed, self._reason = True, "it is closed"
        with contextlib.suppress(*_FAILURES):
            await redis_client.close(self._client)

    async def _once(self, run: Callable[[], Awaitable[Any]]) -> Any:
        if self._turn.locked():
            await self._wait_for_turn()
        else:
            await self._turn.acquire()  # at once, without a timer
        try:
            return await self._in_turn(run)
        finally:
            self._turn.release()

    async def _wait_for_turn(self) -> None:
        try:
            async with within(TURN_TIMES * self._timeout):
                await self._turn.acquire()
        except TimeoutError:  # which says nothing of the Redis
            raise unavailable() from self._why("too many commands are waiting for it")

    async def _in_turn(self, run: Callable[[], Awaitable[Any]]) -> Any:
        if self._closed or not self._outage.may_try():  # those that waited behind one that failed, too
            raise unavailable() from self._why(self._reason)
        began = asyncio.get_running_loop().time()
        try:
            async with within(self._timeout):
                answer = await run()
        except _FAILURES as error:
            reason = _reason(error)
            if isinstance(error, exceptions.ResponseError) and not isinstance(error, _LOSSES):
                self._answered()
                if (refused := self._refusals.add()) is not None:
                    told = {"state": self.name, "error": type(error).__name__, "commands": refused}
                    GATEWAY.error("the state refuses a command", extra={"fields": told})
            elif not isinstance(error, _TIMEOUTS) or self._late_again(began):
                self._reason = reason
                self._outage.begin()
            if isinstance(error, exceptions.ReadOnlyError) and isinstance(self._client, Redis):
                with contextlib.suppress(*_FAILURES):  # its name may lead to another server by now
                    await self._client.connection_pool.disconnect(inuse_connections=False)
            raise unavailable() from self._why(reason)
        self._answered()
        return answer

    def _answered(self) -> None:
        self._late_since = None
        self._outage.end()

    def _late_again(self, began: float) -> bool:
        """Whether a command that had no answer in time began after another had none: one stall is no outage."""
        if self._late_since is None:
            self._late_since = asyncio.get_running_loop().time()
        return began >= self._late_since

    def _why(self, reason: str) -> StoreError:
        return StoreError(f"The state at {self.name} cannot be reached: {reason}.")


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Raises TimeoutError when the time is up, as it passes for a process that may be busy: see `_PARTS`."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        timer = loop.call_later(seconds / _PARTS, lambda: begin(_PARTS - 1))

        def begin(left: int) -> None:
            nonlocal timer
            if left:
                timer = loop.call_later(seconds / _PARTS, begin, left - 1)
            else:
                limit.reschedule(loop.time())

        try:
            yield
        finally:
            timer.cancel()


def _reason(error: BaseException) -> str:
    """Of the error or, where that says little, of what redis-py has wrapped in it."""
    seen: BaseException | None = error
    while seen is not None:
        for kind, reason in _REASONS:
            if isinstance(seen, kind):
                return reason
        seen = seen.__cause__ or seen.__context__
    return next(reason for kind, reason in _VAGUE_REASONS if isinstance(error, kind))
