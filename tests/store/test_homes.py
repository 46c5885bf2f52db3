"""What every home of the state promises: the same sentences about SQLite with memory, a Redis, and a cluster."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import pathlib
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.allowances import Budget, Rates
from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.store import Store, Usage, UsageKey, UsageQuery
from gateway.store.embedded import EmbeddedStore
from gateway.store.redis import RedisStore
from gateway.store.redis_address import Address
from gateway.store.redis_link import RedisLink
from tests.fakes.asking import Ask, ask, reserve, settle
from tests.fakes.clock import FakeTime
from tests.fakes.redis_server import SECONDS, RedisServer

NOW = 1_790_000_000.123456
"""With more digits than a careless writer of numbers keeps."""
FULL = KeyRecord(
    id="key_1",
    name="app",
    sha256="a" * 64,
    models=("text-*", "local"),
    created=NOW,
    expires=NOW + 1e6,
    revoked=NOW + 1e5,
    team="search",
    rates=Rates(600, 1_000_000, None, shadow=True),
    model_rates={"text-*": Rates(rpm=5)},
    budget=Budget("month", 10**15 + 1, None, 0.5),
    priority="bulk",
    metadata={"owner": "me"},
)
BARE = KeyRecord("key_2", "bare", "b" * 64)
HOSTILE = ["'; DROP TABLE keys; --", '"', "a%_b", "\\", "?*[a-z]", "{x}", "}{", "名前🔑", "\0", "a\r\nb", "", "'..'"]


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(NOW)


@pytest.fixture(params=["embedded", "redis", "cluster"])
async def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, time: FakeTime) -> AsyncIterator[Store]:
    store: Store
    if request.param == "embedded":
        store = EmbeddedStore(tmp_path / "gateway.db", clock=time.clock)
    elif request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        store = RedisStore(RedisLink(Address.of(server.url, None), timeout=SECONDS), time.clock)
    else:
        servers: Sequence[RedisServer] = request.getfixturevalue("redis_cluster")
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        store = RedisStore(RedisLink(Address.of(f"redis+cluster://{hosts}", None), timeout=SECONDS), time.clock)
    yield store
    with contextlib.suppress(StateUnavailable):  # one that is closed already
        await store.close()


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("record", [FULL, BARE], ids=["full", "bare"])
async def test_find(store: Store, record: KeyRecord) -> None:
    """A key is found by its hash and by its id, as it was added."""
    await store.add_key(record)

    assert [record, record] == [await store.find_key(record.sha256), await store.find_key_by_id(record.id)]


async def test_find_nothing(store: Store) -> None:
    """A hash or an id that no key has finds nothing."""
    await store.add_key(FULL)

    assert [None, None] == [await store.find_key(FULL.id), await store.find_key_by_id(FULL.sha256)]


async def test_list(store: Store) -> None:
    """Keys are listed oldest first, in whatever order they were added; those of one moment by id."""
    made = [("c", 3.0), ("b", 1.0), ("d", 2.0), ("a", 2.0)]
    for key_id, created in made:
        await store.add_key(KeyRecord(key_id, "app", f"hash {key_id}", created=created))

    assert ["b", "a", "d", "c"] == [record.id for record in await store.list_keys()]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("app", ["key_1", "key_3"]), ("a%", ["key_2"]), ("ap", []), ("", []), ('"名', ["key_4"]), ('", ', [])],
)
async def test_list_by_name(store: Store, name: str, expected: list[str]) -> None:
    """Those of one name are listed alone, ended ones too; a name is no pattern and no beginning."""
    for number, given in enumerate(("app", "a%", "app", '"名'), 1):
        await store.add_key(KeyRecord(f"key_{number}", given, f"hash {number}", created=number, revoked=1.0))

    assert expected == [record.id for record in await store.list_keys(name)]


async def test_list_nothing(store: Store) -> None:
    """A new store has no keys."""
    assert [] == list(await store.list_keys())


@pytest.mark.parametrize("other", [KeyRecord("key_9", "thief", FULL.sha256), KeyRecord(FULL.id, "thief", "c" * 64)])
async def test_key_twice(store: Store, other: KeyRecord) -> None:
    """A key whose hash or id is there already is refused, and changes nothing."""
    await store.add_key(FULL)
    with pytest.raises(StateUnavailable):
        await store.add_key(other)

    assert [FULL] == list(await store.list_keys())


async def test_change(store: Store) -> None:
    """A changed key keeps its hash, its beginning and its end."""
    await store.add_key(FULL)
    changed = dataclasses.replace(BARE, id=FULL.id, name="other", expires=7.5)
    done = await store.change_key(changed)
    expected = dataclasses.replace(changed, sha256=FULL.sha256, created=FULL.created, revoked=FULL.revoked)

    assert (True, expected) == (done, await store.find_key(FULL.sha256))


async def test_change_nothing(store: Store) -> None:
    """A key that is not there cannot be changed, nor comes to be by it."""
    assert (False, []) == (await store.change_key(FULL), list(await store.list_keys()))


@pytest.mark.parametrize(("revoked", "at", "expected"), [(None, 50.25, 50.25), (80.0, 50.0, 50.0), (30.0, 50.0, 30.0)])
async def test_revoke(store: Store, revoked: float | None, at: float, expected: float) -> None:
    """A key ends at the earliest of the times that it was told, and no other key with it."""
    await store.add_key(KeyRecord("key_1", "app", "hash", created=1.0, revoked=revoked))
    await store.add_key(KeyRecord("key_2", "app", "other", created=2.0))
    await store.revoke_key("key_1", at)
    await store.revoke_key("key_3", at)

    assert [expected, None] == [record.revoked for record in await store.list_keys()]


async def test_hostile_keys(store: Store) -> None:
    """Characters that mean something to SQL, Lua, globs or hash tags are characters like any other."""
    records = [
        KeyRecord(
            *(f"id {text}", text, f"hash {text}", (text, "*"), float(number)),
            team=text,
            model_rates={text: Rates(1)},
            metadata={text: text},
        )
        for number, text in enumerate(HOSTILE)
    ]
    for record in records:
        await store.add_key(record)
        await store.change_key(record)
    found = [(await store.find_key(record.sha256), await store.find_key_by_id(record.id)) for record in records]
    listed = list(await store.list_keys())
    await store.revoke_key(records[4].id, 5.0)
    ended = [record.name for record in await store.list_keys() if record.revoked]

    assert ([(record, record) for record in records], records, [HOSTILE[4]]) == (found, listed, ended)


# ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────────

REQUESTS = ask("requests", "key:a", 60, 1)
TOKENS = ask("tokens", "key:a", 600, 100)
CONCURRENT = ask("concurrent", "key:a", 2, 1)
ENDS = NOW + 3600.5
DOLLARS = ask("usd_budget", "key:a:2026-09", 1000, 400, ends=ENDS)
WORDS = ask("token_budget", "key:a:total", 1000, 400)


async def test_bucket(store: Store, time: FakeTime) -> None:
    """A bucket gives its limit at once, refuses, and tells a time that suffices."""
    full = [(await reserve(store, f"r{n}", [TOKENS], 10))[0] for n in range(6)]
    refused = (await reserve(store, "r6", [TOKENS], 10))[0]
    time.now += refused.wait or 0.0
    after = (await reserve(store, "r7", [TOKENS], 10))[0]

    assert ([500, 400, 300, 200, 100, 0], [None] * 6) == ([s.remaining for s in full], [s.wait for s in full])
    assert (10.0, None) == (refused.wait, after.wait)


async def test_bucket_never(store: Store) -> None:
    """What is larger than the whole bucket never fits."""
    [found] = await reserve(store, "r", [TOKENS._replace(amount=601)], 10)

    assert (600, math.inf) == (found.remaining, found.wait)


@pytest.mark.parametrize(("spent", "left"), [(0, 500), (30, 470), (100, 400), (450, 50), (10_000, -600)])
async def test_bucket_settled(store: Store, spent: int, left: int) -> None:
    """What was not used comes back, what was used beyond it is owed, up to the limit."""
    await reserve(store, "r", [TOKENS], 10)
    await settle(store, "r", [TOKENS], [spent])
    [found] = await reserve(store, "s", [TOKENS], 10)

    assert left == found.remaining


async def test_clock_set_back(store: Store, time: FakeTime) -> None:
    """A clock that was set back refills nothing, and refills from there."""
    await reserve(store, "r", [TOKENS._replace(amount=600)], 10)
    time.now -= 1000
    [back] = await reserve(store, "s", [TOKENS], 10)
    time.now += 10
    [later] = await reserve(store, "t", [TOKENS], 10)

    assert ((0, 10.0), (0, None)) == ((back.remaining, back.wait), (later.remaining, later.wait))


async def test_all_or_nothing(store: Store) -> None:
    """Where one gate refuses, no other has given anything."""
    await reserve(store, "r", [CONCURRENT], 10)
    await reserve(store, "s", [CONCURRENT], 10)
    refused = await reserve(store, "t", [REQUESTS, TOKENS, DOLLARS, CONCURRENT], 10)
    after = await reserve(store, "u", [REQUESTS, TOKENS, DOLLARS], 10)

    assert ([60, 600, 1000, 0], [59, 500, 600]) == ([s.remaining for s in refused], [s.remaining for s in after])
    assert [None, None, None, 1.0] == [s.wait for s in refused]


async def test_shadow(store: Store) -> None:
    """A shadow gate that does not fit is told, gives nothing, and stops no other."""
    shadow = ask("requests", "team:a", 1, 1, shadow=True)
    await reserve(store, "r", [shadow], 10)
    found = await reserve(store, "s", [shadow, REQUESTS], 10)

    assert [(0, 60.0), (59, None)] == [(s.remaining, s.wait) for s in found]


async def test_concurrent(store: Store) -> None:
    """What has ended makes room."""
    for name in ("r", "s"):
        await reserve(store, name, [CONCURRENT], 10)
    await settle(store, "r", [CONCURRENT], [0])
    waits = [(await reserve(store, name, [CONCURRENT], 10))[0].wait for name in ("t", "u")]

    assert [None, 1.0] == waits


@pytest.mark.parametrize("gate", [CONCURRENT, DOLLARS, WORDS], ids=lambda gate: gate.gate.kind)
async def test_lease(store: Store, time: FakeTime, gate: Ask) -> None:
    """What nobody settles ends by itself, each reservation at its own time: a budget's estimate stays spent."""
    for name, lease in (("long", 20.0), ("short", 10.0)):
        await reserve(store, name, [gate], lease)
    left = []
    for step in (9.75, 0.25, 10.0):
        time.now += step
        [found] = await reserve(store, "probe", [gate._replace(amount=gate.gate.limit + 1)], 1)
        left.append(found.remaining)
    expected = [0, 1, 2] if gate is CONCURRENT else [200, 200, 200]

    assert expected == left


