"""What an operator does with keys: make, list, revoke, rotate, hash."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math
import pathlib
import re
import time
import types
from collections.abc import AsyncIterator, Coroutine, Generator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import key_wishes, keys, reports
from gateway.access_shape import KeyWish
from gateway.allowances import Budget, Rates
from gateway.auth import KeyRecord, key_hash, new_key, well_formed
from gateway.key_wishes import KeyRefused
from gateway.keys import KeyUnknown, NewKey
from gateway.store.embedded import EmbeddedStore

HOUR, DAY = 3600.0, 86400.0
PAST, FUTURE = 1.0, 4_000_000_000.0
LIMITED: dict[str, Any] = {
    "team": "search",
    "limits": {"rpm": 5},
    "budget": {"usd": 1, "per": "day"},
    "metadata": {"a": "b"},
}


@pytest.fixture
async def store(tmp_path: pathlib.Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(tmp_path / "gateway.db")
    yield store
    await store.close()


def wish(name: str, models: Sequence[str] = ("*",), expires: str | None = None, **fields: Any) -> KeyWish:
    return key_wishes.shaped({"name": name, "models": list(models), "expires": expires, **fields})


async def rows(store: EmbeddedStore, file_keys: Sequence[KeyRecord] = ()) -> list[Mapping[str, str]]:
    return [reports.key_row(record, time.time()) for record in [*file_keys, *await store.list_keys()]]


def record(number: int, name: str = "app", **fields: Any) -> KeyRecord:
    return KeyRecord(f"key_{number}", name, f"hash {number}", created=float(number), **fields)


async def refusal(action: Any) -> str:
    with pytest.raises(KeyRefused) as caught:
        await action
    return str(caught.value)


async def working(store: EmbeddedStore) -> list[str]:
    """The ids of the keys that work now."""
    return [record.id for record in await store.list_keys() if record.usable_at(time.time())]


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_create(store: EmbeddedStore) -> None:
    """A new key is well formed, and kept by its hash."""
    made = await keys.create(store, wish("app"))

    assert (True, made.record) == (well_formed(made.key), await store.find_key(key_hash(made.key)))


async def test_create_by_default(store: EmbeddedStore) -> None:
    """A new key may use every model, and does not end."""
    made = (await keys.create(store, wish("app"))).record

    assert ("app", ("*",), None, None) == (made.name, made.models, made.expires, made.revoked)


async def test_create_now(store: EmbeddedStore) -> None:
    """A new key knows when it was made."""
    before = time.time()
    made = (await keys.create(store, wish("app"))).record

    assert before <= made.created <= time.time()


async def test_id(store: EmbeddedStore) -> None:
    """A new key has an id of its own, which tells nothing of the key."""
    first, second = await keys.create(store, wish("a")), await keys.create(store, wish("b"))

    assert (True, True) == (
        re.fullmatch("key_[0-9a-f]{12}", first.record.id) is not None,
        first.record.id != second.record.id,
    )


async def test_create_for_models(store: EmbeddedStore) -> None:
    """A new key may use the models that are named."""
    made = await keys.create(store, wish("app", ["text-*", "local"]))

    assert ("text-*", "local") == made.record.models


ODD_NAMES = ["a", "a b", "o'brien", '"', "a;b--", "名前", "🔑", "key_1", "%s", "`", "x" * 100, "-"]


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names(store: EmbeddedStore, name: str) -> None:
    """A key may have any printable name."""
    await keys.create(store, wish(name))

    assert [name] == [row["name"] for row in await rows(store, [])]


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "\u3000", " a", "a ", "a\nb", "a\tb", "\x1b[31mred", "\0"),
        *("\u200b", "\u202e", "\udcff", "x" * 101),
    ],
)
def test_bad_names(name: str) -> None:
    """A key's name is not empty, not blank, not long, and cannot upset a terminal."""
    with pytest.raises(KeyRefused, match=r"^`name` must ") as caught:
        wish(name)

    assert "name" == caught.value.field


