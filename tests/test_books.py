"""What a request costs its caller, whatever becomes of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.allowances import Budget, Priority, Rates
from gateway.auth import Caller
from gateway.books import Books
from gateway.errors import GatewayError
from gateway.ledger import Ledger
from gateway.limits import Limiter
from gateway.metrics import Metrics
from gateway.store import Usage, UsageKey, UsageQuery
from gateway.store.memory import MemoryLimits
from providers.base import Embeddings, FaultKind
from tests.fakes import backends
from tests.fakes.backends import TOKENS_EACH, FakeBackend, failing
from tests.fakes.clock import FakeTime
from tests.test_ledger import Book
from tests.test_service import House, target

TIME = FakeTime(now=1_795_262_400.0)
LIMITED: dict[str, Any] = {"rates": Rates(tpm=1000), "budget": Budget("total", tokens=1000)}


class Kept:
    """A gateway whose usage can be read."""

    def __init__(self, *backends: FakeBackend, **fields: Any) -> None:
        self.book = Book()
        limits = MemoryLimits(TIME.clock)
        self.books = Books(Limiter(limits, limits, {}, "deny", TIME.clock, Metrics()), Ledger(self.book, TIME.clock))
        self.house = House(*backends, books=self.books, **fields)

    async def usage(self) -> Usage:
        await self.books.ledger.write()
        [(key, usage)] = await self.book.usage(UsageQuery())
        assert UsageKey("2026-11-21", "k1", "anyone", "", "small") == key
        return usage


def caller(**granted: Any) -> Caller:
    return Caller("k1", "anyone", ("*",), **granted)


@pytest.mark.parametrize("granted", [{}, LIMITED])
async def test_reported(granted: dict[str, Any]) -> None:
    """What the upstream billed is what is written down, with its price."""
    kept = Kept(FakeBackend(backends.rightly), price=2.0)
    await kept.house.embed(["a", "bb"], caller=caller(**granted))

    assert Usage(requests=1, inputs=2, reported=2 * TOKENS_EACH, nanos=2 * TOKENS_EACH * 2000) == await kept.usage()


@pytest.mark.parametrize(("exact", "name"), [(True, "counted"), (False, "estimated")])
async def test_counted(exact: bool, name: str) -> None:
    """Where the upstream bills nothing, tokens are counted here, and what has no price is told apart."""
    kept = Kept(FakeBackend(backends.without_usage), exact=exact)
    await kept.house.embed(["a", "bb"], caller=caller())

    assert Usage(requests=1, inputs=2, unpriced=3, **{name: 3}) == await kept.usage()


@pytest.mark.parametrize("tokens", [-1, 2**63, 10**9 + 1])
async def test_bills_that_cannot_be(tokens: int) -> None:
    """A bill that no call can have is none."""
    kept = Kept(FakeBackend(lambda call: Embeddings(backends.rightly(call).vectors, prompt_tokens=tokens)))
    await kept.house.embed(["a", "bb"], caller=caller())

    assert 3 == (await kept.usage()).counted


@pytest.mark.parametrize(
    ("kind", "charged"),
    [
        (FaultKind.REJECTED, 0),
        (FaultKind.MISCONFIGURED, 0),
        (FaultKind.THROTTLED, 0),
        (FaultKind.OVERLOADED, 0),
        (FaultKind.EXHAUSTED, 0),
        (FaultKind.TIMEOUT, 3),
        (FaultKind.MALFORMED, 3),
        (FaultKind.BROKEN, 3),
    ],
)
@pytest.mark.parametrize("granted", [{}, LIMITED])
async def test_failure(kind: FaultKind, charged: int, granted: dict[str, Any]) -> None:
    """What was refused unprocessed costs nothing; what may have been billed costs what it counts."""
    kept = Kept(FakeBackend(failing(kind)))
    with pytest.raises(GatewayError):
        await kept.house.embed(["a", "bb"], caller=caller(**granted))

    usage = await kept.usage()
    assert (1, 1, charged) == (usage.requests, usage.errors, usage.counted)


async def test_fallback() -> None:
    """What the first target may have billed comes on top of what the second has billed."""
    kept = Kept(FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend(backends.rightly))
    await kept.house.embed(["a", "bb"], caller=caller())

    assert 3 + 2 * TOKENS_EACH == (await kept.usage()).reported


@pytest.mark.parametrize("granted", [{}, LIMITED])
async def test_cut_off(granted: dict[str, Any]) -> None:
    """A request that is cut off in the middle keeps an estimate, whether it is limited or not."""

    class Hanging(FakeBackend):
        async def embed(self, call: Any, deadline: float, lane: Priority = "interactive") -> Any:
            raise asyncio.CancelledError

    kept = Kept(targets=[target("t0", Hanging(backends.rightly))])
    with pytest.raises(asyncio.CancelledError):
        await kept.house.embed(["a", "bb"], caller=caller(**granted))

    usage = await kept.usage()
    assert (1, True) == (usage.errors, usage.estimated >= 3)


async def test_refused_by_a_limit() -> None:
    """What a limit refuses uses nothing but a request."""
    kept = Kept(FakeBackend(backends.rightly))
    with pytest.raises(GatewayError):
        await kept.house.embed(["a", "bb"], caller=caller(budget=Budget("total", tokens=2)))

    assert Usage(requests=1, errors=1, inputs=2) == await kept.usage()


async def test_equal_inputs_cost_once() -> None:
    """What is sent once is charged once, whatever OpenAI would count."""
    kept = Kept(FakeBackend(backends.rightly))
    result = await kept.house.embed(["a", "a", "a"], caller=caller())

    assert (3 * TOKENS_EACH, TOKENS_EACH) == (result.tokens, (await kept.usage()).reported)


@pytest.mark.parametrize(("tpm", "counted"), [(9_000, False), (5_000, True)])
async def test_room(tpm: int, counted: bool) -> None:
    """Tokens are not counted beforehand where they are next to nothing of what was left last; the bill is the same."""
    kept, limited = Kept(FakeBackend(backends.rightly)), caller(rates=Rates(tpm=tpm))
    for _ in range(2):
        kept.house.counter.counted.clear()
        await kept.house.embed(["abc", "defg"], caller=limited)

    assert (counted, 4 * TOKENS_EACH) == (bool(kept.house.counter.counted), (await kept.usage()).reported)


async def test_first_is_counted() -> None:
    """Of a limit that nobody knows yet no room is known."""
    kept = Kept(FakeBackend(backends.rightly))
    await kept.house.embed(["abc"], caller=caller(rates=Rates(tpm=10**9)))

    assert ["abc"] == kept.house.counter.counted
