"""How many failures an address may have."""

from __future__ import annotations

import pytest

from gateway import addresses, failures
from gateway.addresses import Source
from gateway.failures import A_MINUTE, Failures
from tests.fakes.clock import FakeTime

HERE = Source("203.0.113.7")


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def fail(counted: Failures, times: int, source: Source = HERE) -> list[float]:
    return [counted.add(source) for _ in range(times)]


def test_a_minute(time: FakeTime) -> None:
    """So many failures at once are let pass, and the next has to wait."""
    counted = Failures((), time.clock)

    assert ([0.0] * A_MINUTE, 60 / A_MINUTE) == (fail(counted, A_MINUTE), counted.add(HERE))


def test_waiting_suffices(time: FakeTime) -> None:
    """Whoever waits as long as told may fail once more; failures meanwhile do not lengthen it."""
    counted = Failures((), time.clock)
    wait = fail(counted, 1000)[-1]
    time.now += wait

    assert [0.0, wait] == fail(counted, 2)


def test_forgiven(time: FakeTime) -> None:
    """After a minute without a failure all is forgiven."""
    counted = Failures((), time.clock)
    fail(counted, 1000)
    time.now += 60

    assert [0.0] * A_MINUTE == fail(counted, A_MINUTE)


def test_asking_is_free(time: FakeTime) -> None:
    """Asking how long to wait counts nothing."""
    counted = Failures((), time.clock)
    for _ in range(1000):
        counted.wait(HERE)

    assert 0.0 == counted.add(HERE)


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        (Source("203.0.113.8"), False),
        (Source("2001:db8::1"), False),
        (Source("::ffff:203.0.113.7"), True),
        (Source("10.0.0.1", ["203.0.113.7"]), True),
        (Source("10.0.0.1", ["203.0.113.7, 203.0.113.8"]), False),
        (Source("203.0.113.7", ["198.51.100.1"]), True),
    ],
)
def test_each_address(time: FakeTime, other: Source, waits: bool) -> None:
    """One address's failures are not another's, whatever it says of itself."""
    counted = Failures(addresses.networks(["10.0.0.0/8"]), time.clock)
    fail(counted, A_MINUTE)

    assert waits == (counted.wait(other) > 0)


def test_one_network(time: FakeTime) -> None:
    """All addresses of a /64 count together."""
    counted = Failures((), time.clock)
    passed = [counted.add(Source(f"2001:db8::{number:x}")) for number in range(A_MINUTE + 1)]

    assert passed[-1] > 0


def test_memory_is_bounded(time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more addresses than are remembered the one that failed longest ago is forgotten."""
    monkeypatch.setattr(failures, "REMEMBERED", 2)
    counted = Failures((), time.clock)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        fail(counted, A_MINUTE, Source(address))

    assert [False, True, True] == [counted.wait(Source(f"192.0.2.{number}")) > 0 for number in (1, 2, 3)]
