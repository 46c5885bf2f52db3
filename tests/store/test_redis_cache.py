"""The cache's part in a Redis: shared while it is well, and a few milliseconds at most while it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gateway.store.redis_address import Address
from gateway.store.redis_cache import MOST_UNWRITTEN, RedisCache
from gateway.store.redis_link import RedisLink
from tests.fakes.redis_server import RedisServer, free_port

KEYS = [bytes([number]) * 32 for number in range(1, 101)]
PATIENT = 20.0
"""Seconds for what is to succeed, on a machine that does much else."""
TTL = 1000.0


@asynccontextmanager
async def cache_at(url: str, wait: float = PATIENT) -> AsyncIterator[RedisCache]:
    cache = RedisCache(lambda: RedisLink(Address.of(url, None), timeout=PATIENT), TTL, lambda keys: wait)
    try:
        yield cache
    finally:
        await cache.close()


async def written(cache: RedisCache) -> None:
    async with asyncio.timeout(PATIENT):
        while cache.unwritten:
            await cache.look_up([bytes(32)])


async def found_again(cache: RedisCache) -> Sequence[bytes | None] | None:
    for _ in range(int(PATIENT / 0.01)):
        if (found := await cache.look_up([KEYS[0]])) is not None:
            return found
        await asyncio.sleep(0.01)
    return None


async def test_written_and_found(redis_server: RedisServer) -> None:
    """What one process writes another finds, in the order asked; what is not there is None."""
    entries = {key: b"entry %d" % number for number, key in enumerate(KEYS)}
    async with cache_at(redis_server.url) as one, cache_at(redis_server.url) as other:
        one.write(entries)
        await written(one)
        found = await other.look_up([KEYS[7], b"\xff" * 32, KEYS[3]])

    assert [b"entry 7", None, b"entry 3"] == found


async def test_ends(redis_server: RedisServer) -> None:
    """Every entry ends by itself when its time is over."""
    async with cache_at(redis_server.url) as cache:
        cache.write(dict.fromkeys(KEYS, b"entry"))
        await written(cache)
    soonest = "local s = 1e9 for _, k in ipairs(redis.call('KEYS', '*')) do s = math.min(s, redis.call('PTTL', k)) end"

    assert 100 == redis_server.do("DBSIZE")
    assert 0 < redis_server.do("EVAL", f"{soonest} return s", 0) <= TTL * 1000


async def test_one_command(redis_server: RedisServer) -> None:
    """A look-up of many keys is one command."""
    async with cache_at(redis_server.url) as cache:
        await cache.look_up(KEYS)
        redis_server.do("CONFIG", "RESETSTAT")
        await cache.look_up(KEYS)
    told = redis_server.do("INFO", "commandstats")

    assert (1, False) == (told["cmdstat_mget"]["calls"], "cmdstat_get" in told)


async def test_cluster(redis_cluster: Sequence[RedisServer]) -> None:
    """In a cluster entries are spread over its nodes, and found all the same."""
    entries = {key: b"entry %d" % number for number, key in enumerate(KEYS)}
    async with cache_at(redis_cluster[0].url.replace("redis://", "redis+cluster://")) as cache:
        cache.write(entries)
        await written(cache)
        found = await cache.look_up([*KEYS, b"\xff" * 32])

    assert [*entries.values(), None] == found
    assert all(server.do("DBSIZE") > 10 for server in redis_cluster)


async def test_nobody_there() -> None:
    """Where no Redis is, nothing is found, and nothing fails."""
    async with cache_at(f"redis://127.0.0.1:{free_port()}") as cache:
        cache.write({KEYS[0]: b"entry"})
        await written(cache)

        assert await cache.look_up([KEYS[0]]) is None


async def test_stands_still(redis_server: RedisServer) -> None:
    """While a look-up is late no other one is waited for; when it is answered, there are look-ups again."""
    loop = asyncio.get_running_loop()
    async with cache_at(redis_server.url, wait=0.02) as cache:
        cache.write({KEYS[0]: b"entry"})
        await found_again(cache)
        with redis_server.paused():
            late = await cache.look_up([KEYS[0]])
            before = loop.time()
            rest = [await cache.look_up([KEYS[0]]) for _ in range(1000)]
            seconds = loop.time() - before
        found = await found_again(cache)

    assert (None, {None}, [b"entry"]) == (late, set(rest), found)
    assert seconds < 1  # a thousand times nothing


async def test_unwritten_is_bounded(redis_server: RedisServer) -> None:
    """What a Redis takes too slowly is not kept in memory without end."""
    async with cache_at(redis_server.url) as cache:
        with redis_server.paused():
            for number in range(80):
                cache.write({number.to_bytes(32, "big"): bytes(2**20)})
            waiting = cache.unwritten

    assert 0 < waiting <= MOST_UNWRITTEN


async def test_asker_leaves(redis_server: RedisServer) -> None:
    """Whoever leaves while it is looked up does no harm to those who look next."""
    async with cache_at(redis_server.url) as cache:
        cache.write({KEYS[0]: b"entry"})
        await written(cache)
        asked = asyncio.create_task(cache.look_up(KEYS))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])

        assert [b"entry"] == await cache.look_up([KEYS[0]])
