"""Usage and keys as they are told: as JSON, as CSV and in columns, by themselves and through a running gateway."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from gateway import reports
from gateway.allowances import Budget, Rates
from gateway.auth import KeyRecord
from gateway.cli import main
from gateway.store import Usage, UsageKey, UsageQuery
from gateway.store.embedded import EmbeddedStore
from tests.gateway_process import GatewayProcess
from tests.test_error_table import INVALID, shape

ADMIN_KEY = "correct-horse-battery-staple"
MODELS = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
USAGE = Usage(requests=3, errors=1, inputs=40, reported=500, counted=60, estimated=7, cached=8, nanos=1500, unpriced=9)
ROW = {
    "requests": 3,
    "errors": 1,
    "inputs": 40,
    "tokens": 567,
    "reported": 500,
    "counted": 60,
    "estimated": 7,
    "cached": 8,
    "usd": 0.0000015,
    "unpriced_tokens": 9,
}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")

texts = st.text(max_size=20) | st.builds(str.__add__, st.sampled_from(FORMULAS), st.text(max_size=20))
keys_of_usage = st.builds(UsageKey, st.dates().map(str), texts, texts, texts, texts)
usages = st.builds(Usage, **dict.fromkeys(Usage.__slots__, st.integers(0, 2**53)))
rows_of_usage = st.lists(st.tuples(keys_of_usage, usages), max_size=5)


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first", "last"), [(None, None), ("2026-11-21", None), ("2024-02-29", "9999-12-31")])
def test_query(first: str | None, last: str | None) -> None:
    """Days are days, or open."""

    assert UsageQuery(first, last, "k", "t", "m") == reports.usage_query(first, last, "k", "t", "m")


@pytest.mark.parametrize(
    "day", ["", "2026", "2026-11", "20261121", "2026-11-31", "2026-W47-6", "2026-11-21 ", "٢٠٢٦-11-21"]
)
@pytest.mark.parametrize("name", ["from", "to"])
def test_query_of_no_day(name: str, day: str) -> None:
    """What is no day is refused, under the name that it was given."""
    with pytest.raises(ValueError, match=f"^`{name}` must be a day like 2026-11-21$"):
        reports.usage_query(*((day, None) if name == "from" else (None, day)))


def test_row() -> None:
    """A row has all that is known of a day, a key and a model; money is told in dollars."""
    row = reports.usage_row(UsageKey("2026-11-21", "key_1", "app", "search", "small"), USAGE)

    assert {"day": "2026-11-21", "key_id": "key_1", "key": "app", "team": "search", "model": "small", **ROW} == row


@given(rows_of_usage)
def test_report(rows: Sequence[tuple[UsageKey, Usage]]) -> None:
    """A report has the rows as they come, and their sums."""
    report = reports.usage_report(rows)
    sums = {name: sum(row[name] for row in report["data"]) for name in ROW}

    assert [reports.usage_row(*row) for row in rows] == report["data"]
    assert sums.pop("usd") == pytest.approx(report["total"].pop("usd"))
    assert sums == report["total"]


def told_in_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@given(rows_of_usage)
def test_csv(rows: Sequence[tuple[UsageKey, Usage]]) -> None:
    """CSV holds what JSON holds, whatever the names are; only what would be a formula has an apostrophe before it."""
    told = told_in_csv(reports.usage_csv(rows))
    expected = [reports.usage_row(*row) for row in rows]

    def plain(value: object) -> str:
        text = "" if value is None else str(value)
        return f"'{text}" if isinstance(value, str) and text.startswith(FORMULAS) else text

    assert [{name: plain(value) for name, value in row.items()} for row in expected] == told
    assert [] == [cell for row in told for cell in row.values() if cell.startswith(FORMULAS)]


def test_csv_of_nothing() -> None:
    """Where nothing was used the header stands alone."""

    assert [list(reports.COLUMNS)] == list(csv.reader(io.StringIO(reports.usage_csv([]))))


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────

LIMITED = KeyRecord(
    "key_1",
    "app",
    "the hash",
    ("text-*", "local"),
    created=1_800_000_000.0,
    expires=4_000_000_000.0,
    team="search",
    rates=Rates(rpm=5, tpm=7, shadow=True),
    model_rates={"text-*": Rates(concurrent=2)},
    budget=Budget("week", 500_000_000, 9),
    priority="bulk",
    metadata={"owner": "me"},
)


def test_key_object() -> None:
    """A key is told with all that it may do, and without its hash."""
    expected = {
        "object": "key",
        "id": "key_1",
        "name": "app",
        "status": "active",
        "models": ["text-*", "local"],
        "team": "search",
        "limits": {"rpm": 5, "tpm": 7, "concurrent": None, "shadow": True},
        "model_limits": {"text-*": {"rpm": None, "tpm": None, "concurrent": 2, "shadow": False}},
        "budget": {"usd": 0.5, "tokens": 9, "per": "week", "soft": 0.8},
        "priority": "bulk",
        "cache": True,
        "metadata": {"owner": "me"},
        "created": 1_800_000_000.0,
        "expires": 4_000_000_000.0,
        "revoked": None,
    }

    assert expected == reports.key_object(LIMITED, 1_900_000_000.0)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (None, None),
        (Budget("day", tokens=9), {"usd": None, "tokens": 9, "per": "day", "soft": 0.8}),
        (Budget("total", nanos=1, soft=0.5), {"usd": 1e-9, "tokens": None, "per": "total", "soft": 0.5}),
    ],
)
def test_budget_object(budget: Budget | None, expected: Mapping[str, Any] | None) -> None:
    """A budget is told as it was given; what it does not limit is null."""

    assert expected == reports.budget_object(budget)


def test_key_row() -> None:
    """A line of the list says in words what limits there are."""
    expected = {
        "id": "key_1",
        "name": "app",
        "models": "text-*,local",
        "team": "search",
        "limits": "rpm=5,tpm=7,shadow,text-*:concurrent=2,usd=0.5/week,tokens=9/week",
        "created": "2027-01-15 08:00",
        "expires": "2096-10-02 07:06",
        "status": "active",
    }

    assert expected == reports.key_row(LIMITED, 1_900_000_000.0)


# ── through a gateway ─────────────────────────────────────────────────────────────────────────────────────────────

MINE, THEIRS, HOSTILE = ("file:tests", "tests", ""), ("key_1", "app", "search"), ("key_2", "=cmd|'/c calc'!A1", "a,b")
STORED = {
    UsageKey("2026-11-20", *MINE, "small"): USAGE,
    UsageKey("2026-11-21", *MINE, "large"): USAGE,
    UsageKey("2026-11-21", *THEIRS, "small"): USAGE,
    UsageKey("2026-11-22", *HOSTILE, 'sm"all\nx'): USAGE,
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway over a state in which some usage stands already."""
    folder = tmp_path_factory.mktemp("usage")

    async def fill() -> None:
        store = EmbeddedStore(folder / "gateway.db")
        await store.add_usage("before", STORED)
        await store.close()

    asyncio.run(fill())
    with GatewayProcess(folder, MODELS, access=f"admin_key: {ADMIN_KEY}") as process:
        yield process