async def test_no_models(store: EmbeddedStore) -> None:
    """A key that may use nothing is not made."""

    assert "Name at least one model, or `*` for all." == await refusal(keys.create(store, wish("app", [])))


async def test_name_in_use(store: EmbeddedStore) -> None:
    """A name that a working key has is refused, with what to do."""
    await keys.create(store, wish("app"))
    message = "There is a working key `app` already. Choose another name, or `gateway keys rotate` it."

    assert message == await refusal(keys.create(store, wish("app")))


@pytest.mark.parametrize("ended", [{"revoked": PAST}, {"expires": PAST}])
async def test_name_of_an_ended_key(store: EmbeddedStore, ended: dict[str, Any]) -> None:
    """The name of a key that has ended may be used again."""
    await store.add_key(record(1, **ended))
    made = await keys.create(store, wish("app"))

    assert [made.record.id] == await working(store)


async def test_refused_key_is_not_made(store: EmbeddedStore) -> None:
    """A key that is refused leaves nothing behind."""
    await refusal(keys.create(store, wish("app", expires="soon")))

    assert [] == await store.list_keys()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90d", 90 * DAY), ("1h", HOUR), ("1.5h", 1.5 * HOUR), ("30 m", 1800), ("36500d", 36500 * DAY)],
)
async def test_expires_after(store: EmbeddedStore, text: str, seconds: float) -> None:
    """A key may end a time from now."""
    made = (await keys.create(store, wish("app", expires=text))).record

    assert made.expires == pytest.approx(made.created + seconds)


@pytest.mark.parametrize(("text", "end"), [("2099-01-31", (2099, 1, 31)), ("9999-12-31", (9999, 12, 31))])
async def test_expires_on(store: EmbeddedStore, text: str, end: tuple[int, int, int]) -> None:
    """A key may end at the first second of a day, UTC."""
    made = (await keys.create(store, wish("app", expires=text))).record

    assert datetime.datetime(*end, tzinfo=datetime.UTC).timestamp() == made.expires


@pytest.mark.parametrize("text", ["2020-01-01", "0001-01-01", "1970-01-01"])
async def test_past_date(store: EmbeddedStore, text: str) -> None:
    """A key cannot end before it begins."""

    assert f"The date {text} is past." == await refusal(keys.create(store, wish("app", expires=text)))


async def test_today(store: EmbeddedStore) -> None:
    """Today has begun, so it is past, too."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()

    assert f"The date {today} is past." == await refusal(keys.create(store, wish("app", expires=today)))


@pytest.mark.parametrize("text", ["", "soon", "90", "d", "-1d", "1y", "1e3d", "2027-13-01", "2027-02-30", "01.02.2027"])
async def test_bad_time(store: EmbeddedStore, text: str) -> None:
    """What is no time is refused with examples of what is."""
    message = await refusal(keys.create(store, wish("app", expires=text)))
    beginning, end = f"`{text}` is no time: it must be a number with a unit, like 20s;", ", or a date like 2027-01-31."

    assert (True, True) == (message.startswith(beginning), message.endswith(end))


async def test_no_time_at_all(store: EmbeddedStore) -> None:
    """A key cannot end at once."""
    message = "`0d` is no time: it must be more than zero, or a date like 2027-01-31."

    assert message == await refusal(keys.create(store, wish("app", expires="0d")))


@pytest.mark.parametrize("text", ["36501d", "999999999d"])
async def test_too_long_a_time(store: EmbeddedStore, text: str) -> None:
    """A time that no calendar has is refused."""

    assert f"`{text}` is longer than 100 years." == await refusal(keys.create(store, wish("app", expires=text)))


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
        "team": "-",
        "limits": "-",
        "created": "2027-01-15 08:00",
        "expires": "2096-10-02 07:06",
        "status": "active",
    }

    assert [expected] == await rows(store, [])


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

    assert [status] == [row["status"] for row in await rows(store, [])]


async def test_keys_of_the_file(store: EmbeddedStore) -> None:
    """The routing file's keys are listed first, with what is known of them."""
    await store.add_key(record(1))
    end = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC).timestamp()
    first, second = await rows(store, [KeyRecord("file:ci", "ci", "hash", ("a", "b"), expires=end)])
    expected = {
        "id": "file:ci",
        "name": "ci",
        "models": "a,b",
        "team": "-",
        "limits": "-",
        "created": "-",
        "expires": "2099-01-01 00:00",
        "status": "active",
    }

    assert (expected, "key_1") == (first, second["id"])


