"""Targets come in an order that shares the load, and leaves alone who is better left alone."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance import in_order
from gateway.health import Health, Ticket
from gateway.routing import Target
from providers.base import Fault, FaultKind
from tests.fakes.backends import FakeBackend

NOW = 1000.0
OVERLOADED = Fault(FaultKind.OVERLOADED, "")


def target(name: str, weight: float = 1.0, priority: int = 0) -> Target:
    return Target(name, "openai", "small", FakeBackend(), priority=priority, weight=weight, health=Health(lambda: 0.0))


def call(health: Health, fault: Fault | None = None, seconds: float = 0.1, now: float = NOW) -> None:
    """One call to it that ends now."""
    ticket = health.begin(1, now - seconds)
    assert isinstance(ticket, Ticket)
    health.end(ticket, fault, now)


def busy(target: Target, calls: int) -> Target:
    for _ in range(calls):
        target.health.begin(1, NOW)
    return target


def opened(target: Target, at: float = NOW) -> Target:
    for _ in range(5):
        call(target.health, OVERLOADED, now=at)
    return target


def names(targets: Sequence[Target]) -> list[str]:
    return [target.name for target in targets]


def following(*numbers: float) -> Callable[[], float]:
    """A source of randomness that gives these numbers."""
    coming: Iterator[float] = iter(numbers)
    return lambda: next(coming)


TARGETS = st.lists(
    st.builds(
        Target,
        st.text(max_size=2),
        st.just("openai"),
        st.just("small"),
        st.builds(FakeBackend),
        priority=st.integers(-2, 2),
        weight=st.floats(1e-300, 1e300),
    ),
    max_size=6,
)


@given(TARGETS, st.randoms(use_true_random=False))
def test_each_target_once(targets: list[Target], source: random.Random) -> None:
    """Every target is in the order exactly once."""
    assert sorted(map(id, targets)) == sorted(map(id, in_order(targets, 1, NOW, source.random)))


@given(TARGETS, st.randoms(use_true_random=False))
def test_priority_first(targets: list[Target], source: random.Random) -> None:
    """A target of a lower number stands before those of higher ones, whatever their weights."""
    priorities = [target.priority for target in in_order(targets, 1, NOW, source.random)]

    assert sorted(priorities) == priorities


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [((0.1, 0.9), ["a", "b"]), ((0.9, 0.1), ["b", "a"]), ((0.0, 0.5), ["a", "b"]), ((0.5, 0.0), ["b", "a"])],
)
def test_chance_decides(numbers: tuple[float, float], expected: list[str]) -> None:
    """Among targets alike, chance alone decides."""
    assert expected == names(in_order([target("a"), target("b")], 1, NOW, following(*numbers)))


@pytest.mark.parametrize(
    "weights",
    [(1.0, 1.0), (3.0, 1.0), (0.003, 0.001), (3e-9, 1e-9), (3e9, 1e9), (1.0, 2.0, 5.0)],
    ids=str,
)
def test_weights_are_shares(weights: tuple[float, ...]) -> None:
    """The first place is shared in proportion to the weights, whatever their size."""
    source = random.Random(20261021)  # noqa: S311 (a test wants the same numbers every time)
    targets = [target(str(place), weight) for place, weight in enumerate(weights)]
    firsts = Counter(in_order(targets, 1, NOW, source.random)[0].name for _ in range(4000))

    assert [pytest.approx(weight / sum(weights), abs=0.03) for weight in weights] == [
        firsts[str(place)] / 4000 for place in range(len(weights))
    ]


def test_weights_share_the_second_place() -> None:
    """Once the first is out, the rest share the next place by their weights, too."""
    source = random.Random(7)  # noqa: S311 (as above)
    targets = [target("a", 8), target("b", 3), target("c", 1)]
    orders = [names(in_order(targets, 1, NOW, source.random)) for _ in range(4000)]
    after_a = [order[1] for order in orders if order[0] == "a"]

    assert pytest.approx(0.75, abs=0.03) == after_a.count("b") / len(after_a)


# ── who is left alone ─────────────────────────────────────────────────────────────────────────────────────────────


def chosen(targets: Sequence[Target], now: float = NOW) -> list[str]:
    return names(in_order(targets, 1, now, lambda: 0.0))


def test_out_of_service() -> None:
    """A target that is drained or ejected is not asked at all."""
    drained, ejected = target("drained"), target("ejected")
    drained.health.drained, ejected.health.ejected = True, "drift"

    assert ["third"] == chosen([drained, ejected, target("third")])


def test_resting_comes_last() -> None:
    """A target that failed or asked for a pause comes last, however high its priority, the soonest first."""
    cooling = target("cooling", priority=-1)
    call(cooling.health, Fault(FaultKind.THROTTLED, "", 429, retry_after=2.0))
    targets = [opened(target("open", priority=-2)), cooling, target("well", priority=5)]

    assert ["well", "cooling", "open"] == chosen(targets)


def test_half_open_is_in_its_place() -> None:
    """Whose open time is over stands where it stood, so that its trial comes."""
    assert ["first", "second"] == chosen([opened(target("first")), target("second", priority=1)], NOW + 5.0)


# ── two choices ───────────────────────────────────────────────────────────────────────────────────────────────────


def slow(target: Target, seconds: float, at: float = NOW) -> Target:
    call(target.health, seconds=seconds, now=at)
    return target


def test_busy_one_gives_way() -> None:
    """Of the first two, the one with clearly more calls in flight comes second."""
    assert ["b", "a"] == chosen([busy(target("a"), 3), target("b")])


def test_a_little_more_is_no_reason() -> None:
    """A call more alone does not change the order."""
    assert ["a", "b"] == chosen([busy(target("a"), 3), busy(target("b"), 2)])


def test_slow_one_gives_way() -> None:
    """Nor does a little more time; clearly more does."""
    assert ["a", "b"] == chosen([slow(target("a"), 0.3), slow(target("b"), 0.2)])
    assert ["b", "a"] == chosen([slow(target("a"), 0.5), slow(target("b"), 0.2)])


def test_slowness_is_forgotten() -> None:
    """What was slow once is tried again after a while."""
    targets = [slow(target("a"), 2.0), slow(target("b"), 0.2, at=NOW + 60)]

    assert ["a", "b"] == chosen(targets, NOW + 60)


def test_unknown_is_no_reason() -> None:
    """A target that nobody has asked yet is as fast as the other."""
    assert ["a", "b"] == chosen([slow(target("a"), 9.0), target("b")])


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (1.0, 2.0, 5.0)], ids=str)
@pytest.mark.parametrize("at_a_time", [1, 8, 64])
def test_shares_of_calls(weights: tuple[float, ...], at_a_time: int) -> None:
    """However many calls run at a time, targets alike get calls by their weights, although their times differ."""
    source = random.Random(42)  # noqa: S311 (the same numbers every time)
    targets = [target(str(place), weight) for place, weight in enumerate(weights)]
    running: list[tuple[float, int, Target, Ticket]] = []
    counts: Counter[str] = Counter()
    now = NOW
    for number in range(4000):
        if len(running) == at_a_time:
            now, _, ended, ticket = heapq.heappop(running)
            ended.health.end(ticket, None, now)
        asked = in_order(targets, 1, now, source.random)[0]
        begun = asked.health.begin(1, now)
        assert isinstance(begun, Ticket)
        heapq.heappush(running, (now + 0.1 * source.lognormvariate(0, 0.5), number, asked, begun))
        counts[asked.name] += 1

    assert [pytest.approx(weight / sum(weights), abs=0.06) for weight in weights] == [
        counts[str(place)] / 4000 for place in range(len(weights))
    ]


def test_slow_target_gets_little() -> None:
    """One of two alike that takes ten times as long is asked now and then, and no more."""
    source = random.Random(42)  # noqa: S311 (as above)
    targets = [target("fast"), target("slow")]
    counts: Counter[str] = Counter()
    now = NOW
    for _ in range(1000):
        asked = in_order(targets, 1, now, source.random)[0]
        seconds = 1.0 if asked.name == "slow" else 0.1
        now += seconds
        call(asked.health, seconds=seconds, now=now)
        counts[asked.name] += 1

    assert 1 <= counts["slow"] <= 100
