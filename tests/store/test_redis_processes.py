"""Several processes over one Redis: together they admit exactly the limit, and one that dies takes nothing with it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink
from tests.fakes.asking import ask, reserve
from tests.fakes.redis_server import SECONDS, RedisServer

CALLERS = 200
ADMITTED = """
import asyncio, sys
from tests.fakes.asking import Ask, ask, reserve, settle
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink

async def main(url, name, callers):
    store = RedisStore(RedisLink(Address.of(url, None), timeout=60), clock=lambda: 1_790_000_000.0)
    gates = [ask("requests", "a", 50, 1), ask("concurrent", "a", 90, 1), ask("usd_budget", "a:total", 10**6, 7)]
    await store.ping()
    print("ready", flush=True)
    sys.stdin.readline()
    found = await asyncio.gather(*(reserve(store, f"{name}-{n}", gates, 60) for n in range(int(callers))))
    admitted = [n for n, standings in enumerate(found) if all(s.wait is None for s in standings)]
    await asyncio.gather(*(settle(store, f"{name}-{n}", gates, [1, 0, 7]) for n in admitted))
    print(len(admitted))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""
DYING = """
import asyncio, sys
from tests.fakes.asking import Ask, ask, reserve, settle
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink

async def main(url):
    store = RedisStore(RedisLink(Address.of(url, None), timeout=60))
    budget = ask("usd_budget", "key:a:total", 1000, 10)
    for n in range(1000):
        lease = 0.2 if n == 20 else 600  # however slow it is, what is settled has not ended before
        await reserve(store, f"r{n}", [budget, ask("concurrent", "key:a", 100, 1)], lease)
        if n >= 20:
            print(n, flush=True)
            await asyncio.sleep(3600)
        else:
            await settle(store, f"r{n}", [budget, ask("concurrent", "key:a", 100, 1)], [3, 0])

asyncio.run(main(*sys.argv[1:]))
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_exactly_the_limit(redis_server: RedisServer) -> None:
    """200 callers at once in each of three processes get through as often as the limit says, and not once more.

    Time stands still meanwhile, or the bucket would rightly give more.
    """
    processes = [start(ADMITTED, redis_server.url, str(number), str(CALLERS)) for number in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    admitted = sum(int(process.communicate("go\n")[0]) for process in processes)
    spent = redis_server.do("HGET", "{gateway:limits:2}:usd_budget:a:total", "spent")
    held = redis_server.do("HGET", "{gateway:limits:2}:concurrent:a", "held")

    assert (50, "350", "0") == (admitted, spent, held)


async def test_killed(redis_server: RedisServer) -> None:
    """After kill -9 in the middle of work, what was settled is spent, an open reservation's estimate too; requests at a
    time are there again soon.
    """
    process = start(DYING, redis_server.url)
    assert process.stdout is not None
    assert "20\n" == process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gates = [ask("usd_budget", "key:a:total", 1000, 1), ask("concurrent", "key:a", 100, 101)]
    store = RedisStore(RedisLink(Address.of(redis_server.url, None), timeout=60))
    left: list[int] = []
    async with asyncio.timeout(SECONDS):
        while left != [1000 - 20 * 3 - 10, 100]:
            left = [standing.remaining for standing in await reserve(store, "probe", gates, 10)]
    await store.close()

    assert "70" == redis_server.do("HGET", "{gateway:limits:2}:usd_budget:key:a:total", "spent")