@pytest.fixture
def admin(running: GatewayProcess) -> Iterator[httpx.Client]:
    with running.client(ADMIN_KEY) as client:
        yield client


def places(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    return [(row["day"], row["key_id"], row["model"]) for row in rows]


def expected(*numbers: int) -> list[tuple[str, str, str]]:
    stored = list(STORED)
    return [(stored[number].day, stored[number].key_id, stored[number].model) for number in numbers]


# In the order of day and key's name: `app` goes before `tests`.
QUERIES: list[tuple[dict[str, str], tuple[int, ...]]] = [
    ({}, (0, 2, 1, 3)),
    ({"from": "2026-11-21"}, (2, 1, 3)),
    ({"to": "2026-11-21"}, (0, 2, 1)),
    ({"from": "2026-11-21", "to": "2026-11-21"}, (2, 1)),
    ({"from": "2026-11-22", "to": "2026-11-21"}, ()),
    ({"key": "key_1"}, (2,)),
    ({"key": "key"}, ()),
    ({"key": ""}, ()),
    ({"team": "search"}, (2,)),
    ({"team": ""}, (0, 1)),
    ({"model": "small"}, (0, 2)),
    ({"model": "sm%"}, ()),
    ({"model": "small", "from": "2026-11-21", "team": "search", "key": "key_1", "to": "2026-11-21"}, (2,)),
]


@pytest.mark.parametrize(("query", "numbers"), QUERIES)
def test_usage_of_all(admin: httpx.Client, query: dict[str, str], numbers: tuple[int, ...]) -> None:
    """An operator sees everyone's usage, by days, key, team and model, with its sums."""
    report = admin.get("/admin/usage", params=query).json()
    count = len(numbers)

    assert expected(*numbers) == places(report["data"])
    assert {name: pytest.approx(value * count) for name, value in ROW.items()} == report["total"]


@pytest.mark.parametrize(("query", "numbers"), QUERIES)
def test_usage_of_all_as_csv(admin: httpx.Client, query: dict[str, str], numbers: tuple[int, ...]) -> None:
    """A spreadsheet gets the same rows, and none of their names as a formula."""
    answer = admin.get("/admin/usage", params={**query, "format": "csv"})
    told = told_in_csv(answer.content.decode())

    assert ("text/csv; charset=utf-8", expected(*numbers)) == (answer.headers["content-type"], places(told))
    assert [] == [cell for row in told for cell in row.values() if cell.startswith(FORMULAS)]


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_usage_on_the_command_line(running: GatewayProcess, admin: httpx.Client, form: str) -> None:
    """The command line tells what the API tells."""
    query = ["--from", "2026-11-21", "--model", "small"]
    printed = CliRunner().invoke(main, ["usage", form, *query, "--config", str(running.config)]).stdout
    asked = {"from": "2026-11-21", "model": "small", "format": form.removeprefix("--")}
    answer = admin.get("/admin/usage", params=asked).text

    assert (json.loads(answer) == json.loads(printed)) if form == "--json" else (answer == printed)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [({}, (0, 1)), ({"from": "2026-11-21"}, (1,)), ({"to": "2026-11-20"}, (0,)), ({"from": "2026-11-22"}, ())],
)
@pytest.mark.parametrize("path", ["/v1/usage", "/usage/"])
def test_own_usage(running: GatewayProcess, path: str, query: dict[str, str], numbers: tuple[int, ...]) -> None:
    """A key sees its own usage, by days, and nobody else's."""
    with running.client() as client:
        report = client.get(path, params=query).json()

    assert expected(*numbers) == places(report["data"])
    assert {name: pytest.approx(value * len(numbers)) for name, value in ROW.items()} == report["total"]


@pytest.mark.parametrize(
    "query", [{"key": "key_1"}, {"team": "search"}, {"model": "small"}, {"from": "x"}, {"to": "2026-11-31"}]
)
def test_own_usage_refused(running: GatewayProcess, query: dict[str, str]) -> None:
    """Nothing but days can be chosen, and only days that there are."""
    with running.client() as client:
        answer = client.get("/v1/usage", params=query)

    assert (400, INVALID, None, None) == shape(answer)


def test_usage_without_a_key(running: GatewayProcess) -> None:
    """Usage is nobody's who shows no key."""
    with running.client(None) as client:
        answers = [client.get("/v1/usage"), client.get("/admin/usage")]

    assert [(401, INVALID, None, None)] * 2 == [shape(answer) for answer in answers]


def test_usage_once(running: GatewayProcess) -> None:
    """A ledger's batch that is sent again, after a crash too, is counted once."""

    async def again() -> int:
        store = EmbeddedStore(running.folder / "gateway.db")
        await store.add_usage("before", STORED)
        rows = await store.usage(UsageQuery())
        await store.close()
        return sum(usage.requests for _, usage in rows)

    assert len(STORED) * USAGE.requests == asyncio.run(again())
