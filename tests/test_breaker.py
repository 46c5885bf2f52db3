"""A target that keeps failing is left alone for a while, and comes back by one trial."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.breaker import CONSECUTIVE, FIRST_OPEN, JITTER, LAST_RESORT, LONGEST_OPEN, Breaker

NOW = 1000.0


def breaker(random: float = 0.0) -> Breaker:
    return Breaker(lambda: random)


def begun(breaker: Breaker, now: float = NOW) -> int:
    ticket = breaker.begin(now)
    assert ticket is not None
    return ticket


def fail(breaker: Breaker, times: int = 1, now: float = NOW) -> Breaker:
    for _ in range(times):
        breaker.failed(begun(breaker, now), now)
    return breaker


def succeed(breaker: Breaker, times: int = 1, now: float = NOW) -> Breaker:
    for _ in range(times):
        breaker.succeeded(begun(breaker, now), now)
    return breaker


# ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_consecutive_failures() -> None:
    """The fifth failure in a row opens it, not the fourth."""
    assert ["closed", "open"] == [fail(breaker(), times).state(NOW) for times in (4, 5)]


def test_success_between() -> None:
    """A success begins the row anew."""
    assert "closed" == fail(succeed(fail(breaker(), 4)), 4).state(NOW)


def half_failing(calls: int, each: float = 0.0) -> Breaker:
    """Every second call failed, the last one too; so many seconds between two calls."""
    made = breaker()
    for number in range(calls):
        (fail if number % 2 else succeed)(made, now=NOW + number * each)
    return made


@pytest.mark.parametrize(("calls", "state"), [(18, "closed"), (20, "open")])
def test_ratio(calls: int, state: str) -> None:
    """So does the failure of half the calls, once there are twenty."""
    assert state == half_failing(calls).state(NOW)


def test_ratio_of_recent_calls() -> None:
    """Only the last half minute counts."""
    assert "closed" == half_failing(100, each=2.0).state(NOW + 200)


def test_fewer_than_half() -> None:
    """A third of failures is what retries are for."""
    made = breaker()
    for _ in range(100):
        fail(succeed(made, 2))

    assert "closed" == made.state(NOW)


# ── open, and half-open ───────────────────────────────────────────────────────────────────────────────────────────


def test_open() -> None:
    """While it is open no call goes, and it says how long that will be."""
    made = fail(breaker(), 5)

    assert (None, 3.0) == (made.begin(NOW + 2), made.wait(NOW + 2))


def test_one_trial() -> None:
    """Then exactly one call goes."""
    made = fail(breaker(), 5)

    assert [False, True] == [made.begin(NOW + FIRST_OPEN) is None for _ in range(2)]


def test_good_trial() -> None:
    """A trial that succeeds closes it."""
    made = succeed(fail(breaker(), 5), now=NOW + FIRST_OPEN)

    assert ("closed", 0) == (made.state(NOW + FIRST_OPEN), made.consecutive)


def test_trial_that_tells_nothing() -> None:
    """A trial that is cut off leaves its place to the next one."""
    made, now = fail(breaker(), 5), NOW + FIRST_OPEN
    made.abandoned(begun(made, now))

    assert ("half-open", 0.0) == (made.state(now), made.wait(now))


@pytest.mark.parametrize(("random", "factor"), [(0.0, 1.0), (1.0, 1 - JITTER)])
def test_longer_and_longer(random: float, factor: float) -> None:
    """Each trial that fails doubles the open time, up to a bound; chance takes a part of it off."""
    made, now, waits = fail(breaker(random), 5), NOW, []
    for _ in range(7):
        waits.append(made.wait(now))
        now += waits[-1]
        fail(made, now=now)

    assert [pytest.approx(factor * seconds) for seconds in (5, 10, 20, 40, 80, 120, 120)] == waits


def test_late_outcomes() -> None:
    """What was begun before it opened neither closes it nor ends the trial."""
    made = breaker()
    late = [begun(made) for _ in range(3)]
    fail(made, 5)
    made.succeeded(late[0], NOW + 1)
    trial = begun(made, NOW + FIRST_OPEN)
    made.failed(late[1], NOW + FIRST_OPEN)
    made.abandoned(late[2])

    assert (None, "half-open") == (made.begin(NOW + FIRST_OPEN), made.state(NOW + FIRST_OPEN))
    made.succeeded(trial, NOW + 6)
    assert "closed" == made.state(NOW + 6)


@given(st.lists(st.sampled_from(["good", "nothing"])))
def test_nothing_opens_it_but_failures(outcomes: list[str]) -> None:
    """What is right, or says nothing, never opens it."""
    made = fail(breaker(), 4)
    for outcome in ["good", *outcomes]:
        ticket = begun(made)
        made.succeeded(ticket, NOW) if outcome == "good" else made.abandoned(ticket)

    assert "closed" == made.state(NOW)


# ── the last resort ───────────────────────────────────────────────────────────────────────────────────────────────


def last_resort(breaker: Breaker, outcomes: str, now: float = NOW) -> Breaker:
    """Calls that go although it is open: `+` succeeds, `-` fails."""
    for outcome in outcomes:
        (breaker.succeeded if outcome == "+" else breaker.failed)(LAST_RESORT, now)
    return breaker


@pytest.mark.parametrize(
    ("life", "well"),
    [
        (half_failing(20), True),
        (fail(breaker(), 5), False),
        (fail(succeed(breaker(), 15), 5), True),
        (breaker(), False),
    ],
    ids=["now and then", "never", "until now", "unknown"],
)
def test_partly_well(life: Breaker, well: bool) -> None:
    """A target that answers now and then is told from one that is dead, even if it has just died."""
    assert well == life.partly_well


def test_dies() -> None:
    """One that answers no more is found out within its last calls, and is asked no more."""
    made = fail(succeed(breaker(), 15), 5)
    wells = [last_resort(made, "-").partly_well for _ in range(12)]

    assert (wells, made.state(NOW)) == ([True] * 11 + [False], "open")


def test_remembered_after_a_good_trial() -> None:
    """That a target fails now and then is not forgotten with a trial that went well."""
    made = succeed(half_failing(20), now=NOW + FIRST_OPEN)

    assert fail(made, 5, now=NOW + FIRST_OPEN).partly_well


def test_last_resort_changes_no_state() -> None:
    """Successes do not close it: that is the trial's to do, which is not disturbed by a failure either."""
    made = half_failing(20)
    open_still = last_resort(made, "+" * 20).state(NOW)
    trial = begun(made, NOW + FIRST_OPEN)
    last_resort(made, "-" * 4, NOW + FIRST_OPEN)
    made.succeeded(trial, NOW + FIRST_OPEN)

    assert ("open", "closed") == (open_still, made.state(NOW + FIRST_OPEN))


