"""Who may ask a home that has failed."""

from __future__ import annotations

from gateway.store.outage import Outage
from tests.fakes.clock import FakeTime


def test_nothing_has_failed() -> None:
    """While all is well everybody may ask."""
    outage = Outage(FakeTime().clock)

    assert [True] * 3 == [outage.may_try() for _ in range(3)]


def test_failed() -> None:
    """After a failure nobody asks for a second, and then one caller in each second."""
    time = FakeTime()
    outage = Outage(time.clock)
    outage.begin()
    tried = []
    for _ in range(6):
        tried.append([outage.may_try(), outage.may_try()])
        time.now += 0.5

    assert [[False] * 2, [False] * 2, [True, False], [False] * 2, [True, False], [False] * 2] == tried


def test_over() -> None:
    """What works again may be asked by everybody at once."""
    outage = Outage(FakeTime().clock)
    outage.begin()
    outage.end()

    assert [True] * 3 == [outage.may_try() for _ in range(3)]