@pytest.mark.parametrize(("late", "expected"), [(False, [(999, None), (300, math.inf)]), (True, [(600, None)] * 2)])
async def test_budget(store: Store, time: FakeTime, late: bool, expected: list[tuple[int, float | None]]) -> None:
    """A budget is spent by what was settled, once; after the lease's end the estimate is, and stays."""
    gates = [DOLLARS, WORDS]
    await reserve(store, "r", gates, 10)
    time.now += 11 * late
    for _ in range(2):
        await settle(store, "r", gates, [1, 700])
    found = await reserve(store, "s", [Ask(dataclasses.replace(each.gate, shadow=True), 301) for each in gates], 10)

    assert expected == [(s.remaining + (301 if s.wait is None else 0), s.wait) for s in found]


async def test_concurrent_twice(store: Store) -> None:
    """A request that is settled twice makes room once."""
    for name in ("r", "s"):
        await reserve(store, name, [CONCURRENT], 10)
    for _ in range(2):
        await settle(store, "r", [CONCURRENT], [0])
    waits = [(await reserve(store, name, [CONCURRENT], 10))[0].wait for name in ("t", "u")]

    assert [None, 1.0] == waits


async def test_spent_budget(store: Store) -> None:
    """A budget that is used up refuses what costs nothing, too, until its period ends."""
    await reserve(store, "r", [DOLLARS], 10)
    await settle(store, "r", [DOLLARS], [1000])
    [found] = await reserve(store, "s", [DOLLARS._replace(amount=0)], 10)

    assert (0, 3600.5) == (found.remaining, round(found.wait or 0, 3))