class Life(RuleBasedStateMachine):
    """Any number of calls begin and end in any order, at any time."""

    @initialize(random=st.floats(0, 1))
    def start(self, random: float) -> None:
        self.breaker = breaker(random)
        self.now = NOW
        self.running: list[tuple[int, str]] = []
        self.failures_in_a_row = 0

    @rule(seconds=st.floats(0, 150))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def begin(self) -> None:
        wait, state = self.breaker.wait(self.now), self.breaker.state(self.now)
        ticket = self.breaker.begin(self.now)

        assert (wait > 0) == (ticket is None)
        assert state != "open" or ticket is None
        if ticket is not None:
            self.running.append((ticket, state))

    @rule(which=st.integers(0, 1000), outcome=st.sampled_from(["good", "bad", "bad", "bad", "nothing"]))
    def end(self, which: int, outcome: str) -> None:
        if not self.running:
            return
        ticket, begun_in = self.running.pop(which % len(self.running))
        before, trials = self.breaker.state(self.now), self.trials()
        if outcome == "good":
            self.breaker.succeeded(ticket, self.now)
        elif outcome == "bad":
            self.breaker.failed(ticket, self.now)
        else:
            self.breaker.abandoned(ticket)
        after = self.breaker.state(self.now)
        if before != after:
            assert (before, outcome, after) in {
                ("closed", "bad", "open"),
                ("half-open", "bad", "open"),
                ("half-open", "good", "closed"),
            }
            assert before == "closed" or begun_in == "half-open"
        assert before != "open" or trials == self.trials()

    def trials(self) -> int:
        return sum(begun_in == "half-open" for _, begun_in in self.running)

    @invariant()
    def waits_are_bounded(self) -> None:
        if hasattr(self, "breaker"):
            assert 0 <= self.breaker.wait(self.now) <= LONGEST_OPEN

    @invariant()
    def one_trial_at_most(self) -> None:
        if hasattr(self, "breaker"):
            assert self.trials() <= 1

    @invariant()
    def closed_means_few_failures(self) -> None:
        if hasattr(self, "breaker") and self.breaker.state(self.now) == "closed":
            assert self.breaker.consecutive < CONSECUTIVE


TestLife = Life.TestCase
