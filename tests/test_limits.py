"""Limits in action: reserved before, settled after, and what happens while the state is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from gateway import errors
from gateway.allowances import Budget, Rates, Team
from gateway.auth import Caller
from gateway.config import OnLoss
from gateway.dimensions import Dimensions
from gateway.gates import Gate, Standing
from gateway.limits import Limiter, Reservation
from gateway.metrics import Metrics
from gateway.routing import Route
from gateway.store.memory import MemoryLimits
from tests.fakes.clock import FakeTime

ROUTE = Route("small", "space", Dimensions(8), [], price=2.0)


def caller(**granted: Any) -> Caller:
    return Caller("k1", "app", ("*",), **granted)


class Away:
    """A home that cannot be reached."""

    at_once = None

    async def reserve(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]:
        raise errors.StateUnavailable("away")

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        raise errors.StateUnavailable("away")


class Stalling:
    """A home that has to be waited for, and that does not answer for a while; what it was asked is done, or not."""

    at_once = None
    stalls = False
    does = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._limits = MemoryLimits(clock)

    async def reserve(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]:
        found = self._limits.take(reservation, gates, amounts, lease) if self.does or not self.stalls else []
        self._fail()
        return found

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        if self.does or not self.stalls:
            self._limits.give_back(reservation, gates, amounts, spent)
        self._fail()

    def _fail(self) -> None:
        if self.stalls:
            raise errors.StateUnavailable("stalls")


class House:
    def __init__(self, on_loss: OnLoss = "allow", *, away: bool = False, **teams: Team) -> None:
        self.time = FakeTime(now=1_000_000.0)
        self.shared = Stalling(self.time.clock)
        self.local = MemoryLimits(self.time.clock)
        self.metrics = Metrics()
        self.limiter = Limiter(
            Away() if away else self.shared, self.local, teams, on_loss, self.time.clock, self.metrics
        )

    async def use(self, caller: Caller, tokens: int, spent: int | None = None) -> dict[str, str]:
        """One request from its reservation to its settlement; its headers."""
        reservation = await self.reserve(caller, tokens, 60.0)
        self.settle(reservation, tokens if spent is None else spent)
        await self.limiter.settled()
        return {name.decode(): value.decode() for name, value in reservation.headers}

    async def reserve(self, caller: Caller, tokens: int, seconds: float) -> Reservation:
        return await self.limiter.reserve(self.limiter.gates(caller, ROUTE), tokens, ROUTE.cost(tokens) or 0, seconds)

    def settle(self, reservation: Reservation, tokens: int) -> None:
        self.limiter.settle(reservation, tokens, ROUTE.cost(tokens) or 0)


async def test_no_limit() -> None:
    """Where nothing is limited, no home is asked."""

    assert {} == await House(away=True, on_loss="deny").use(caller(), 5)


async def test_exactly_the_limit() -> None:
    """As many requests pass as the limit says, and the next one is told how long to wait."""
    house, limited = House(), caller(rates=Rates(rpm=3))
    for _ in range(3):
        await house.use(limited, 1)
    with pytest.raises(errors.RateLimited) as caught:
        await house.use(limited, 1)

    assert "20000" == caught.value.headers["retry-after-ms"]


async def test_waiting_suffices() -> None:
    """A caller that waits as long as it was told passes."""
    house, limited = House(), caller(rates=Rates(rpm=7))
    for _ in range(7):
        await house.use(limited, 1)
    with pytest.raises(errors.RateLimited) as caught:
        await house.use(limited, 1)
    house.time.now += int(caught.value.headers["retry-after-ms"]) / 1000

    assert "0" == (await house.use(limited, 1))["x-ratelimit-remaining-requests"]


async def test_headers_of_a_refusal() -> None:
    """A refusal tells the state of the limits, too."""
    house, limited = House(), caller(rates=Rates(rpm=1))
    await house.use(limited, 1)
    with pytest.raises(errors.RateLimited) as caught:
        await house.use(limited, 1)

    assert ("1", "0", "1m0s") == tuple(
        caught.value.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining", "reset")
    )


@pytest.mark.parametrize(("spent", "left"), [(40, 60), (0, 100), (70, 30)])
async def test_settled(spent: int, left: int) -> None:
    """What was reserved and not used comes back; what was used beyond it is taken, too."""
    house, limited = House(), caller(rates=Rates(tpm=100))
    await house.use(limited, 50, spent)

    assert str(left) == (await house.use(limited, 0))["x-ratelimit-remaining-tokens"]


async def test_refusal_takes_nothing() -> None:
    """What one limit refuses is taken from none."""
    house, limited = House(), caller(rates=Rates(rpm=5, tpm=10))
    with pytest.raises(errors.TokensRateLimited):
        await house.use(limited, 11)

    assert "4" == (await house.use(limited, 1))["x-ratelimit-remaining-requests"]


async def test_concurrent() -> None:
    """A request at a time is free again once it is settled."""
    house, limited = House(), caller(rates=Rates(concurrent=1))
    first = await house.reserve(limited, 1, 60.0)
    with pytest.raises(errors.RateLimited, match="1 requests at a time"):
        await house.reserve(limited, 1, 60.0)
    house.settle(first, 1)
    await house.limiter.settled()

    assert {} == await house.use(limited, 1)


async def test_lease() -> None:
    """A request that is never settled stops counting soon after its time is up."""
    house, limited = House(), caller(rates=Rates(concurrent=1))
    await house.reserve(limited, 1, 60.0)
    house.time.now += 66

    assert {} == await house.use(limited, 1)


async def test_budget() -> None:
    """A budget in dollars is spent by what tokens cost; the request that it does not cover is refused for good."""
    house, limited = House(), caller(budget=Budget("total", nanos=10 * 2_000))
    await house.use(limited, 6)
    with pytest.raises(errors.QuotaExhausted, match=r"8e-06 USD are left of 2e-05 USD in all"):
        await house.use(limited, 6)
    await house.use(limited, 4)
    with pytest.raises(errors.QuotaExhausted):
        await house.use(limited, 1)


async def test_budget_begins_anew() -> None:
    """The next period has its own budget."""
    house, limited = House(), caller(budget=Budget("day", tokens=5))
    await house.use(limited, 5)
    house.time.now += 86_400

    assert {} == await house.use(limited, 5)


async def test_team() -> None:
    """The keys of a team share its limits."""
    house = House(search=Team(Rates(rpm=1)))
    await house.use(caller(team="search"), 1)
    other = Caller("k2", "other", ("*",), team="search")
    with pytest.raises(errors.RateLimited, match="this key's team"):
        await house.use(other, 1)


async def test_shadow() -> None:
    """A shadow limit refuses nothing, and tells that it would have."""
    house, limited = House(), caller(rates=Rates(rpm=1, shadow=True))
    await house.use(limited, 1)
    reservation = await house.reserve(limited, 1, 60.0)

    assert ["requests:key:k1"] == list(reservation.shadowed)


async def test_away_allowed() -> None:
    """While the state is away, this process counts by itself."""
    house, limited = House(away=True), caller(rates=Rates(rpm=1))
    await house.use(limited, 1)
    with pytest.raises(errors.RateLimited):
        await house.use(limited, 1)


async def test_away_is_told() -> None:
    """Metrics say how many requests were counted here alone."""
    house = House(away=True)
    await house.use(caller(rates=Rates(rpm=9)), 1)

    assert b"gateway_requests_counted_locally_total 1.0" in house.metrics.text()


@pytest.mark.parametrize(("spent", "told"), [(7, False), (8, True), (10, True)])
async def test_soft_threshold(spent: int, told: bool) -> None:
    """Metrics begin to tell a budget once its soft threshold is reached."""
    house = House()
    await house.use(caller(budget=Budget("day", tokens=10)), spent)
    line = f'gateway_budget_used_ratio{{kind="token_budget",subject="key:k1"}} {spent / 10}'.encode()

    assert told == (line in house.metrics.text())


async def test_next_period_is_told() -> None:
    """A budget that has warned is told when it begins anew, too."""
    house, limited = House(), caller(budget=Budget("day", tokens=10))
    await house.use(limited, 9)
    house.time.now += 86_400
    await house.use(limited, 1)

    assert b'subject="key:k1"} 0.1' in house.metrics.text()


async def test_refusals_are_counted() -> None:
    """Metrics count what limits refuse, and what shadows would have refused."""
    house = House()
    for shadow in (False, True):
        limited = Caller(f"k{shadow}", "app", ("*",), rates=Rates(rpm=1, shadow=shadow))
        await house.use(limited, 1)
        with nullcontext() if shadow else pytest.raises(errors.RateLimited):
            await house.use(limited, 1)
    text = house.metrics.text()

    for told in ("false", "true"):
        assert f'gateway_limit_refusals_total{{kind="requests",shadow="{told}",whose="key"}} 1.0'.encode() in text


async def test_away_denied() -> None:
    """Where the operator wants it so, nobody is served uncounted."""
    with pytest.raises(errors.StateUnavailable):
        await House("deny", away=True).use(caller(rates=Rates(rpm=1)), 1)


@pytest.mark.parametrize(
    ("granted", "counts"),
    [
        ({}, False),
        ({"rates": Rates(rpm=1, concurrent=1)}, False),
        ({"rates": Rates(tpm=1)}, True),
        ({"budget": Budget("day", tokens=1)}, True),
        ({"budget": Budget("day", nanos=1)}, True),
    ],
)
def test_whether_tokens_are_counted(granted: dict[str, Any], counts: bool) -> None:
    """Tokens have to be counted beforehand only for those who have a limit of tokens or money."""

    assert counts == House().limiter.gates(caller(**granted), ROUTE).by_tokens


async def test_exact_under_concurrency() -> None:
    """Of 200 requests at once exactly those within the limit pass."""
    house, limited = House(), caller(rates=Rates(rpm=37))
    outcomes = await asyncio.gather(*(house.use(limited, 1) for _ in range(200)), return_exceptions=True)

    assert 37 == sum(isinstance(outcome, dict) for outcome in outcomes)


@pytest.mark.parametrize("does", [False, True])
async def test_settled_after_a_stall(does: bool) -> None:
    """What could not be settled is settled once the state is back, and once, even if it was done unheard."""
    house = House()
    limited = caller(rates=Rates(rpm=100, concurrent=1), budget=Budget("total", tokens=100))
    reservation = await house.reserve(limited, 10, 60.0)
    house.shared.stalls, house.shared.does = True, does
    house.settle(reservation, 30)
    for _ in range(3):
        await house.limiter.settled()
    house.shared.stalls = False
    await house.limiter.settled()
    found = await house.reserve(limited, 1, 60.0)

    assert [98, 0, 69] == [standing.remaining for standing in found.standings]


async def test_settled_too_late() -> None:
    """What could not be settled before its lease ended is no longer tried: the estimate stays spent."""
    house, limited = House(), caller(budget=Budget("total", tokens=100))
    reservation = await house.reserve(limited, 10, 60.0)
    house.shared.stalls = True
    house.settle(reservation, 30)
    await house.limiter.settled()
    house.time.now += 66
    await house.limiter.settled()
    house.shared.stalls = False
    found = await house.reserve(limited, 1, 60.0)

    assert ([89], 0) == ([standing.remaining for standing in found.standings], len(house.limiter._waiting))


async def test_reserved_unheard() -> None:
    """A reservation that was made without an answer is given back, not spent."""
    house, limited = House("deny"), caller(budget=Budget("total", tokens=100))
    house.shared.stalls = house.shared.does = True
    with pytest.raises(errors.StateUnavailable):
        await house.reserve(limited, 10, 60.0)
    house.shared.stalls = False
    await house.limiter.settled()
    house.time.now += 66
    found = await house.reserve(limited, 1, 60.0)

    assert [99] == [standing.remaining for standing in found.standings]


async def test_one_that_always_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settlement that fails by itself does not keep the others, and no more than so many wait."""
    monkeypatch.setattr("gateway.limits.WAITING", 2)
    house, limited = House(), caller(budget=Budget("total", tokens=100))
    reservations = [await house.reserve(limited, 10, 60.0) for _ in range(3)]
    house.shared.stalls = True
    for reservation in reservations:
        house.settle(reservation, 0)
    await asyncio.gather(*house.limiter._settling)
    waiting = [each.reservation for each in house.limiter._waiting]
    await house.limiter._again()

    assert [each.id for each in reservations[:2]] == waiting
    assert waiting[::-1] == [each.reservation for each in house.limiter._waiting]