async def test_large_numbers(store: Store) -> None:
    """Millions of dollars are counted to the billionth."""
    gate = ask("usd_budget", "key:a:total", 2**53 - 1, 0)
    await reserve(store, "r", [gate], 10)
    await settle(store, "r", [gate], [2**53 - 3])
    [found] = await reserve(store, "s", [gate._replace(amount=1)], 10)

    assert (1, None) == (found.remaining, found.wait)


async def test_hostile_subjects(store: Store) -> None:
    """Limits are told apart by every character of their names, whatever it means elsewhere."""
    left = []
    for number, text in enumerate(HOSTILE):
        gates = [
            ask("requests", f"key:{text}", 100, number),
            ask("concurrent", f"key:{text}", 100, number),
            ask("usd_budget", f"key:{text}:total", 100, number),
        ]
        await reserve(store, f"r {text}", gates, 10)
        await settle(store, f"r {text}", gates, [number] * 3)
        left.append([s.remaining for s in await reserve(store, f"s {text}", gates[:1] + gates[2:], 10)])

    assert [[100 - 2 * number] * 2 for number in range(len(HOSTILE))] == left


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def used(number: int) -> Usage:
    return Usage(1, 0, number, 2**52, 0, 0, 0, 10**15 + number, 0)


def on(day: str, key: str = "k1", team: str = "", model: str = "m") -> UsageKey:
    return UsageKey(day, key, f"name of {key}", team, model)


