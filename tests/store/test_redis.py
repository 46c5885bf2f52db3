"""A Redis that is away, slow, wrong or forgetful: every failure is one error, soon, and it recovers by itself."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time as real_time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import pytest
import redis
import trustme

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.store import StoreError, Usage, UsageKey, UsageQuery
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_cluster import CONNECTIONS, RedisServers
from gateway.store.redis_link import TIMEOUT_SECONDS, RedisLink
from tests.fakes.asking import Ask, ask, reserve, settle
from tests.fakes.clock import FakeTime
from tests.fakes.clock import settle as all_turns
from tests.fakes.pinged_server import PingedServer
from tests.fakes.redis_server import SECONDS, RedisServer, Sentinel, TLSRedisServer, eventually, free_port

REQUESTS = ask("requests", "key:a", 1000, 1)
CONCURRENT = ask("concurrent", "key:a", 1000, 1)
BUDGET = ask("token_budget", "key:a:total", 1000, 1)
NOW = 1_790_000_000.123456
SECRET = "pass word:%41/@é"
T = TypeVar("T")


@contextlib.asynccontextmanager
async def opened(
    url: str,
    password: str | None = None,
    *,
    ca: pathlib.Path | None = None,
    time: FakeTime | None = None,
    timeout: float = SECONDS,  # noqa: ASYNC109 (the link's own)
) -> AsyncIterator[RedisStore]:
    """A store whose patience is long, where a test is not about it; and whose outages pass when `time` does."""
    clock = (time or FakeTime()).clock
    store = RedisStore(RedisLink(Address.of(url, password), None if ca is None else str(ca), clock, timeout))
    try:
        yield store
    finally:
        await store.close()


async def why(action: Awaitable[object]) -> str:
    """What the operator is told of a failure; the client is told the same each time."""
    with pytest.raises(StateUnavailable) as caught:
        await action
    assert "The gateway cannot reach its state right now; try again shortly." == caught.value.message
    assert "1" == caught.value.headers["retry-after"]
    assert isinstance(caught.value.__cause__, StoreError)
    return str(caught.value.__cause__)


def limit(asked: Ask) -> str:
    """Its name in Redis."""
    return f"{{gateway:limits:2}}:{asked.gate.id}"


# ── away ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def find(store: RedisStore) -> None:
    await store.find_key("a")


async def take_one(store: RedisStore) -> None:
    await reserve(store, "r", [REQUESTS], 10)


async def end_one(store: RedisStore) -> None:
    await settle(store, "r", [REQUESTS], [0])


async def revoke(store: RedisStore) -> None:
    await store.revoke_key("a", 1.0)


async def add_usage(store: RedisStore) -> None:
    await store.add_usage("b", {UsageKey("2026-01-01", "k", "n", "t", "m"): Usage(1)})


async def usage(store: RedisStore) -> None:
    await store.usage(UsageQuery())


async def ping(store: RedisStore) -> None:
    await store.ping()


EVERYTHING = [find, take_one, end_one, revoke, add_usage, usage, ping]


@pytest.mark.parametrize("action", EVERYTHING)
@pytest.mark.parametrize("form", ["redis://{}", "rediss://{}", "redis+sentinel://{},{}/main", "redis+cluster://{},{}"])
async def test_nobody_there(form: str, action: Callable[[RedisStore], Awaitable[None]]) -> None:
    """Where nobody listens, every action fails, and the operator is told which Redis, and why."""
    url = form.format(*(f"127.0.0.1:{free_port()}" for _ in range(2)))
    async with opened(url) as store:
        told = await why(action(store))

    reasons = {"sentinel": "no sentinel that answers knows a master"}
    reason = reasons.get(url.partition("+")[2].partition(":")[0], "the connection is refused")
    assert f"The state at {url} cannot be reached: {reason}." == told


@pytest.mark.parametrize("action", EVERYTHING)
async def test_paused(redis_server: RedisServer, action: Callable[[RedisStore], Awaitable[None]]) -> None:
    """A Redis that twice does not answer is given up soon, not asked again within a second, and then used again."""
    time = FakeTime()
    async with opened(redis_server.url, time=time, timeout=0.05) as store:
        await eventually_works(store, ping, time)
        with redis_server.paused():
            began = real_time.monotonic()
            slow = await why(action(store))
            assert slow == await why(action(store))
            took = real_time.monotonic() - began
        time.now += 0.999
        at_once = await why(action(store))
        time.now += 0.001
        await eventually_works(store, action, time)

    assert slow == at_once == f"The state at {redis_server.url} cannot be reached: it does not answer in time."
    assert took < SECONDS


async def eventually_works(store: RedisStore, action: Callable[[RedisStore], Awaitable[T]], time: FakeTime) -> T:
    """Tries again until it does: when a server is ready again, it tells nobody."""
    async with asyncio.timeout(SECONDS):
        while True:
            with contextlib.suppress(StateUnavailable):
                return await action(store)
            time.now += 1
            await asyncio.sleep(0.005)


async def test_one_asks_for_all() -> None:
    """In an outage one caller a second tries, and no other waits."""
    time = FakeTime()
    accepted = 0

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server, opened(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", time=time) as store:
        await asyncio.gather(*(why(store.ping()) for _ in range(1)))
        for _ in range(3):
            time.now += 1
            await asyncio.gather(*(why(store.ping()) for _ in range(50)))

    assert 4 == accepted


async def test_restarted(tmp_path: pathlib.Path) -> None:
    """A Redis that died and came back, with nothing in it, is used as before."""
    time = FakeTime()
    with RedisServer(tmp_path) as server:
        async with opened(server.url, time=time) as store:
            await reserve(store, "r", [REQUESTS, CONCURRENT], 10)
            server.kill()
            await why(store.find_key("a"))
            server.start()
            await why(store.find_key("a"))
            time.now += 1
            await settle(store, "r", [REQUESTS, CONCURRENT], [1, 0])
            [found, _] = await reserve(store, "s", [REQUESTS, CONCURRENT], 10)

    assert 999 == found.remaining


async def test_stale_connection(redis_server: RedisServer) -> None:
    """A connection that the server has closed meanwhile costs nobody anything."""
    async with opened(redis_server.url) as store:
        await unharmed_by_closing(store, [redis_server])


async def test_stale_connections_of_a_cluster(redis_cluster: Sequence[RedisServer]) -> None:
    """Nor do those to the nodes of a cluster."""
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[0].port}") as store:
        await unharmed_by_closing(store, redis_cluster)


async def test_first_commands_of_a_cluster(redis_cluster: Sequence[RedisServer]) -> None:
    """The first commands of a process, many at once, find their nodes."""
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[1].port}") as store:
        await asyncio.gather(*(reserve(store, str(number), [CONCURRENT], 60) for number in range(200)))
        [found] = await reserve(store, "r", [CONCURRENT], 60)

    assert 799 == found.remaining


async def unharmed_by_closing(store: RedisStore, servers: Sequence[RedisServer]) -> None:
    for action in EVERYTHING:
        await action(store)
    for server in servers:
        server.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        eventually(lambda server=server: server.do("INFO", "clients")["connected_clients"] == 1)  # type: ignore[misc]
    await all_turns()  # the end of them has come, and has to be read
    for action in EVERYTHING:
        await action(store)


async def test_sent_once(redis_server: RedisServer) -> None:
    """What reserves is sent once, even where no answer came: it may have been done, and here it was."""
    async with opened(redis_server.url) as other:
        await reserve(other, "r", [CONCURRENT], 60)
        redis_server.do("CONFIG", "RESETSTAT")
        time = FakeTime()
        async with opened(redis_server.url, time=time, timeout=0.05) as store:
            await eventually_works(store, ping, time)
            with redis_server.paused():
                await why(reserve(store, "s", [CONCURRENT], 60))
            eventually(lambda: "cmdstat_evalsha" in redis_server.do("INFO", "commandstats"))
        [found] = await reserve(other, "t", [CONCURRENT], 60)

    assert (997, 2) == (found.remaining, redis_server.do("INFO", "commandstats")["cmdstat_evalsha"]["calls"])


async def test_answer_to_a_busy_process(redis_server: RedisServer) -> None:
    """An answer that came in time is taken, though this process was busy and looked for it only afterwards."""
    time = FakeTime()
    async with opened(redis_server.url, time=time, timeout=0.1) as store:
        await eventually_works(store, ping, time)
        redis_server.do("CONFIG", "RESETSTAT")
        with redis_server.paused():
            asked = asyncio.ensure_future(store.ping())
            for _ in range(3):
                await asyncio.sleep(0)  # until it is sent
        eventually(lambda: "cmdstat_set" in redis_server.do("INFO", "commandstats"))
        real_time.sleep(0.15)  # noqa: ASYNC251 (what keeps the process busy)
        await asked


async def test_busy_between_all_looks() -> None:
    """A process that is kept busy while it connects and asks does not take its own slowness for the Redis's."""
    async with PingedServer() as server, opened(server.url, timeout=0.1) as store:

        async def keep_busy() -> None:
            while True:
                real_time.sleep(0.05)  # noqa: ASYNC251 (what keeps the process busy)
                await asyncio.sleep(0)

        busy = asyncio.ensure_future(keep_busy())
        try:
            await asyncio.gather(*(store.ping() for _ in range(100)))
        finally:
            busy.cancel()


