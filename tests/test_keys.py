"""What an operator does with keys: make, list, revoke, rotate, hash."""

from __future__ import annotations

import datetime
import pathlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import keys, loading
from gateway.auth import KeyRecord, key_hash, new_key, well_formed
from gateway.config import Config, StateConfig
from gateway.keys import KeyRefused, NewKey
from gateway.store.embedded import EmbeddedStore

HOUR, DAY = 3600.0, 86400.0
PAST, FUTURE = 1.0, 4_000_000_000.0


@pytest.fixture
async def store(tmp_path: pathlib.Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db")
    yield store
    await store.close()


def config(folder: pathlib.Path) -> Config:
    return replace(loading.load(None), state=StateConfig(folder / "gateway.db"))


def record(number: int, name: str = "app", **fields: Any) -> KeyRecord:
    return KeyRecord(f"key_{number}", name, f"hash {number}", created=float(number), **fields)


async def refusal(action: Any) -> str:
    with pytest.raises(KeyRefused) as caught:
        await action
    return str(caught.value)


def files(folder: pathlib.Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def working(store: EmbeddedStore) -> list[str]:
    """The ids of the keys that work now."""
    return [record.id for record in await store.list_keys() if record.usable_at(time.time())]


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_create(store: EmbeddedStore) -> None:
    """A new key is well formed, and kept by its hash."""
    made = await keys.create(store, "app")

    assert (True, made.record) == (well_formed(made.key), await store.find_key(key_hash(made.key)))


async def test_create_by_default(store: EmbeddedStore) -> None:
    """A new key may use every model, and does not end."""
    made = (await keys.create(store, "app")).record

    assert ("app", ("*",), None, None) == (made.name, made.models, made.expires, made.revoked)


async def test_create_now(store: EmbeddedStore) -> None:
    """A new key knows when it was made."""
    before = time.time()
    made = (await keys.create(store, "app")).record

    assert before <= made.created <= time.time()


async def test_id(store: EmbeddedStore) -> None:
    """A new key has an id of its own, which tells nothing of the key."""
    first, second = await keys.create(store, "a"), await keys.create(store, "b")

    assert (True, True) == (
        re.fullmatch("key_[0-9a-f]{12}", first.record.id) is not None,
        first.record.id != second.record.id,
    )


async def test_create_for_models(store: EmbeddedStore) -> None:
    """A new key may use the models that are named."""
    made = await keys.create(store, "app", ["text-*", "local"])

    assert ("text-*", "local") == made.record.models


ODD_NAMES = ["a", "a b", "o'brien", '"', "a;b--", "名前", "🔑", "key_1", "%s", "`", "x" * 100, "-"]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names(store: EmbeddedStore, name: str) -> None:
    """A key may have any printable name."""
    await keys.create(store, name)

    assert [name] == [row["name"] for row in await keys.listed(store, [])]


@pytest.mark.parametrize(
    "name", ["", "  ", "\u3000", "a\nb", "a\tb", "\x1b[31mred", "\0", "\u200b", "\udcff", "x" * 101]
)
async def test_bad_names(store: EmbeddedStore, name: str) -> None:
    """A key's name is not empty, not blank, not long, and cannot upset a terminal."""

    assert "A key's name has 1 to 100 printable characters." == await refusal(keys.create(store, name))


async def test_no_models(store: EmbeddedStore) -> None:
    """A key that may use nothing is not made."""

    assert "Name at least one model, or `*` for all." == await refusal(keys.create(store, "app", []))


async def test_name_in_use(store: EmbeddedStore) -> None:
    """A name that a working key has is refused, with what to do."""
    await keys.create(store, "app")
    message = "There is a working key `app` already. Choose another name, or `gateway keys rotate` it."

    assert message == await refusal(keys.create(store, "app"))


@pytest.mark.parametrize("ended", [{"revoked": PAST}, {"expires": PAST}])
async def test_name_of_an_ended_key(store: EmbeddedStore, ended: dict[str, Any]) -> None:
    """The name of a key that has ended may be used again."""
    await store.add_key(record(1, **ended))
    made = await keys.create(store, "app")

    assert [made.record.id] == await working(store)


async def test_refused_key_is_not_made(store: EmbeddedStore) -> None:
    """A key that is refused leaves nothing behind."""
    await refusal(keys.create(store, "app", expires="soon"))

    assert [] == await store.list_keys()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 90 * DAY), ("1h", HOUR), ("1.5h", 1.5 * HOUR), ("30 m", 1800), ("36500d", 36500 * DAY)],
)
async def test_expires_after(store: EmbeddedStore, text: str, seconds: float) -> None:
    """A key may end a time from now."""
    made = (await keys.create(store, "app", expires=text)).record

    assert made.expires == pytest.approx(made.created + seconds)


@pytest.mark.parametrize(("text", "end"), [("2099-01-31", (2099, 1, 31)), ("9999-12-31", (9999, 12, 31))])
async def test_expires_on(store: EmbeddedStore, text: str, end: tuple[int, int, int]) -> None:
    """A key may end at the first second of a day, UTC."""
    made = (await keys.create(store, "app", expires=text)).record

    assert datetime.datetime(*end, tzinfo=datetime.UTC).timestamp() == made.expires


