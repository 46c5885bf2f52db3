"""Usage is summed here, and written down once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from gateway.auth import Caller
from gateway.errors import StateUnavailable
from gateway.ledger import Ledger
from gateway.store import Usage, UsageKey, UsageQuery
from tests.fakes import virtual_time

NOON = 1_795_262_400.0
CALLER = Caller("k1", "app", ("*",), team="search")
KEY = UsageKey("2026-11-21", "k1", "app", "search", "small")


class Book:
    """A home that remembers batches, and fails as often as it is told."""

    def __init__(self, failures: int = 0, *, writes_first: bool = False) -> None:
        self.failures = failures
        self.writes_first = writes_first
        self.batches: dict[str, Mapping[UsageKey, Usage]] = {}
        self.saved = 0

    async def add_usage(self, batch: str, usage: Mapping[UsageKey, Usage]) -> None:
        if self.failures and not self.writes_first:
            self._fail()
        self.batches.setdefault(batch, usage)
        if self.failures:
            self._fail()

    def _fail(self) -> None:
        self.failures -= 1
        raise StateUnavailable("away")

    async def usage(self, query: UsageQuery) -> Sequence[tuple[UsageKey, Usage]]:
        return [(key, usage) for batch in self.batches.values() for key, usage in batch.items()]

    async def save(self) -> None:
        self.saved += 1

    def requests(self) -> int:
        return sum(usage.requests for batch in self.batches.values() for usage in batch.values())


async def test_sums() -> None:
    """What one key uses of one model on one day is one sum."""
    book = Book()
    ledger = Ledger(book, lambda: NOON)
    ledger.add(CALLER, "small", Usage(requests=1, inputs=3, reported=10, nanos=5))
    ledger.add(CALLER, "small", Usage(requests=1, errors=1))
    await ledger.write()

    assert [(KEY, Usage(requests=2, errors=1, inputs=3, reported=10, nanos=5))] == await book.usage(UsageQuery())


async def test_nothing_to_write() -> None:
    """Where nothing was used, nothing is written."""
    book = Book()
    await Ledger(book, lambda: NOON).write()

    assert {} == book.batches


@pytest.mark.parametrize("writes_first", [False, True])
async def test_failure(writes_first: bool) -> None:
    """A batch that failed is written with the next ones, and once, even if the failure hid that it was written."""
    book = Book(2, writes_first=writes_first)
    ledger = Ledger(book, lambda: NOON)
    for _ in range(4):
        ledger.add(CALLER, "small", Usage(requests=1))
        await ledger.write()

    assert 4 == book.requests()


async def test_nothing_is_lost_while_away() -> None:
    """However long the home is away, the sums wait."""
    book = Book(50)
    ledger = Ledger(book, lambda: NOON)
    for _ in range(50):
        ledger.add(CALLER, "small", Usage(requests=1))
        await ledger.write()
    await ledger.write()

    assert 50 == book.requests()


def test_every_second() -> None:
    """At any time only what came within the last second is not written down yet."""
    book = Book()

    async def story() -> list[int]:
        ledger, unwritten = Ledger(book, lambda: NOON), []
        running = asyncio.create_task(ledger.run())
        for number in range(1, 100):
            ledger.add(CALLER, "small", Usage(requests=1))
            await asyncio.sleep(0.1)
            unwritten.append(number - book.requests())
        running.cancel()
        return unwritten

    assert max(virtual_time.run(story())) <= 10
    assert book.saved >= 9


class Picky(Book):
    """A home that cannot hold large numbers, as SQLite cannot."""

    async def add_usage(self, batch: str, usage: Mapping[UsageKey, Usage]) -> None:
        if any(sums.reported >= 2**63 for sums in usage.values()):
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        await super().add_usage(batch, usage)


async def test_impossible_batch(caplog: pytest.LogCaptureFixture) -> None:
    """What no home can ever take is given up with one line in the log, and what comes after it is written."""
    book = Picky()
    ledger = Ledger(book, lambda: NOON)
    ledger.add(CALLER, "small", Usage(requests=1, reported=2**63))
    await ledger.write()
    ledger.add(CALLER, "small", Usage(requests=1))
    await ledger.write()

    assert (1, 2) == (book.requests(), book.saved)
    assert ["usage that the state can never take is given up"] == [line.message for line in caplog.records]


class Unsaving(Book):
    async def save(self) -> None:
        await super().save()
        raise OverflowError


async def test_impossible_saving(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, the next second is another chance, and the log says so once."""
    book = Unsaving()
    ledger = Ledger(book, lambda: NOON)
    for _ in range(2):
        await ledger.write()

    assert (2, 1) == (book.saved, len(caplog.records))