async def test_list_nothing(store: EmbeddedStore) -> None:
    """Without keys there are no rows."""

    assert [] == await rows(store, [])


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
    old = (await keys.create(store, wish("app", ["text-*"], "90d"))).record
    new = await keys.rotate(store, "app", "1h")

    assert ("app", ("text-*",), old.expires, new.record) == (
        new.record.name,
        new.record.models,
        new.record.expires,
        await store.find_key(key_hash(new.key)),
    )


async def test_rotated_key_goes_on(store: EmbeddedStore) -> None:
    """The old key ends when the overlap does."""
    old = (await keys.create(store, wish("app"))).record
    new = (await keys.rotate(store, old.id, "1h")).record
    ends = {record.id: record.revoked for record in await store.list_keys()}

    assert {old.id: pytest.approx(new.created + HOUR, abs=1), new.id: None} == ends


async def test_rotate_at_once(store: EmbeddedStore) -> None:
    """Without an overlap the old key ends now."""
    await keys.create(store, wish("app"))
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


async def test_rotate_keeps_limits(store: EmbeddedStore) -> None:
    """The new key has the limits, the budget and the team of the old one."""
    old = (await keys.create(store, wish("app", **LIMITED), ["search"])).record
    new = (await keys.rotate(store, "app", "0")).record

    assert (old.team, old.rates, old.budget, old.metadata) == (new.team, new.rates, new.budget, new.metadata)


# ── changing ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_create_with_everything(store: EmbeddedStore) -> None:
    """A key has the limits that were wished for, and keeps them in the state."""
    wanted: dict[str, Any] = {
        "team": "search",
        "limits": {"rpm": 5, "shadow": True},
        "model_limits": {"text-*": {"tpm": 7}},
        "budget": {"usd": 0.5, "tokens": 9, "per": "week"},
        "priority": "bulk",
        "metadata": {"owner": "me"},
    }
    made = (await keys.create(store, wish("app", **wanted), ["search"])).record
    budget = Budget("week", 500_000_000, 9)

    assert made == await store.find_key_by_id(made.id)
    assert ("search", Rates(rpm=5, shadow=True), {"text-*": Rates(tpm=7)}, budget, "bulk", {"owner": "me"}) == (
        *(made.team, made.rates, made.model_rates, made.budget, made.priority, made.metadata),
    )


async def test_unknown_team(store: EmbeddedStore) -> None:
    """A team that the routing file lacks is refused, with those that it has."""
    message = await refusal(keys.create(store, wish("app", team="a"), ["c", "b"]))

    assert "There is no team `a`; the routing file has `b`, `c`." == message


