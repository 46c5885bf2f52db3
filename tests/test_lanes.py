"""Two lanes to so many slots: interactive calls first, bulk never starved, and no slot lost."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.allowances import Priority
from gateway.lanes import BULK_ITEMS, BULK_TURN, Lanes, Pace, Turns, lane_of

LANES: tuple[Priority, ...] = get_args(Priority)
lanes = st.sampled_from(LANES)


@pytest.mark.parametrize(
    ("allowed", "wish", "items", "expected"),
    [
        ("interactive", None, BULK_ITEMS, "interactive"),
        ("interactive", None, BULK_ITEMS + 1, "bulk"),
        ("interactive", "interactive", BULK_ITEMS + 1, "bulk"),
        ("interactive", "bulk", 1, "bulk"),
        ("bulk", None, 1, "bulk"),
        ("bulk", "interactive", 1, "bulk"),
    ],
)
def test_lane(allowed: Priority, wish: Priority | None, items: int, expected: Priority) -> None:
    """A wish may lower what the key allows and never raise it, and many inputs are bulk whoever sends them."""
    assert expected == lane_of(allowed, wish, items)


def test_turns() -> None:
    """While both lanes wait, each fifth turn is bulk's."""
    turns = Turns()
    taken = [turns.take(interactive=True, bulk=True) for _ in range(3 * BULK_TURN)]

    assert ["interactive", "interactive", "interactive", "interactive", "bulk"] * 3 == taken


@pytest.mark.parametrize(("interactive", "bulk", "expected"), [(1, 0, "interactive"), (0, 1, "bulk"), (0, 0, None)])
def test_alone(interactive: bool, bulk: bool, expected: Priority | None) -> None:
    """A lane that waits alone has every turn."""
    turns = Turns()

    assert [expected] * 9 == [turns.take(interactive=bool(interactive), bulk=bool(bulk)) for _ in range(9)]


@pytest.mark.parametrize(("limit", "bulk"), [(1, 1), (2, 1), (4, 3), (5, 4), (10, 8), (64, 52)])
def test_reserved(limit: int, bulk: int) -> None:
    """A fifth of the slots, at least one of several, is kept for interactive calls, which may have all."""
    assert {"interactive": limit, "bulk": bulk} == Lanes[int](limit).most


@given(st.integers(1, 12), lanes, st.integers(0, 30), st.integers(0, 30))
def test_ahead(limit: int, lane: Priority, interactive: int, bulk: int) -> None:
    """Those said to be ahead of a newcomer are those who are served before it, but for one turn of the other lane."""
    queue: Lanes[str] = Lanes(1)
    assert queue.take("interactive")
    for each, number in (("interactive", interactive), ("bulk", bulk)):
        for place in range(number):
            queue.join(f"{each} {place}", each)  # type: ignore[arg-type]
    ahead = queue.ahead(lane)
    queue.join("newcomer", lane)
    served = {"interactive": 0, "bulk": 0}
    while True:
        queue.release("interactive")
        found = queue.next()
        assert found is not None
        if found[0] == "newcomer":
            break
        served[found[1]] += 1
        queue.running = {"interactive": 1, "bulk": 0}

    other: Priority = "bulk" if lane == "interactive" else "interactive"
    assert served[lane] == ahead[lane]
    assert abs(served[other] - ahead[other]) <= (1 if other == "bulk" else BULK_TURN - 1)