@pytest.mark.parametrize("text", ["2020-01-01", "0001-01-01", "1970-01-01"])
async def test_past_date(store: EmbeddedStore, text: str) -> None:
    """A key cannot end before it begins."""

    assert f"The date {text} is past." == await refusal(keys.create(store, "app", expires=text))


async def test_today(store: EmbeddedStore) -> None:
    """Today has begun, so it is past, too."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()

    assert f"The date {today} is past." == await refusal(keys.create(store, "app", expires=today))


@pytest.mark.parametrize("text", ["", "soon", "90", "d", "-1d", "1y", "1e3d", "2027-13-01", "2027-02-30", "01.02.2027"])
async def test_bad_time(store: EmbeddedStore, text: str) -> None:
    """What is no time is refused with examples of what is."""
    message = await refusal(keys.create(store, "app", expires=text))
    beginning, end = f"`{text}` is no time: it must be a number with a unit, like 20s;", ", or a date like 2027-01-31."

    assert (True, True) == (message.startswith(beginning), message.endswith(end))


async def test_no_time_at_all(store: EmbeddedStore) -> None:
    """A key cannot end at once."""
    message = "`0d` is no time: it must be more than zero, or a date like 2027-01-31."

    assert message == await refusal(keys.create(store, "app", expires="0d"))


@pytest.mark.parametrize("text", ["36501d", "999999999d"])
async def test_too_long_a_time(store: EmbeddedStore, text: str) -> None:
    """A time that no calendar has is refused."""

    assert f"`{text}` is longer than 100 years." == await refusal(keys.create(store, "app", expires=text))


def test_repr() -> None:
    """A new key that is printed does not show itself."""

    assert "s3cret" not in repr(NewKey("s3cret", record(1)))


# ── listing ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_listed(store: EmbeddedStore) -> None:
    """A key is a row of texts without its hash."""
    await store.add_key(
        KeyRecord("key_1", "app", "hash", ("text-*", "local"), created=1_800_000_000, expires=FUTURE, revoked=None)
    )
    expected = {
        "id": "key_1",
        "name": "app",
        "models": "text-*,local",
        "created": "2027-01-15 08:00",
        "expires": "2096-10-02 07:06",
        "status": "active",
    }

    assert [expected] == await keys.listed(store, [])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "active"),
        ({"expires": FUTURE}, "active"),
        ({"expires": PAST}, "expired"),
        ({"revoked": PAST}, "revoked"),
        ({"revoked": PAST, "expires": PAST}, "revoked"),
        ({"revoked": FUTURE}, "until 2096-10-02 07:06"),
        ({"revoked": FUTURE, "expires": PAST}, "expired"),
    ],
)
async def test_status(store: EmbeddedStore, fields: dict[str, Any], status: str) -> None:
    """A row says whether the key works, and until when if that is settled."""
    await store.add_key(record(1, **fields))

    assert [status] == [row["status"] for row in await keys.listed(store, [])]


async def test_keys_of_the_file(store: EmbeddedStore) -> None:
    """The routing file's keys are listed first, with what is known of them."""
    await store.add_key(record(1))
    end = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC).timestamp()
    first, second = await keys.listed(store, [KeyRecord("file:ci", "ci", "hash", ("a", "b"), expires=end)])
    expected = {
        "id": "file:ci",
        "name": "ci",
        "models": "a,b",
        "created": "-",
        "expires": "2099-01-01 00:00",
        "status": "active",
    }

    assert (expected, "key_1") == (first, second["id"])


async def test_list_nothing(store: EmbeddedStore) -> None:
    """Without keys there are no rows."""

    assert [] == await keys.listed(store, [])


# ── revoking ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name_or_id", ["app", "key_1"])
async def test_revoke(store: EmbeddedStore, name_or_id: str) -> None:
    """A key ends at once, whether it is named by its name or by its id."""
    await store.add_key(record(1))
    await store.add_key(record(2, "other"))
    revoked = await keys.revoke(store, name_or_id)

    assert (["key_1"], ["key_2"]) == ([key.id for key in revoked], await working(store))


async def test_revoke_during_an_overlap(store: EmbeddedStore) -> None:
    """A name that two keys have, one of them about to end, is ended altogether."""
    await store.add_key(record(1, revoked=FUTURE))
    await store.add_key(record(2))
    revoked = await keys.revoke(store, "app")

    assert (["key_1", "key_2"], []) == ([key.id for key in revoked], await working(store))


async def test_revoke_one_of_an_overlap(store: EmbeddedStore) -> None:
    """An id ends one of two keys of a name."""
    await store.add_key(record(1, revoked=FUTURE))
    await store.add_key(record(2))
    await keys.revoke(store, "key_1")

    assert ["key_2"] == await working(store)


