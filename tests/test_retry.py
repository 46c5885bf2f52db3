"""The same target is tried again as the table says, as the upstream asks, and as the deadline allows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import TABLE
from gateway.retry import Retry
from providers.base import Embeddings, Fault, FaultKind
from tests.fakes.backends import ProviderMistake, vector
from tests.fakes.clock import FakeTime

Outcome = Embeddings | Fault
SUCCESS = Embeddings([vector(1, 2)])
THROTTLED, OVERLOADED, BROKEN = FaultKind.THROTTLED, FaultKind.OVERLOADED, FaultKind.BROKEN


class Attempts:
    """Attempts with these outcomes, the last one for ever, each of which takes some time."""

    def __init__(self, *outcomes: Outcome, time: FakeTime | None = None, seconds: float = 0.0) -> None:
        self.made = 0
        self._outcomes = deque(outcomes)
        self._time = time or FakeTime()
        self._seconds = seconds

    async def __call__(self) -> Outcome:
        self.made += 1
        self._time.now += self._seconds
        return self._outcomes.popleft() if len(self._outcomes) > 1 else self._outcomes[0]


def retry(time: FakeTime, random: float = 1.0) -> Retry:
    return Retry(time.clock, time.sleep, lambda: random)


def fault(kind: FaultKind, retry_after: float | None = None) -> Fault:
    return Fault(kind, "", retry_after=retry_after)


async def pauses_of(
    *outcomes: Outcome, within: float = 3600.0, seconds: float = 0.0, random: float = 1.0
) -> list[float]:
    """How long was waited between attempts, when all has to end so many seconds from now."""
    time = FakeTime()
    attempts = Attempts(*outcomes, time=time, seconds=seconds)
    await retry(time, random).run(attempts, time.now + within)
    return time.pauses


# ── how often ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_success_is_final() -> None:
    """A success is not tried again."""
    attempts = Attempts(SUCCESS)
    await retry(FakeTime()).run(attempts, latest=2000.0)

    assert 1 == attempts.made


async def test_waiting_is_no_attempt() -> None:
    """Attempts that came to nothing because they were not sent do not use up the others."""
    attempts = Attempts(*[fault(THROTTLED, 1.0)] * 9, SUCCESS)

    assert SUCCESS is await retry(FakeTime()).run(attempts, latest=2000.0, sent=lambda: attempts.made // 5)


async def test_success_is_the_outcome() -> None:
    """The first success is the outcome."""
    attempts = Attempts(fault(OVERLOADED), SUCCESS, fault(BROKEN))

    assert SUCCESS is await retry(FakeTime()).run(attempts, latest=2000.0)


@pytest.mark.parametrize("kind", FaultKind)
async def test_retries_of_the_table(kind: FaultKind) -> None:
    """A fault that stays is tried again as often as the table says."""
    attempts = Attempts(fault(kind))
    await retry(FakeTime()).run(attempts, latest=5000.0)

    assert 1 + TABLE[kind].retries == attempts.made


async def test_last_fault_is_the_outcome() -> None:
    """When nothing helps, the last fault is the outcome."""
    last = fault(OVERLOADED)
    attempts = Attempts(fault(THROTTLED), fault(OVERLOADED), last)

    assert last is await retry(FakeTime()).run(attempts, latest=2000.0)


@pytest.mark.parametrize(
    ("outcomes", "made"),
    [
        ((fault(OVERLOADED), fault(FaultKind.REJECTED)), 2),
        ((fault(OVERLOADED), fault(BROKEN)), 2),
        ((fault(BROKEN), fault(OVERLOADED)), 3),
        ((fault(THROTTLED), fault(FaultKind.TIMEOUT)), 2),
    ],
)
async def test_another_fault(outcomes: Sequence[Outcome], made: int) -> None:
    """Each fault is judged by its own row, all attempts before it counted."""
    attempts = Attempts(*outcomes)
    await retry(FakeTime()).run(attempts, latest=2000.0)

    assert made == attempts.made


# ── how long between ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hint", [0.0, 0.7, 30.0])
@pytest.mark.parametrize("kind", [THROTTLED, OVERLOADED])
async def test_hints(kind: FaultKind, hint: float) -> None:
    """The pause is what the upstream asks for, and up to a tenth of a second more."""
    pauses = [await pauses_of(fault(kind, hint), SUCCESS, random=random) for random in (0.0, 1.0)]

    assert [[hint], [hint + 0.1]] == pauses


async def test_hint_of_each_fault() -> None:
    """Each pause is what the fault before it asks for."""
    pauses = await pauses_of(fault(THROTTLED, 3.0), fault(THROTTLED, 1.0), SUCCESS, random=0.0)

    assert [3.0, 1.0] == pauses


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
async def test_backoff(random: float, factor: float) -> None:
    """Without a hint the second pause is twice the first, and chance shortens both by up to a half."""
    pauses = await pauses_of(fault(OVERLOADED), random=random)

    assert [0.25 * factor, 0.5 * factor] == pauses


# ── until when ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("within", "pauses"),
    [(2.0, []), (2.1, []), (2.2, [2.1]), (4.2, [2.1]), (4.3, [2.1, 2.1])],
)
async def test_no_pause_past_the_end(within: float, pauses: list[float]) -> None:
    """A pause that would not end before the latest moment is not begun."""
    assert pauses == await pauses_of(fault(THROTTLED, 2.0), within=within)


@pytest.mark.parametrize(("seconds", "pauses"), [(0.5, [1.1, 1.1]), (1.0, [1.1]), (3.0, [])])
async def test_attempts_take_time(seconds: float, pauses: list[float]) -> None:
    """The time that attempts take is not there for pauses."""
    assert pauses == await pauses_of(fault(THROTTLED, 1.0), within=4.0, seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "patience", "pauses"),
    [(30.0, 0.5, []), (30.0, 0.6, [0.5]), (0.1, 1.1, [0.5]), (0.1, 1.2, [0.5, 0.5]), (0.7, 1.2, [0.5])],
)
async def test_patience(seconds: float, patience: float, pauses: list[float]) -> None:
    """Patience begins with the first failure, however long that took to come."""
    time = FakeTime()
    attempts = Attempts(fault(THROTTLED, 0.5), time=time, seconds=seconds)
    await retry(time, 0.0).run(attempts, time.now + 3600, patience)

    assert pauses == time.pauses


@pytest.mark.parametrize("latest", [0.0, 1000.0])
async def test_one_attempt_is_always_made(latest: float) -> None:
    """However late it is, one attempt is made."""
    attempts = Attempts(fault(OVERLOADED))
    await retry(FakeTime(1000.0)).run(attempts, latest)

    assert 1 == attempts.made


FAULTS = st.builds(fault, st.sampled_from(FaultKind), st.none() | st.floats(0, 10))


@given(
    st.lists(FAULTS, min_size=1, max_size=5),
    st.floats(0, 20),
    st.floats(0, 3),
    st.floats(0, 1),
)
async def test_pauses_end_in_time(outcomes: list[Fault], within: float, seconds: float, random: float) -> None:
    """Whatever fails, no pause ends after the latest moment."""
    pauses = await pauses_of(*outcomes, within=within, seconds=seconds, random=random)

    assert not pauses or sum(pauses) + seconds * len(pauses) <= within + 1e-9


# ── what is no fault ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [ProviderMistake, asyncio.CancelledError, KeyboardInterrupt])
async def test_exceptions(error: type[BaseException]) -> None:
    """An exception is not tried again."""
    made = 0

    async def attempt() -> Outcome:
        nonlocal made
        made += 1
        raise error

    with pytest.raises(error):
        await retry(FakeTime()).run(attempt, latest=2000.0)

    assert 1 == made


async def test_side_by_side() -> None:
    """Two runs at the same time count their attempts apart."""
    shared = retry(FakeTime())
    attempts = [Attempts(fault(OVERLOADED)), Attempts(fault(BROKEN))]
    await asyncio.gather(*(shared.run(each, latest=2000.0) for each in attempts))

    assert [3, 2] == [each.made for each in attempts]