async def test_budget_of_nothing(store: EmbeddedStore) -> None:
    """A budget has to limit something."""
    message = await refusal(keys.create(store, wish("app", budget={"per": "day"})))

    assert "The budget must say how much: `usd`, `tokens`, or both." == message


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"name": "other"}, {"name": "other"}),
        ({"models": ["a"]}, {"models": ("a",)}),
        ({"limits": {"tpm": 3}}, {"rates": Rates(rpm=5, tpm=3)}),
        ({"limits": None}, {"rates": Rates()}),
        ({"model_limits": {"a": {"rpm": 1}}}, {"model_rates": {"a": Rates(rpm=1)}}),
        ({"budget": {"tokens": 3, "per": "week"}}, {"budget": Budget("week", 1_000_000_000, 3)}),
        ({"budget": None}, {"budget": None}),
        ({"team": None}, {"team": None}),
        ({"priority": "bulk"}, {"priority": "bulk"}),
        ({"metadata": {"x": "y"}}, {"metadata": {"a": "b", "x": "y"}}),
        ({"metadata": {"x": "y", "a": None}}, {"metadata": {"x": "y"}}),
        ({"metadata": None}, {"metadata": {}}),
        ({"limits": {"rpm": None}}, {"rates": Rates()}),
        ({"budget": {"usd": 2}}, {"budget": Budget("day", 2_000_000_000)}),
        ({"budget": {"usd": None, "tokens": 3}}, {"budget": Budget("day", None, 3)}),
        ({"expires": None}, {"expires": None}),
        ({"expires": "2099-01-01"}, {"expires": 4070908800.0}),
    ],
)
async def test_change(store: EmbeddedStore, change: dict[str, Any], changed: dict[str, Any]) -> None:
    """What is named changes, null takes a limit away, and all else stays as it was, within objects, too."""
    old = (await keys.create(store, wish("app", expires="90d", **LIMITED), ["search"])).record
    await keys.change(store, old.id, change, ["search"])

    assert dataclasses.replace(old, **changed) == await store.find_key_by_id(old.id)


async def test_change_to_a_name_in_use(store: EmbeddedStore) -> None:
    """A key cannot take the name of another that works."""
    await keys.create(store, wish("app"))
    other = (await keys.create(store, wish("other"))).record

    assert "working key `app` already" in await refusal(keys.change(store, other.id, {"name": "app"}))


async def test_change_nothing(store: EmbeddedStore) -> None:
    """A key that is not there cannot be changed."""
    with pytest.raises(KeyUnknown, match="There is no key `key_9` in the state"):
        await keys.change(store, "key_9", {"name": "app"})


@pytest.mark.parametrize(
    ("wished", "field", "message"),
    [
        ({}, "name", "`name` is missing."),
        ({"name": "a", "limits": {"rpm": 0}}, "limits.rpm", "`limits.rpm` must be at least 1."),
        ({"name": "a", "budget": {"usd": 1}}, "budget.per", "`budget.per` is missing."),
        ({"name": "a", "rmp": 1}, "rmp", "`rmp` unknown key; known here are"),
        ([], None, "A key must be a mapping."),
        ({"name": "a", "limits": {"rpm": True}}, "limits.rpm", "`limits.rpm` must be a whole number."),
        ({"name": "a", "limits": {"rpm": "5"}}, "limits.rpm", "`limits.rpm` must be a whole number."),
        ({"name": "a", "limits": {"rpm": 10**15 + 1}}, "limits.rpm", "`limits.rpm` must be at most 1000000000000000."),
        ({"name": "a", "limits": {"shadow": "yes"}}, "limits.shadow", "`limits.shadow` must be true or false."),
        ({"name": "a", "budget": {"usd": True, "per": "day"}}, "budget.usd", "`budget.usd` must be a number."),
        ({"name": "a", "budget": {"usd": 1e-10, "per": "day"}}, "budget.usd", "`budget.usd` must be at least 1e-09."),
        ({"name": "a", "budget": {"usd": math.nan, "per": "day"}}, "budget.usd", "`budget.usd` must be at "),
        ({"name": "a", "budget": {"usd": math.inf, "per": "day"}}, "budget.usd", "`budget.usd` must be at most "),
        (
            {"name": "a", "budget": {"x": 1}},
            "budget.x",
            "`budget.x` unknown key; known here are `usd`, `tokens`, `per`",
        ),
        ({"name": "a", "models": "a"}, "models", "`models` must be a list."),
        ({"name": "a", "models": [""]}, "models.0", "`models.0` a model's name has 1 to 200 printable characters"),
        ({"name": "a", "models": ["a"] * 101}, "models", "`models` must hold at most 100."),
        ({"name": "a", "model_limits": {"\n": {}}}, "model_limits.?", "`model_limits.?` a model's name has 1 to 200"),
        (
            {"name": "a", "metadata": {"x" * 65: ""}},
            f"metadata.{'x' * 65}",
            f"`metadata.{'x' * 65}` must have at most 64",
        ),
        ({"name": "a", "metadata": {"x": "y" * 513}}, "metadata.x", "`metadata.x` must have at most 512 characters."),
        (
            {"name": "a", "metadata": dict.fromkeys("abcdefghijklmnopq", "")},
            "metadata",
            "`metadata` must hold at most 16.",
        ),
        ({"name": "a", "x" * 10**6: 1}, "x" * 100 + "…", f"`{'x' * 100}…` unknown key; known here are"),
    ],
)
def test_shaped(wished: object, field: str | None, message: str) -> None:
    """A wish of another shape is refused with the field at fault."""
    with pytest.raises(KeyRefused) as caught:
        key_wishes.shaped(wished)

    assert (field, True) == (caught.value.field, str(caught.value).startswith(message))


