"""Usage is summed here, and written down once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from gateway.auth import Caller
from gateway.errors import StateUnavailable
from gateway.ledger import Ledger
from gateway.store import Usage, UsageKey, UsageQuery

NOON = 1_795_262_400.0
CALLER = Caller("k1", "app", ("*",), team="search")
KEY = UsageKey("2026-11-21", "k1", "app", "search", "small")


class Book:
    """A home that remembers batches, and fails as often as it is told."""

    def __init__(self, failures: int = 0, *, writes_first: bool = False) -> None:
        self.failures = failures
        self.writes_first = writes_first
        self.batches: dict[str, Mapping[UsageKey, Usage]] = {}

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
        pass

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
