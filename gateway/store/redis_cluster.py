"""The way to a cluster, whose nodes redis-py knows how to find; it tries nothing again by itself."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis import exceptions
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.errors import StateUnavailable
from gateway.store.patience import within
from gateway.store.redis_dialing import Dial, Words
from gateway.store.redis_faults import LoginRefused, Lost, NoNode, Refused, TooMany

CONNECTIONS: Final = 32
"""Most commands of one process under way at once; the others wait their turn."""
TURN_TIMES: Final = 4
"""For its turn a command may wait so many times as long as for its answer: they would pile up otherwise."""
_KINDS: Final[tuple[tuple[type[BaseException], Callable[[], Exception]], ...]] = (
    (exceptions.AuthenticationError, LoginRefused),
    (exceptions.NoPermissionError, lambda: Refused("NOPERM")),
    (exceptions.BusyLoadingError, lambda: Refused("LOADING")),
    (exceptions.ReadOnlyError, lambda: Refused("READONLY")),
    (exceptions.OutOfMemoryError, lambda: Refused("OOM")),
    (exceptions.MasterDownError, lambda: Refused("MASTERDOWN")),
    (exceptions.ClusterDownError, lambda: Refused("CLUSTERDOWN")),
    (exceptions.NoScriptError, lambda: Refused("NOSCRIPT")),
    (exceptions.TimeoutError, TimeoutError),
    (TimeoutError, TimeoutError),
)
_FAILURES: Final = (
    exceptions.RedisError,
    exceptions.RedisClusterException,
    OSError,
    LookupError,  # when its table of slots
    AttributeError,  # or of nodes has not heard yet of what another node names
)


class RedisServers:
    """Every outcome is a value: an answer, or an exception. `require` raises where nobody may be asked any more."""

    def __init__(self, hosts: Sequence[tuple[str, int]], dial: Dial, require: Callable[[], None]) -> None:
        """Connects to nothing yet."""
        self._seconds = dial.seconds
        self._require = require
        self._turn = asyncio.Semaphore(CONNECTIONS)
        self._cluster = _cluster(hosts, dial)

    def ask(self, words: Words) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_task(self._in_turn(lambda: self._ask(words)))

    def ask_all(self, each: Sequence[Words]) -> asyncio.Future[Any]:
        """The list of all answers, or an exception instead of it; all nodes concerned are asked at once."""
        return asyncio.get_running_loop().create_task(self._in_turn(lambda: self._ask_all(each)))

    async def _ask(self, words: Words) -> Any:
        answer = await self._cluster.execute_command(*words)
        if isinstance(answer, dict):  # which redis-py makes of names and values by turns
            return [word for pair in answer.items() for word in pair]
        return answer

    async def _ask_all(self, each: Sequence[Words]) -> list[Any]:
        pipeline = self._cluster.pipeline(transaction=False)
        for words in each:
            pipeline.execute_command(*words)
        return await pipeline.execute()

    def leave(self) -> None:
        """Its nodes tell by themselves where to go."""

    async def close(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await self._cluster.nodes_manager.aclose()  # which its own aclose does not after a failure
            await self._cluster.nodes_manager.aclose("startup_nodes")
            await self._cluster.aclose()

    async def _in_turn(self, run: Callable[[], Awaitable[Any]]) -> Any:
        waits = self._turn.locked()  # or it has its turn at once, without a timer
        try:
            async with within(TURN_TIMES * self._seconds) if waits else contextlib.nullcontext():
                await self._turn.acquire()
        except TimeoutError:
            return TooMany()
        try:
            if waits:
                self._require()  # those that waited behind one that failed go no further
            async with within(self._seconds):
                return await run()
        except StateUnavailable as error:
            return error
        except _FAILURES as error:
            return _failure(error)
        finally:
            self._turn.release()


def _failure(error: BaseException) -> Exception:
    """In the words of a single Redis, from the error or, where that says little, from what redis-py wrapped in it."""
    seen: BaseException | None = error
    while seen is not None:
        for kind, failure in _KINDS:
            if isinstance(seen, kind):
                return failure()
        seen = seen.__cause__ or seen.__context__
    if isinstance(error, exceptions.ResponseError):
        return Refused("ERR")
    unclear = NoNode() if isinstance(error, exceptions.RedisClusterException) else Lost()
    unclear.__cause__ = error
    return unclear


def _cluster(hosts: Sequence[tuple[str, int]], dial: Dial) -> RedisCluster:
    options: dict[str, Any] = {
        "username": dial.user,
        "password": dial.password,
        "socket_timeout": None,  # there is a time for all that a command needs
        "socket_connect_timeout": None,
        "max_connections": CONNECTIONS,
        "retry": Retry(NoBackoff(), 0),
        "encoding_errors": "surrogatepass",  # any text that Python can hold
        "protocol": 2,
        "driver_info": None,  # two answers less to wait for when connecting
    }
    # After a MOVED only its slot is learned anew: to learn them all, redis-py cuts what others are waiting for.
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in hosts], reinitialize_steps=0, **options
    )
    secure: dict[str, Any] = {} if dial.tls is None else {"tls": dial.tls}
    kind = _SecureConnection if secure else _Connection  # it takes no class of ours by itself
    cluster.connection_kwargs.update(secure, connection_class=kind)
    for node in cluster.startup_nodes:
        node.connection_class = kind
        node.connection_kwargs.update(secure)
    return cluster


class _Connection(Connection):
    """Connects again where the server has closed it, as redis-py's pools do and its cluster's nodes do not."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._reader is not None and self._reader.at_eof():
            await self.disconnect(nowait=True)
        await super().send_packed_command(command, check_health)


class _SharedContext:
    """Reading the certificate authorities takes 50 ms: once for all connections, where redis-py does it for each."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls  # type: ignore[attr-defined]  # of the class beside this one


class _SecureConnection(_SharedContext, _Connection, SSLConnection):
    pass