class Crowd(RuleBasedStateMachine):
    """Whoever comes, gives up and finishes when."""

    @initialize(limit=st.integers(1, 7))
    def open(self, limit: int) -> None:
        self.lanes: Lanes[int] = Lanes(limit)
        self.limit = limit
        self.waiting: dict[Priority, list[int]] = {"interactive": [], "bulk": []}
        self.running: list[Priority] = []
        self.names = iter(range(10**6))
        self.passed = 0
        """How often interactive calls went before a bulk call that could have run."""

    def may_run(self, lane: Priority) -> bool:
        return len(self.running) < self.limit and self.running.count(lane) < self.lanes.most[lane]

    @rule(lane=lanes)
    def comes(self, lane: Priority) -> None:
        """Who finds a slot that nobody waits for takes it."""
        could = self.may_run(lane) and not self.waiting[lane]
        took = self.lanes.take(lane)
        assert could == took
        if took:
            self.running.append(lane)
        else:
            name = next(self.names)
            self.lanes.join(name, lane)
            self.waiting[lane].append(name)

    @precondition(lambda self: any(self.waiting.values()))
    @rule(data=st.data())
    def gives_up(self, data: st.DataObject) -> None:
        lane, name = data.draw(st.sampled_from([(lane, name) for lane in LANES for name in self.waiting[lane]]))
        self.lanes.leave(name, lane)
        self.lanes.leave(name, lane)  # saying so twice does nothing more
        self.waiting[lane].remove(name)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finishes(self, data: st.DataObject) -> None:
        """The slot goes to the first of a lane; a bulk call that could run waits for four turns of the others."""
        lane = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(lane)
        self.lanes.release(lane)
        bulk_could = bool(self.waiting["bulk"]) and self.may_run("bulk")
        found = self.lanes.next()
        if found is None:
            return
        name, lane = found
        assert self.waiting[lane].pop(0) == name
        self.running.append(lane)
        self.passed = 0 if lane == "bulk" else self.passed + bulk_could
        assert self.passed < BULK_TURN

    @invariant()
    def bounds(self) -> None:
        """Never more run than may, and what is told is so."""
        running = {lane: self.running.count(lane) for lane in LANES}
        assert running == self.lanes.running
        assert all(running[lane] <= self.lanes.most[lane] for lane in LANES)
        assert len(self.running) <= self.limit
        assert {lane: len(self.waiting[lane]) for lane in LANES} == {lane: self.lanes.waiting(lane) for lane in LANES}

    @invariant()
    def no_slot_is_lost(self) -> None:
        """Nobody waits who could run."""
        assert not any(self.waiting[lane] and self.may_run(lane) for lane in LANES)


TestCrowd = Crowd.TestCase


# ── the pace ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_pace_yet() -> None:
    """Before anything has run, calls are taken to need no time."""
    assert 0.0 == Pace().held(5.0)


def test_pace_of_those_that_ended() -> None:
    """The first call tells the pace, and later ones change it by a fifth."""
    pace = Pace()
    for began, ended in ((0.0, 1.0), (5.0, 8.0)):
        pace.begin(began)
        pace.end(began, ended)

    assert pytest.approx(1.0 + 0.2 * 2.0) == pace.held(100.0)


def test_pace_of_a_halt() -> None:
    """Calls that run longer than the last ones took are the pace, as long as they run."""
    pace = Pace()
    pace.begin(0.0)
    pace.end(0.0, 1.0)
    pace.begin(10.0)
    pace.begin(12.0)
    halted = pace.held(21.0)
    for began in (10.0, 12.0):
        pace.end(began, began + 1.0)

    assert [10.0, 1.0] == pytest.approx([halted, pace.held(50.0)])


def test_needed() -> None:
    """Calls that differ from one another need more than their mean, and calls that are alike do not."""
    alike, different = Pace(), Pace()
    for place in range(100):
        for pace, seconds in ((alike, 2.0), (different, 1.0 if place % 2 else 3.0)):
            pace.begin(0.0)
            pace.end(0.0, seconds)

    assert 2.0 == pytest.approx(alike.needed(0.0))
    assert 3.0 < different.needed(0.0) < 5.0


def test_a_slow_call_is_forgotten() -> None:
    """A slow call is forgotten after some that are fast."""
    pace = Pace()
    for seconds in (30.0, *[0.1] * 25):
        pace.begin(0.0)
        pace.end(0.0, seconds)

    assert pace.held(0.0) < 0.25