@pytest.mark.parametrize("revived", [{"expires": None}, {"expires": "90d"}])
async def test_revive_a_name_in_use(store: EmbeddedStore, revived: dict[str, Any]) -> None:
    """A key that has expired cannot be brought back beside its successor."""
    await store.add_key(record(1, expires=PAST))
    await keys.create(store, wish("app"))

    assert "working key `app` already" in await refusal(keys.change(store, "key_1", revived))


@pytest.mark.parametrize(
    ("patch", "field", "message"),
    [
        ({"models": None}, "models", "`models` cannot be null, which could mean none or all; `*` is all."),
        ({"models": []}, "models", "Name at least one model, or `*` for all."),
        ({"name": None}, "name", "`name` is missing."),
        ({"sha256": "0" * 64}, "sha256", "`sha256` unknown key; known here are"),
        ({"revoked": None}, "revoked", "`revoked` unknown key; known here are"),
        ({"limits": {"rpm": {"a": 1}}}, "limits.rpm", "`limits.rpm` must be a whole number."),
        ({"limits": 5}, "limits", "`limits` must be a mapping."),
        ({"budget": {"usd": None}}, "budget", "The budget must say how much: `usd`, `tokens`, or both."),
        ({"team": "other"}, "team", "There is no team `other`; the routing file has none."),
        ({"expires": "2020-01-01"}, "expires", "The date 2020-01-01 is past."),
    ],
)
async def test_change_refused(store: EmbeddedStore, patch: dict[str, Any], field: str, message: str) -> None:
    """A change that makes no sense names the field, and changes nothing."""
    old = record(1, team="search", rates=Rates(rpm=5), budget=Budget("day", 5))
    await store.add_key(old)
    with pytest.raises(KeyRefused) as caught:
        await keys.change(store, old.id, patch)

    assert (field, True) == (caught.value.field, str(caught.value).startswith(message))
    assert [old] == await store.list_keys()


async def test_change_of_a_team_that_is_gone(store: EmbeddedStore) -> None:
    """A team that the routing file no longer has hinders no other change."""
    await store.add_key(record(1, team="gone"))
    changed = await keys.change(store, "key_1", {"priority": "bulk"})

    assert ("gone", "bulk") == (changed.team, changed.priority)


# ── at the same moment ────────────────────────────────────────────────────────────────────────────────────────────


@types.coroutine
def others_turn() -> Generator[None]:
    yield


