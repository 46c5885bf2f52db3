"""One Redis, and one cluster of them, for all tests of the state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from tests.fakes.redis_server import RedisServer, cluster


@pytest.fixture(scope="session")
def running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """With nothing in it."""
    running_redis.do("FLUSHALL")
    return running_redis


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[RedisServer]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def redis_cluster(running_cluster: Sequence[RedisServer]) -> Sequence[RedisServer]:
    """With nothing in it."""
    for server in running_cluster:
        server.do("FLUSHALL")
    return running_cluster