@pytest.mark.parametrize("fields", [{"name": "other"}, {"revoked": PAST}, {"expires": PAST}])
@pytest.mark.parametrize("name_or_id", ["app", "key_9", "", "ap*"])
async def test_revoke_nothing(store: EmbeddedStore, fields: dict[str, Any], name_or_id: str) -> None:
    """A name that no working key of the state has cannot be revoked."""
    await store.add_key(record(1, **fields))
    message = (
        f"There is no working key `{name_or_id}` in the state; `gateway keys list` shows them all. "
        "Keys of the routing file are ended by removing them there."
    )

    assert message == await refusal(keys.revoke(store, name_or_id))


# ── rotating ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_rotate(store: EmbeddedStore) -> None:
    """The new key has the rights of the old one, and works."""
    old = (await keys.create(store, "app", ["text-*"], "90d")).record
    new = await keys.rotate(store, "app", "1h")

    assert ("app", ("text-*",), old.expires, new.record) == (
        new.record.name,
        new.record.models,
        new.record.expires,
        await store.find_key(key_hash(new.key)),
    )


async def test_rotated_key_goes_on(store: EmbeddedStore) -> None:
    """The old key ends when the overlap does."""
    old = (await keys.create(store, "app")).record
    new = (await keys.rotate(store, old.id, "1h")).record
    ends = {record.id: record.revoked for record in await store.list_keys()}

    assert {old.id: pytest.approx(new.created + HOUR, abs=1), new.id: None} == ends


async def test_rotate_at_once(store: EmbeddedStore) -> None:
    """Without an overlap the old key ends now."""
    await keys.create(store, "app")
    new = await keys.rotate(store, "app", "0")

    assert [new.record.id] == await working(store)


async def test_rotate_twice(store: EmbeddedStore) -> None:
    """Of two keys of a name the newest is rotated, and the older one ends when it would have."""
    await store.add_key(record(1, revoked=FUTURE))
    await store.add_key(record(2))
    new = (await keys.rotate(store, "app", "0")).record

    assert ["key_1", new.id] == await working(store)


async def test_rotation_does_not_prolong(store: EmbeddedStore) -> None:
    """An overlap does not let an old key work longer than it was going to."""
    soon = time.time() + HOUR
    await store.add_key(record(1, revoked=soon))
    await keys.rotate(store, "app", "24h")

    assert soon == (await store.list_keys())[0].revoked


async def test_rotate_nothing(store: EmbeddedStore) -> None:
    """A name that no working key has cannot be rotated."""
    await store.add_key(record(1, revoked=PAST))

    assert (await refusal(keys.rotate(store, "app", "1h"))).startswith("There is no working key `app` in the state;")


@pytest.mark.parametrize("overlap", ["", "soon", "1", "-1h", "2099-01-01"])
async def test_bad_overlap(store: EmbeddedStore, overlap: str) -> None:
    """An overlap is a duration or `0`, and the refusal of another offers no date."""
    message = await refusal(keys.rotate(store, "app", overlap))
    beginning, end = f"`{overlap}` is no time: it must be a number with a unit, like 20s;", ", or `0`."

    assert (True, True) == (message.startswith(beginning), message.endswith(end))


async def test_bad_overlap_changes_nothing(store: EmbeddedStore) -> None:
    """A rotation that is refused leaves the old key as it was."""
    await store.add_key(record(1))
    await refusal(keys.rotate(store, "app", "999999999d"))

    assert [record(1)] == await store.list_keys()


# ── hashing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hash() -> None:
    """A key's hash is what the routing file takes."""

    assert key_hash(key := new_key()) == keys.hash_of(key)


@given(st.text(st.characters()))
def test_hash_of_another_text(text: str) -> None:
    """What is no key is not hashed: a mistyped key in the routing file would never let anyone in."""
    with pytest.raises(KeyRefused, match=r"^This is not one of the gateway's keys, or it is mistyped;"):
        keys.hash_of(text)


# ── the first key ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_first_key(tmp_path: pathlib.Path) -> None:
    """A gateway without a routing file makes itself a key at its first start."""
    first = await keys.first_key(config(tmp_path))
    rows = await keys.with_store(config(tmp_path), keys.listed, [])

    assert (True, [("default", "*")]) == (
        well_formed(first or ""),
        [(row["name"], row["models"]) for row in rows],
    )


async def test_second_start(tmp_path: pathlib.Path) -> None:
    """At its second start it makes no other."""
    await keys.first_key(config(tmp_path))

    assert await keys.first_key(config(tmp_path)) is None


async def test_first_key_after_revocation(tmp_path: pathlib.Path) -> None:
    """A gateway whose only key was revoked makes no other by itself."""
    await keys.first_key(config(tmp_path))
    await keys.with_store(config(tmp_path), keys.revoke, "default")

    assert await keys.first_key(config(tmp_path)) is None


async def test_no_first_key(tmp_path: pathlib.Path) -> None:
    """A gateway with a routing file makes no key by itself, nor even a state."""
    made = await keys.first_key(replace(config(tmp_path), is_embedded_default=False))

    assert (None, []) == (made, files(tmp_path))


async def test_store_is_closed_after_a_refusal(tmp_path: pathlib.Path) -> None:
    """A refused wish closes the state: SQLite's files beside it are gone."""
    await refusal(keys.with_store(config(tmp_path), keys.revoke, "nobody"))

    assert ["gateway.db"] == files(tmp_path)