async def test_one_stall() -> None:
    """Commands that one stall has made late are no outage: the next one is tried."""
    async with PingedServer() as server, opened(server.url, timeout=0.05) as store:
        await store.ping()
        server.hang()
        await asyncio.gather(*(why(store.ping()) for _ in range(100)))
        await store.ping()


async def test_waiting_for_a_turn(redis_cluster: Sequence[RedisServer], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits too long for a turn at a cluster is told so, and nobody else suffers from it."""
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[0].port}") as store:
        await store.ping()
        way = store._link._way
        assert isinstance(way, RedisServers)
        for _ in range(CONNECTIONS):
            await way._turn.acquire()
        with monkeypatch.context() as hurried:
            hurried.setattr(way, "_seconds", 0.05)  # the turn's; a command has all the time that it may need
            told = [await why(store.ping()) for _ in range(2)]
        way._turn.release()
        await store.ping()

    assert {f"The state at {store.name} cannot be reached: too many commands are waiting for it."} == set(told)


async def test_waiting_behind_a_failure() -> None:
    """Those that wait for a turn behind one that fails are told at once."""
    url = f"redis+cluster://127.0.0.1:{free_port()}"
    async with opened(url) as store:
        told = await asyncio.gather(*(why(store.ping()) for _ in range(10 * CONNECTIONS)))

    assert {f"The state at {url} cannot be reached: the connection is refused."} == set(told)


async def test_many_at_once(redis_server: RedisServer) -> None:
    """Many requests at once share one connection."""
    async with opened(redis_server.url) as store:
        await asyncio.gather(*(reserve(store, str(number), [CONCURRENT], 60) for number in range(500)))
        eventually(lambda: str(redis_server.do("CLIENT", "LIST")).count("cmd=eval") == 1)  # others may be closing
        [found] = await reserve(store, "r", [CONCURRENT], 60)

    assert 499 == found.remaining


# ── wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("given", [None, "wrong", SECRET + " "])
async def test_password(tmp_path: pathlib.Path, given: str | None) -> None:
    """A wrong password, or none, is a failure that says so; the right one opens."""
    with RedisServer(tmp_path, password=SECRET) as server:
        async with opened(server.url, given) as store:
            told = await why(store.ping())
        async with opened(server.url, SECRET) as store:
            await store.ping()

    assert f"The state at {server.url} cannot be reached: it refuses the user or the password." == told


async def test_secret_is_kept(tmp_path: pathlib.Path) -> None:
    """Neither what can be printed of a store nor an error of it holds the password or the user."""
    with RedisServer(tmp_path, "--user", "someone", "on", f">{'x' * 8}", "~*", "+@all") as server:
        url = server.url.replace("//", "//someone@")
        async with opened(url, SECRET) as store:
            told = await why(store.ping())
            link = store._link
            shown = [
                repr(each)
                for each in (store, link, link._way, vars(store), vars(link), vars(link._way), Address.of(url, SECRET))
            ]

    assert [] == [text for text in (told, store.name, *shown) if SECRET in text or "someone" in text]


async def test_user(tmp_path: pathlib.Path) -> None:
    """A user with rights over the gateway's own names alone is enough; one with less is a failure that says so."""
    with RedisServer(tmp_path) as server:
        server.do("ACL", "SETUSER", "a@b", "on", f">{SECRET}", "resetkeys", "~gateway:*", "~{gateway:*", "+@all")
        server.do("ACL", "SETUSER", "less", "on", f">{SECRET}", "allkeys", "+@read")
        url = server.url.replace("//", "//a%40b@")
        async with opened(url, SECRET) as store:
            for action in EVERYTHING:
                await action(store)
        async with opened(server.url.replace("//", "//less@"), SECRET) as store:
            told = await why(store.ping())

    assert told.endswith("this user may not do what the gateway needs.")


@pytest.mark.parametrize(
    ("wrong", "right", "reason"),
    [
        (
            ["REPLICAOF 127.0.0.1 9"],
            ["REPLICAOF NO ONE"],
            "it is a replica and takes no writes",
        ),
        (
            ["REPLICAOF 127.0.0.1 9", "CONFIG SET replica-serve-stale-data no"],
            ["REPLICAOF NO ONE", "CONFIG SET replica-serve-stale-data yes"],
            "it has lost its master",
        ),
        (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"], "its memory is full"),
        (["SET gateway:keys 1"], ["DEL gateway:keys"], "it refuses a command"),
    ],
)
async def test_wrong_state(redis_server: RedisServer, wrong: Sequence[str], right: Sequence[str], reason: str) -> None:
    """A Redis that cannot do its work is a failure that says why, until it can."""
    time = FakeTime()
    async with opened(redis_server.url, time=time) as store:
        await store.ping()
        try:
            for line in wrong:
                redis_server.do(*line.split())
            told = await why(store.add_key(KeyRecord("key_1", "app", "hash")))
        finally:
            for line in right:
                redis_server.do(*line.split())
        time.now += 1
        await store.ping()

    assert f"The state at {redis_server.url} cannot be reached: {reason}." == told


async def test_refused_command(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal of one command is that command's failure, and logged; everything else goes on."""
    redis_server.do("SET", "{gateway:limits:2}:concurrent:key:a", "1")
    async with opened(redis_server.url) as store:
        await why(reserve(store, "r", [CONCURRENT], 10))
        [found] = await reserve(store, "s", [REQUESTS], 10)

    assert (999, ["the state refuses a command"]) == (found.remaining, [line.message for line in caplog.records])


async def test_refused_commands(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Commands that are refused again and again are told of once a minute, with their number."""
    redis_server.do("SET", "{gateway:limits:2}:concurrent:key:a", "1")
    time = FakeTime()
    async with opened(redis_server.url, time=time) as store:
        for _ in range(5):
            await why(reserve(store, "r", [CONCURRENT], 10))
        time.now += 60
        await why(reserve(store, "r", [CONCURRENT], 10))

    assert [1, 5] == [line.__dict__["fields"]["commands"] for line in caplog.records]


async def test_loading(tmp_path: pathlib.Path) -> None:
    """A Redis that is still reading its file is waited for."""
    time = FakeTime()
    slow = ("--key-load-delay", "500000", "--loading-process-events-interval-bytes", "1024")
    with RedisServer(tmp_path, *slow) as server:
        for number in range(100):  # half a second for each
            server.do("SET", f"key {number}", "x" * 2000)
        server.do("CONFIG", "SET", "rdbcompression", "no")
        server.do("SAVE")
        server.kill()
        server.launch()
        async with opened(server.url, time=time) as store:
            told: list[str] = []
            while not told or "loading" not in told[-1]:
                told.append(await why(store.ping()))
                time.now += 1
            server.do("CONFIG", "SET", "key-load-delay", 0)
            await eventually_works(store, ping, time)

    assert f"The state at {server.url} cannot be reached: it is still loading its data." == told[-1]


async def test_cluster_down(redis_cluster: Sequence[RedisServer]) -> None:
    """A cluster in which nobody has the slot is a failure that says so, until somebody has."""
    time = FakeTime()
    slot = redis_cluster[0].do("CLUSTER", "KEYSLOT", "{gateway:limits:2}")
    owner = redis_cluster[slot // (16384 // 3 + 1)]
    async with opened(f"redis+cluster://127.0.0.1:{redis_cluster[0].port}", time=time) as store:
        await take_one(store)
        owner.do("CLUSTER", "DELSLOTS", slot)
        try:
            told = await why(take_one(store))
        finally:
            owner.do("CLUSTER", "ADDSLOTS", slot)
        time.now += 1
        await eventually_works(store, take_one, time)

    assert told.endswith("the cluster is down.")


async def test_not_a_cluster(redis_server: RedisServer) -> None:
    """A single Redis is no cluster."""
    async with opened(redis_server.url.replace("redis:", "redis+cluster:")) as store:
        assert (await why(store.ping())).endswith("no node of a cluster answers.")


# ── forgetful ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("flush", ["SCRIPT FLUSH", "FLUSHALL"])
async def test_flushed(redis_server: RedisServer, flush: str) -> None:
    """A Redis that forgets in flight is survived: scripts are sent again, limits begin anew, nobody sees an error."""
    async with opened(redis_server.url) as store:
        for number in range(3):
            await reserve(store, str(number), [BUDGET, CONCURRENT], 60)
            redis_server.do(*flush.split())
            await settle(store, str(number), [BUDGET, CONCURRENT], [2, 0])
            redis_server.do(*flush.split())
            for action in EVERYTHING:
                await action(store)
        [spent, held] = await reserve(store, "s", [BUDGET, CONCURRENT], 60)

    assert (993 if flush == "SCRIPT FLUSH" else 999, 999) == (spent.remaining, held.remaining)


async def test_nothing_stays(redis_server: RedisServer) -> None:
    """Names of limits are gone by themselves when they hold nothing worth keeping; what is spent in all stays."""
    now = real_time.time()
    of_a_month = ask("usd_budget", "key:a:2026-01", 100, 1, ends=now + 3600)
    in_all = ask("usd_budget", "key:a:total", 100, 1)
    async with opened(redis_server.url) as store:
        await reserve(store, "r", [REQUESTS, CONCURRENT, of_a_month, in_all], 30)
    left = {name: redis_server.do("TTL", name) for name in redis_server.do("KEYS", "{gateway:limits:2}*")}
    expected = {REQUESTS: 240, CONCURRENT: 30 + 60, of_a_month: 86_400 + 3600, in_all: -1}

    assert {limit(asked) for asked in expected} == set(left)
    assert [] == [
        (asked, left[limit(asked)]) for asked, ttl in expected.items() if not ttl - 30 <= left[limit(asked)] <= ttl
    ]


@pytest.mark.parametrize(
    ("asked", "lasts", "begins"), [(REQUESTS, 240, 120), (CONCURRENT, 90, 60)], ids=["bucket", "lease"]
)
async def test_used_for_long(redis_server: RedisServer, asked: Ask, lasts: int, begins: int) -> None:
    """What is in use is kept on in good time, and not at every use."""
    time = FakeTime(NOW)
    store = RedisStore(RedisLink(Address.of(redis_server.url, None), timeout=SECONDS), time.clock)
    left = []
    for number, seconds in enumerate((0, begins - 1, 2)):
        time.now += seconds
        await reserve(store, str(number), [asked], 30)
        left.append(redis_server.do("TTL", limit(asked)))
        redis_server.do("PEXPIRE", limit(asked), 77_000)
    await store.close()

    assert [True] * 3 == [at_most - 12 <= ttl <= at_most for at_most, ttl in zip((lasts, 77, lasts), left, strict=True)]


async def test_redis_has_the_time(redis_server: RedisServer) -> None:
    """Time is Redis's own, which replicas share whatever their clocks say: there a lease ends by itself."""
    gate = ask("concurrent", "key:a", 1, 1)
    async with opened(redis_server.url) as store, asyncio.timeout(SECONDS):
        lease, waits = 0.05, list[float]()
        while not waits:  # where a lease has ended before anybody else could ask, it was too short
            await reserve(store, "r", [gate], lease)
            while (wait := (await reserve(store, "s", [gate], 10))[0].wait) is not None:
                waits.append(wait)
                await asyncio.sleep(0.005)
            await settle(store, "s", [gate], [0])
            lease *= 2

    assert {1.0} == set(waits)


async def test_half_characters(redis_server: RedisServer) -> None:
    """What Python may hold of a broken text, Redis holds as well."""
    async with opened(redis_server.url) as store:
        record = KeyRecord("id \ud800", "\ud800", "hash \ud800", ("\ud800",))
        await store.add_key(record)
        await reserve(store, "\ud800", [ask("requests", "\ud800", 9, 1)], 1)

        assert [record] == list(await store.list_keys())


async def test_ten_thousand_keys(redis_server: RedisServer) -> None:
    """Ten thousand keys are listed in order, within the time that a command has, unless the machine has other work."""
    time = FakeTime()
    async with opened(redis_server.url, time=time, timeout=TIMEOUT_SECONDS) as store:
        await eventually_works(store, ping, time)
        await store.add_key(KeyRecord("key_00000", "app", "hash_00000", created=5.0))
        with redis.Redis(port=redis_server.port) as client:
            one: dict[bytes, bytes] = client.hgetall("gateway:keys")
            for number in range(1, 10_000):
                other = b"_%05d" % number
                fields = {k.replace(b"_00000", other): v.replace(b"_00000", other) for k, v in one.items()}
                one_more = [word for pair in fields.items() for word in pair]
                client.execute_command("HSET", "gateway:keys", *one_more)
        keys = await eventually_works(store, lambda store: store.list_keys(), time)

    assert [f"key_{number:05}" for number in range(10_000)] == [key.id for key in keys]


# ── TLS and Sentinel ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def tls_server(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TLSRedisServer]:
    folder = tmp_path_factory.mktemp("tls")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with TLSRedisServer(folder, folder / "server.pem", folder / "ca.pem") as server:
        yield server


async def test_tls(tls_server: TLSRedisServer) -> None:
    """Over TLS, with a private authority, everything works, and each further connection is quickly made."""
    async with opened(tls_server.url, ca=tls_server.folder / "ca.pem") as store:
        await asyncio.gather(*(reserve(store, str(number), [CONCURRENT], 60) for number in range(100)))
        [found] = await reserve(store, "r", [CONCURRENT], 60)

    assert 899 == found.remaining


async def test_tls_of_a_cluster(tls_server: TLSRedisServer, tmp_path: pathlib.Path) -> None:
    """A cluster is spoken to over TLS just so, its first node as those that this one names."""
    files = (tls_server.folder / "server.pem", tls_server.folder / "ca.pem")
    arguments = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    with TLSRedisServer(tmp_path, *files, *arguments) as node:
        node.do("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        eventually(lambda: "cluster_state:ok" in str(node.do("CLUSTER", "INFO")))
        async with opened(node.url.replace("rediss:", "rediss+cluster:"), ca=files[1]) as store:
            for action in EVERYTHING:
                await action(store)


@pytest.mark.parametrize(
    ("scheme", "ca", "reason"),
    [
        ("rediss", None, "its certificate is not trusted"),
        ("rediss", "other", "its certificate is not trusted"),
        ("redis", None, "the connection fails"),
    ],
)
async def test_tls_not_trusted(
    tls_server: TLSRedisServer, tmp_path: pathlib.Path, scheme: str, ca: str | None, reason: str
) -> None:
    """Another authority's certificate is not trusted, and nothing is said in plain text."""
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    async with opened(f"{scheme}://127.0.0.1:{tls_server.port}", ca=other if ca else None) as store:
        assert (await why(store.ping())).endswith(f": {reason}.")


def test_unusable_authority(tmp_path: pathlib.Path) -> None:
    """A file that holds no certificates is refused when the state is opened."""
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    with pytest.raises(StoreError, match=r"^`state\.ca_file`: .*/ca\.pem cannot be used: it must be a file of PEM"):
        RedisLink(Address.of("rediss://x", None), str(tmp_path / "ca.pem"))


@pytest.mark.parametrize("password", [None, SECRET], ids=["open", "password"])
async def test_failover(tmp_path: pathlib.Path, redis_server: RedisServer, password: str | None) -> None:
    """When the master dies, its replica is found through the sentinels, one of whom is silent; budgets are whole."""
    time = FakeTime()
    budget = ask("usd_budget", "key:a:total", 1000, 100)

    async def reserve_after_the_first(store: RedisStore) -> None:
        [found] = await reserve(store, "t", [budget], 10)
        assert 800 == found.remaining

    with RedisServer(tmp_path / "one", "--repl-diskless-sync-delay", "0", password=password) as master:
        replicating = ("--replicaof", f"127.0.0.1 {master.port}")
        with RedisServer(tmp_path / "two", *replicating, password=password) as replica:
            eventually(lambda: replica.do("INFO", "replication")["master_link_status"] == "up")
            with Sentinel(tmp_path / "three", master) as sentinel, redis_server.paused():
                eventually(lambda: sentinel.do("SENTINEL", "REPLICAS", "main") != [])
                url = f"redis+sentinel://127.0.0.1:{redis_server.port},127.0.0.1:{sentinel.port}/main/0"
                async with opened(url, password, time=time, timeout=3.0) as store:
                    await eventually_works(store, ping, time)
                    await reserve(store, "r", [budget], 10)
                    await settle(store, "r", [budget], [100])
                    eventually(lambda: master.do("WAIT", 1, 1000) == 1)
                    sentinel.look_closely()
                    master.kill()
                    await why(reserve(store, "s", [budget], 10))
                    await eventually_works(store, reserve_after_the_first, time)