async def test_usage(store: Store) -> None:
    """Sums are kept by day, key, team and model, to the last digit."""
    await store.add_usage("b1", {on("2026-01-01"): used(1), on("2026-01-02"): used(5)})
    await store.add_usage("b2", {on("2026-01-01"): used(2), on("2026-01-01", model="n"): used(7)})
    expected = [
        (on("2026-01-01"), Usage(2, 0, 3, 2**53, 0, 0, 0, 2 * 10**15 + 3, 0)),
        (on("2026-01-01", model="n"), used(7)),
        (on("2026-01-02"), used(5)),
    ]

    assert expected == list(await store.usage(UsageQuery()))


async def test_usage_once(store: Store) -> None:
    """A batch counts once, however often and in whatever company it is sent."""
    for batch in ("a", "b", "a", "a", "b"):
        await store.add_usage(batch, {on("2026-01-01"): used(1), on("2026-01-02"): used(1)})

    assert [2, 2] == [sums.requests for _, sums in await store.usage(UsageQuery())]


async def test_usage_of_many(store: Store) -> None:
    """A batch with many rows is kept whole."""
    rows = {on("2026-01-01", f"k{number}"): used(number) for number in range(1201)}
    await store.add_usage("b", rows)
    await store.add_usage("b", rows)

    assert rows == dict(await store.usage(UsageQuery()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (UsageQuery(), "abcd"),
        (UsageQuery(first_day="2026-01-02"), "bcd"),
        (UsageQuery(last_day="2026-01-02"), "abc"),
        (UsageQuery("2026-01-02", "2026-01-02"), "bc"),
        (UsageQuery(key_id="k1"), "ab"),
        (UsageQuery(key_id="k"), ""),
        (UsageQuery(team="t1"), "ac"),
        (UsageQuery(model="n"), "cd"),
        (UsageQuery("2026-01-02", None, "k2", "t1", "n"), "c"),
        (UsageQuery("2027-01-01"), ""),
    ],
)
async def test_usage_asked(store: Store, query: UsageQuery, expected: str) -> None:
    """Usage is found by days, key, team and model."""
    keys = {
        "a": on("2026-01-01", "k1", "t1", "m"),
        "b": on("2026-01-02", "k1", "t2", "m"),
        "c": on("2026-01-02", "k2", "t1", "n"),
        "d": on("2026-01-03", "k2", "t2", "n"),
    }
    await store.add_usage("b", {key: used(1) for key in keys.values()})
    names = {key: name for name, key in keys.items()}

    assert expected == "".join(names[key] for key, _ in await store.usage(query))