class SteppedKeys:
    """Keys in memory; before each of its steps others may have theirs."""

    def __init__(self, *records: KeyRecord) -> None:
        self.kept = {record.id: record for record in records}

    @property
    def working(self) -> list[KeyRecord]:
        return [record for record in self.kept.values() if record.usable_at(time.time())]

    async def find_key(self, sha256: str) -> KeyRecord | None:
        raise NotImplementedError

    async def find_key_by_id(self, key_id: str) -> KeyRecord | None:
        await others_turn()
        return self.kept.get(key_id)

    async def list_keys(self, name: str | None = None) -> Sequence[KeyRecord]:
        await others_turn()
        return [record for record in self.kept.values() if name in (None, record.name)]

    async def add_key(self, record: KeyRecord) -> None:
        await others_turn()
        self.kept[record.id] = record

    async def change_key(self, record: KeyRecord) -> bool:
        await others_turn()
        self.kept[record.id] = dataclasses.replace(record, revoked=self.kept[record.id].revoked)
        return True

    async def revoke_key(self, key_id: str, at: float) -> None:
        await others_turn()
        ends = self.kept[key_id].revoked
        self.kept[key_id] = dataclasses.replace(self.kept[key_id], revoked=at if ends is None else min(ends, at))


def interleaved(turns: Sequence[bool], *actions: Coroutine[Any, Any, Any]) -> list[bool]:
    """Takes the steps of two actions in turns, and tells which of them succeeded."""
    succeeded: dict[int, bool] = {}
    for turn in itertools.chain(turns, itertools.cycle((False, True))):
        if len(succeeded) == len(actions):
            return [succeeded[0], succeeded[1]]
        if turn not in succeeded:
            try:
                actions[turn].send(None)
            except StopIteration:
                succeeded[turn] = True
            except KeyRefused:
                succeeded[turn] = False
    raise AssertionError("the turns never end")


# Every way in which two actions of up to seven steps can cut into each other twice, and then go on in turns.
TURNS = [[False] * a + [True] * b + [False] * c for a, b, c in itertools.product(range(8), repeat=3)]


def test_create_twice_at_once() -> None:
    """Of two keys that are made at the same moment under one name at most one works, and its maker knows."""
    for turns in TURNS:
        store = SteppedKeys()
        made = interleaved(turns, keys.create(store, wish("app")), keys.create(store, wish("app")))

        assert (True, made.count(True)) == (len(store.working) <= 1, len(store.working)), turns


def test_create_and_rename_at_once() -> None:
    """Nor does one work beside another that takes its name at the same moment."""
    for turns in TURNS:
        store = SteppedKeys(record(1, "other"))
        made = interleaved(turns, keys.create(store, wish("app")), keys.change(store, "key_1", {"name": "app"}))
        named = [key for key in store.working if key.name == "app"]

        assert (True, made.count(True)) == (len(named) <= 1, len(named)), turns


@pytest.mark.parametrize("overlap", ["0", "24h"])
def test_rotate_and_revoke_at_once(overlap: str) -> None:
    """A name that is revoked while it is rotated has no key that works."""
    for turns in TURNS:
        store = SteppedKeys(record(1))
        interleaved(turns, keys.rotate(store, "app", overlap), keys.revoke(store, "app"))

        assert [] == store.working, turns


def test_change_and_revoke_at_once() -> None:
    """A change does not bring a key back that is revoked meanwhile."""
    for turns in TURNS:
        store = SteppedKeys(record(1))
        interleaved(turns, keys.change(store, "key_1", {"name": "b", "expires": "90d"}), keys.revoke(store, "key_1"))

        assert ([], "b") == (store.working, store.kept["key_1"].name), turns


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


async def test_first_key(store: EmbeddedStore) -> None:
    """A state that never had a key gets one for all models."""
    made = await keys.first(store)

    assert (True, [("default", "*")]) == (
        well_formed(made or ""),
        [(row["name"], row["models"]) for row in await rows(store)],
    )


async def test_second_start(store: EmbeddedStore) -> None:
    """A state that has a key gets no other."""
    await keys.first(store)

    assert await keys.first(store) is None


async def test_first_key_after_revocation(store: EmbeddedStore) -> None:
    """A state whose only key was revoked gets no other by itself."""
    await keys.first(store)
    await keys.revoke(store, "default")

    assert await keys.first(store) is None
