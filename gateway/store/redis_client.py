"""The clients of redis-py for the three kinds of Redis, none of which tries anything again by itself."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    MasterNotFoundError,
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.store import StoreError
from gateway.store.redis_address import Address

Client = Redis | RedisCluster


def client(address: Address, ca_file: str | None, connections: int) -> Client:
    """Connects to nothing yet; `connections` is the most to one server. Raises StoreError for an unusable CA file."""
    options: dict[str, Any] = {
        "socket_timeout": None,  # the caller has a time for all that a command needs
        "socket_connect_timeout": None,
        "max_connections": connections,
        "retry": Retry(NoBackoff(), 0),
        "encoding_errors": "surrogatepass",  # any text that Python can hold
        "protocol": 2,
        "driver_info": None,  # two answers less to wait for when connecting
    }
    login: dict[str, Any] = {"username": address.user, "password": address.password}
    secure = {"tls": _context(ca_file)} if address.tls else {}
    if address.kind == "cluster":
        return _cluster(address, options | login, secure)
    if address.kind == "sentinel":
        sentinels = _Sentinels(address, options | secure, login)
        options |= login | secure | {"db": address.database}
        kind = _SecureManagedConnection if secure else SentinelManagedConnection
        pool = SentinelConnectionPool(address.service, sentinels, connection_class=kind, **options)  # type: ignore[no-untyped-call]
        return Redis.from_pool(pool)
    ((host, port),) = address.hosts
    return _alone(host, port, options | login | secure | {"db": address.database})


async def close(client: Client) -> None:
    if isinstance(client, RedisCluster):
        await client.nodes_manager.aclose()  # which its own aclose does not after a failure
        await client.nodes_manager.aclose("startup_nodes")
    await client.aclose()
    if isinstance(client, Redis) and isinstance(client.connection_pool, SentinelConnectionPool):
        await client.connection_pool.sentinel_manager.aclose()


def _alone(host: str, port: int, options: dict[str, Any]) -> Redis:
    kind = _SecureConnection if "tls" in options else Connection
    return Redis.from_pool(ConnectionPool(connection_class=kind, host=host, port=port, **options))


def _cluster(address: Address, options: dict[str, Any], secure: dict[str, Any]) -> RedisCluster:
    nodes = [ClusterNode(host, port) for host, port in address.hosts]
    # After a MOVED only its slot is learned anew: to learn them all, redis-py cuts what others are waiting for.
    cluster = RedisCluster(startup_nodes=nodes, reinitialize_steps=0, **options)
    kind = _SecureNodeConnection if secure else _NodeConnection  # it takes no class of ours by itself
    cluster.connection_kwargs.update(secure, connection_class=kind)
    for node in cluster.startup_nodes:
        node.connection_class = kind
        node.connection_kwargs.update(secure)
    return cluster


class _Sentinels(Sentinel):
    """Asks all at once, since one that is away must not use up the others' time.

    Sentinels may want the password of the Redis, or refuse one because they have none: each is asked both ways.
    """

    def __init__(self, address: Address, options: dict[str, Any], login: dict[str, Any]) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]
        logins = [{}, login] if address.password is not None else [{}]
        self.sentinels = [_alone(*host, options | given) for host in address.hosts for given in logins]

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        asked = [asyncio.ensure_future(sentinel.sentinel_masters()) for sentinel in self.sentinels]
        try:
            for answer in asyncio.as_completed(asked):
                try:
                    known = cast("dict[str, Any]", await answer)  # a list only with RESP3
                except (RedisError, OSError):
                    continue
                state = known.get(service_name)
                if state and self.check_master_state(state, service_name):
                    return state["ip"], state["port"]
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        raise MasterNotFoundError


class _SharedContext:
    """Reading the certificate authorities takes 50 ms: once for all connections, where redis-py does it for each."""

    def __init__(self, *, tls: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = tls  # type: ignore[attr-defined]  # of the class beside this one


class _NodeConnection(Connection):
    """Connects again where the server has closed it, as redis-py's pools do and its cluster's nodes do not."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if self._reader is not None and self._reader.at_eof():
            await self.disconnect(nowait=True)
        await super().send_packed_command(command, check_health)


class _SecureConnection(_SharedContext, SSLConnection):
    pass


class _SecureNodeConnection(_SharedContext, _NodeConnection, SSLConnection):
    pass


class _SecureManagedConnection(_SharedContext, SentinelManagedSSLConnection):
    pass


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise StoreError(f"`state.ca_file`: {ca_file} cannot be used: it must be a file of PEM certificates.") from None
