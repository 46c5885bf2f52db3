"""The cache's part in a Redis: shared while it is well, and a few milliseconds at most while it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.store.patience import PARTS
from gateway.store.redis_address import Address
from gateway.store.redis_cache import FEW, MOST_UNWRITTEN, RedisCache
from gateway.store.redis_faults import Lost
from gateway.store.redis_link import RedisLink
from tests.fakes import virtual_time
from tests.fakes.clock import settle
from tests.fakes.redis_server import RedisServer, free_port

KEYS = [bytes([number]) * 32 for number in range(1, 101)]
PATIENT = 60.0
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
        await written(cache)
        await found_again(cache)
        with redis_server.paused():
            late = await cache.look_up([KEYS[0]])
            before = loop.time()
            rest = [await cache.look_up([KEYS[0]]) for _ in range(1000)]
            seconds = loop.time() - before
        found = await found_again(cache)

    assert (None, {None}, [b"entry"]) == (late, set(rest), found)
    assert seconds < 10  # a thousand times nothing, where waiting would take twenty


class FakeLink:
    """Answers when it is told to."""

    is_cluster = False

    def __init__(self) -> None:
        self.out: list[asyncio.Future[Any]] = []
        self.written: list[int] = []
        self.fails = False

    def begin(self, *words: bytes) -> asyncio.Future[Any]:
        self.out.append(asyncio.get_running_loop().create_future())
        return self.out[-1]

    async def commands(self, each: Sequence[Sequence[bytes]]) -> None:
        if self.fails:
            raise ValueError
        self.written.append(len(each))
        await asyncio.sleep(0.001)

    async def close(self) -> None:
        pass


@dataclass
class Bench:
    """A cache as it is in service, over links that do as they are told."""

    links: list[FakeLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache = RedisCache(self._link, TTL)

    def _link(self) -> RedisLink:
        self.links.append(FakeLink())
        return cast("RedisLink", self.links[-1])

    async def timed(self, keys: int) -> tuple[object, float]:
        """What a look-up of so many keys finds, and after how many seconds."""
        loop = asyncio.get_running_loop()
        before = loop.time()
        return await self.cache.look_up([bytes(32)] * keys), loop.time() - before


@pytest.mark.parametrize(("keys", "seconds"), [(1, 0.005), (100, 0.01), (2000, 0.105)])
def test_how_long(keys: int, seconds: float) -> None:
    """A look-up is waited for five milliseconds, and a twentieth of one more for each key."""

    async def run() -> tuple[object, float]:
        return await Bench().timed(keys)

    found, took = virtual_time.run(run())

    assert found is None
    assert seconds <= took < seconds + 0.001


@pytest.mark.parametrize(("before", "seconds"), [(0, 0.01), (100, 0.015), (900, 0.055), (5000, 0.06)])
def test_behind_others(before: int, seconds: float) -> None:
    """Who looks up after others, whose answers come first, waits for theirs as well, up to 50 milliseconds."""

    async def run() -> tuple[object, float]:
        bench = Bench()
        others = asyncio.ensure_future(bench.timed(before))
        await asyncio.sleep(0)
        mine = asyncio.ensure_future(bench.timed(100))
        await asyncio.sleep(0.004)
        bench.links[before > FEW].out[0].set_result([])
        await others
        return await mine

    found, took = virtual_time.run(run())

    assert found is None
    assert seconds <= took < seconds + 0.002


def test_behind_nobody_any_more() -> None:
    """Who has the answer is not waited for."""

    async def run() -> tuple[object, float]:
        bench = Bench()
        for number in range(3):
            other = asyncio.ensure_future(bench.timed(900))
            await asyncio.sleep(0)
            bench.links[1].out[number].set_result([])
            await other
        return await bench.timed(100)

    _, took = virtual_time.run(run())

    assert 0.01 <= took < 0.012


def test_late_for_all_behind() -> None:
    """When one look-up is late, those behind it are waited for no longer either; those before it are."""

    async def run() -> list[float]:
        bench = Bench()
        asked = [asyncio.ensure_future(bench.timed(keys)) for keys in (900, 100, 1000)]
        return [seconds for _, seconds in await asyncio.gather(*asked)]

    first, second, third = virtual_time.run(run())

    assert 0.05 <= first < 0.051
    assert 0.05 <= second == third < 0.056


def test_large_beside_small() -> None:
    """A look-up of many keys holds up none of few."""

    async def run() -> list[object]:
        bench = Bench()
        asked = [asyncio.ensure_future(bench.timed(keys)) for keys in (FEW + 1, FEW)]
        await asyncio.sleep(0)
        bench.links[0].out[0].set_result([b"few"])
        few, _ = await asked[1]
        bench.links[1].out[0].set_result([b"many"])
        many, _ = await asked[0]
        return [few, many]

    assert [[b"few"], [b"many"]] == virtual_time.run(run())


def test_busy() -> None:
    """However long this process was busy, an answer that is there when it looks again is taken."""

    async def run() -> object:
        bench = Bench()
        asked = asyncio.ensure_future(bench.cache.look_up([bytes(32)]))
        loop: Any = asyncio.get_running_loop()
        for _ in range(PARTS - 1):
            await asyncio.sleep(0.0001)
            loop._jumping.now += 10.0
        bench.links[0].out[0].set_result([b"entry"])
        return await asked

    assert [b"entry"] == virtual_time.run(run())


@pytest.mark.parametrize("outcome", [Lost(), TimeoutError(), b"OK", None])
def test_no_entries(outcome: object) -> None:
    """Whatever comes instead of entries was not found."""

    async def run() -> object:
        bench = Bench()
        asked = asyncio.ensure_future(bench.cache.look_up([bytes(32)]))
        await asyncio.sleep(0)
        bench.links[0].out[0].set_result(outcome)
        return await asked

    assert virtual_time.run(run()) is None


def test_fails_in_another_way() -> None:
    """A look-up or a writing that breaks for no known reason leaves the cache as it was."""

    async def run() -> tuple[Any, ...]:
        bench = Bench()
        asked = [asyncio.ensure_future(bench.cache.look_up([bytes(32)])) for _ in range(2)]
        await asyncio.sleep(0)
        bench.links[0].out[0].set_exception(ValueError())
        bench.links[0].out[1].set_result([b"entry"])
        bench.links[2].fails = True
        bench.cache.write({bytes(32): b"entry"})
        await settle()
        bench.links[2].fails = False
        bench.cache.write({bytes(32): b"entry"})
        await bench.cache.close()
        return *await asyncio.gather(*asked), len(bench.links[2].written)

    assert (None, [b"entry"], 1) == virtual_time.run(run())


def test_written_together() -> None:
    """What comes to be written while something is being written goes together, a mebibyte at a time."""

    async def run() -> list[int]:
        bench = Bench()
        for number in range(5):
            bench.cache.write({bytes([number]) * 32: b"entry"})
        await asyncio.sleep(0)
        for number in range(300):
            bench.cache.write({number.to_bytes(32, "big"): bytes(2**13)})
        await bench.cache.close()
        assert 0 == bench.cache.unwritten
        return bench.links[2].written

    assert [5, 128, 128, 44] == virtual_time.run(run())


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
