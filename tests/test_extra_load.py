"""A target is asked again only for a share of what it was asked first."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway import extra_load
from gateway.extra_load import HEDGE_MOST, HEDGE_SHARE, RETRY_REFILL, RETRY_RESERVE, RETRY_SHARE, ExtraLoad

NOW = 1000.0


def taken(load: ExtraLoad, now: float = NOW, most: int = 10_000) -> int:
    """How many calls more it allows at that moment."""
    return next(number for number in range(most) if not load.take(now))


def test_reserve() -> None:
    """A quiet gateway may retry as often as finding one bad item among 2048 takes."""
    assert taken(extra_load.of_retries()) >= 22


def test_share() -> None:
    """Of a hundred calls twenty may be made again."""
    load = extra_load.of_retries()
    taken(load)
    for _ in range(101):
        load.earn()

    assert 20 == taken(load)


def test_refill() -> None:
    """What was used comes back by itself, slowly, and never more than there was."""
    load = extra_load.of_retries()
    before = taken(load)

    assert [12, before] == [taken(load, NOW + 61), taken(load, NOW + 10_000)]


def test_hedges_are_not_lent() -> None:
    """Of tokens nothing may be sent twice before twenty times as much was sent."""
    load = extra_load.of_hedges()
    before = load.take(NOW, 5)
    load.earn(100)

    assert [False, True, False] == [before, load.take(NOW, 5), load.take(NOW, 1)]


class Life(RuleBasedStateMachine):
    """However tries and further tries mix, those never are more than the share, the reserve and what came back."""

    @initialize(hedges=st.booleans())
    def start(self, hedges: bool) -> None:
        self.load = extra_load.of_hedges() if hedges else extra_load.of_retries()
        self.share, self.reserve, self.refill, self.most = (
            (HEDGE_SHARE, 0.0, 0.0, HEDGE_MOST) if hedges else (RETRY_SHARE, RETRY_RESERVE, RETRY_REFILL, RETRY_RESERVE)
        )
        self.now = NOW
        self.earned = self.taken = 0.0

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(times=st.integers(1, 200), amount=st.floats(0, 1000))
    def earn(self, times: int, amount: float) -> None:
        for _ in range(times):
            self.load.earn(amount)
        self.earned += times * amount

    @rule(amount=st.floats(0, 100))
    def take(self, amount: float) -> None:
        left = self.load.left(self.now)
        took = self.load.take(self.now, amount)
        self.taken += amount * took

        assert took == (left >= amount)

    @invariant()
    def is_bounded(self) -> None:
        if hasattr(self, "load"):
            allowed = self.share * self.earned + self.reserve + self.refill * (self.now - NOW)

            assert self.taken == pytest.approx(min(self.taken, allowed))
            assert -1e-9 <= self.load.left(self.now) <= self.most


TestLife = Life.TestCase