async def test_hostile_usage(store: Store) -> None:
    """Names may be any text."""
    rows = {UsageKey(f"2026{text}", text, text, text, text): used(number) for number, text in enumerate(HOSTILE)}
    for key, sums in rows.items():
        for _ in range(2):
            await store.add_usage(key.model, {key: sums})
    found = [await store.usage(UsageQuery(None, None, text, text, text)) for text in HOSTILE]

    assert ([[row] for row in rows.items()], rows) == ([list(f) for f in found], dict(await store.usage(UsageQuery())))


# ── values ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_values(store: Store) -> None:
    """A value is any bytes under any name of any family, replaced by the next, read alone and with its family."""
    kept = {text: f"old {text}".encode() for text in HOSTILE}
    for text in HOSTILE:
        for name, value in kept.items():
            await store.put_value(text, name, value)
    newest = bytes(range(256))
    done = await store.put_value("", "a%_b", newest)
    found = [dict(await store.values(text)) for text in HOSTILE]
    alone = [await store.value(text, "a%_b") for text in (*HOSTILE, "never")]

    expected = [kept | ({"a%_b": newest} if text == "" else {}) for text in HOSTILE]
    assert (True, expected) == (done, found)
    assert [*(values["a%_b"] for values in expected), None] == alone


async def test_value_ends(store: Store, time: FakeTime) -> None:
    """A value lasts as long as it was given, counted from its last writing; one without a time stays."""
    await store.put_value("f", "short", b"1", 10.5)
    await store.put_value("f", "renewed", b"2", 10.5)
    await store.put_value("f", "kept", b"3", 10.5)
    await store.put_value("f", "kept", b"4")
    found = []
    for step in (10.25, 0.25, 10.25):
        time.now += step
        found.append((sorted(await store.values("f")), await store.value("f", "short")))
        if len(found) == 1:
            await store.put_value("f", "renewed", b"2", 10.5)

    assert [(["kept", "renewed", "short"], b"1"), (["kept", "renewed"], None), (["kept"], None)] == found


async def test_value_if_absent(store: Store, time: FakeTime) -> None:
    """Of those who want a value only where there is none, the first has it until it ends or is dropped."""
    wins = []
    for value in (b"a", b"b", b"c", b"d"):
        wins.append(await store.put_value("locks", "x", value, 10, only_if_absent=True))
        if value == b"b":
            time.now += 10
        if value == b"c":
            await store.drop_value("locks", "y")
    await store.drop_value("locks", "x")
    after = await store.put_value("locks", "x", b"e", 10, only_if_absent=True)

    assert ([True, False, True, False], True, b"e") == (wins, after, await store.value("locks", "x"))


async def test_value_swept(store: Store, time: FakeTime) -> None:
    """What has ended leaves nothing behind once another value of its family is written."""
    for number in range(100):
        await store.put_value("f", f"n{number}", b"", 10)
    time.now += 10
    await store.put_value("f", "last", b"")
    time.now -= 10

    assert ["last"] == list(await store.values("f"))


# ── itself ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ping(store: Store) -> None:
    """A state that is there answers, as often as it is asked."""
    await store.ping()
    await store.ping()


async def test_after_closing(store: Store) -> None:
    """A store that is closed is a state that cannot be reached."""
    await store.close()
    with pytest.raises(StateUnavailable):
        await store.find_key("a")
