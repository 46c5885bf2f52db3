"""Batches run side by side, and what one target could not deliver flows to the next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.allowances import Priority
from gateway.delivery import Delivery, Job
from gateway.dispatch import Dispatcher
from gateway.planning import plan
from gateway.policy import Attempt
from gateway.retry import Retry
from gateway.routing import Target
from providers.base import EmbedCall, Fault, FaultKind, Limits
from tests.fakes import backends
from tests.fakes.backends import (
    DIMENSIONS,
    TOKENS_EACH,
    Answer,
    FakeBackend,
    HangingBackend,
    MeetingBackend,
    ProviderMistake,
    failing,
    failing_on,
    rightly,
    vectors_of,
)
from tests.fakes.clock import FakeTime, settle

GUARD = 60.0
"""Seconds after which a test that hangs fails."""
TEXTS = ["a", "b", "c", "d", "e"]
ONE_EACH = Limits(inputs=1)
NEXT_TARGET = [kind for kind in FaultKind if kind is not FaultKind.REJECTED]


def job(texts: Sequence[str] = TEXTS, **fields: Any) -> Job:
    return Job(plan(list(texts), [1] * len(texts), range(len(texts))), DIMENSIONS, **fields)


def target(name: str, backend: FakeBackend, limits: Limits = Limits(), timeout: float | None = None) -> Target:
    return Target(name, "fake", f"{name}-model", backend, limits, timeout=timeout)


WHOLE_JOB = job()


async def dispatched(
    targets: Sequence[Target], job: Job = WHOLE_JOB, within: float = 3600.0, time: FakeTime | None = None
) -> Delivery:
    time = time or FakeTime()
    dispatcher = Dispatcher(Retry(time.clock, time.sleep, lambda: 0.0), time.clock)
    async with asyncio.timeout(GUARD):
        return await dispatcher.run(job, targets, time.now + within)


# ── batches ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.text(min_size=1), min_size=1, max_size=12, unique=True), st.integers(1, 5))
async def test_vectors_are_in_order(texts: list[str], inputs: int) -> None:
    """Vectors come back in the order of the inputs, into however many batches these were cut."""
    delivery = await dispatched([target("first", FakeBackend(), Limits(inputs=inputs))], job(texts))

    assert vectors_of(texts) == delivery.complete


async def test_batches() -> None:
    """A target is asked in batches of its own limits."""
    backend = FakeBackend()
    await dispatched([target("first", backend, Limits(inputs=2))])

    assert [["a", "b"], ["c", "d"], ["e"]] == backend.asked


async def test_bodies() -> None:
    """Batches are cut by the bytes of a body, the client's and the configuration's fields among them."""
    backend = FakeBackend()
    limits = Limits(request_bytes=8_000)
    heavy = Target("first", "fake", "m", backend, limits, extra_body={"note": "x" * 3_000})
    texts = ["é" * 300, "\n" * 300, "c" * 300, "d" * 300]  # two bytes each, an escape each, and one
    await dispatched([heavy], job(texts, extra={"more": "x" * 2_000}))

    assert [texts[:2], texts[2:]] == backend.asked


async def test_sizes() -> None:
    """Batches are cut by the sizes of the inputs."""
    backend = FakeBackend()
    sized = Job(plan(["a", "b", "c"], [5, 5, 1], range(3)), DIMENSIONS)
    await dispatched([target("first", backend, Limits(request_tokens=9))], sized)

    assert [["a"], ["b", "c"]] == backend.asked


@pytest.mark.parametrize(
    ("counts_alike", "expected"), [(True, [["aaaa", "bbbb", "cccc"]]), (False, [["aaaa"], ["bbbb"], ["cccc"]])]
)
async def test_sizes_of_another_tokenizer(counts_alike: bool, expected: list[list[str]]) -> None:
    """A target that counts in tokens of its own is asked in batches by bytes, of which no token has less than one."""
    backend = FakeBackend()
    own = Target("first", "fake", "m", backend, Limits(request_tokens=9), counts_alike=counts_alike)
    await dispatched([own], job(["aaaa", "bbbb", "cccc"]))

    assert expected == backend.asked


async def test_each_target_by_its_own_count() -> None:
    """What one target could not deliver is packed anew, as the next one counts."""
    first, second = FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend()
    await dispatched(
        [
            Target("first", "fake", "m", first, Limits(request_tokens=9)),
            Target("second", "fake", "m", second, Limits(request_tokens=9), counts_alike=False),
        ],
        job(["aaaa", "bbbb"]),
    )

    assert ([["aaaa", "bbbb"]], [["aaaa"], ["bbbb"]]) == (first.asked, second.asked)


@pytest.mark.parametrize(("takes_role", "expected"), [(True, "query"), (False, None)])
async def test_role(takes_role: bool, expected: str | None) -> None:
    """A target is told the input type, unless it is one that is not."""
    backend = FakeBackend()
    await dispatched([Target("first", "fake", "m", backend, takes_role=takes_role)], job(["a"], input_type="query"))

    assert [expected] == [call.input_type for call in backend.calls]


async def test_side_by_side() -> None:
    """All batches are asked at the same time."""
    delivery = await dispatched([target("first", MeetingBackend(calls=5), ONE_EACH)])

    assert vectors_of(TEXTS) == delivery.complete


async def test_call() -> None:
    """A call holds all that the job says, and the target's own name of the model."""
    backend = FakeBackend()
    whole = job(["a"], sent_dimensions=DIMENSIONS, input_type="query", user="u-1", extra={"seed": 7})
    await dispatched([target("first", backend)], whole)

    assert [EmbedCall("first-model", ["a"], DIMENSIONS, "query", "u-1", {"seed": 7})] == backend.calls


# ── the next target ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_target_is_enough() -> None:
    """No other target is asked when nothing is missing."""
    second = FakeBackend()
    await dispatched([target("first", FakeBackend()), target("second", second)])

    assert [] == second.asked


@pytest.mark.parametrize("kind", NEXT_TARGET)
async def test_next_target(kind: FaultKind) -> None:
    """After every fault but a rejection the next target answers."""
    delivery = await dispatched([target("first", FakeBackend(failing(kind))), target("second", FakeBackend())])

    assert vectors_of(TEXTS) == delivery.complete


async def test_only_what_is_missing() -> None:
    """The next target is asked for what is missing alone."""
    first, second = FakeBackend(failing_on("b", FaultKind.TIMEOUT)), FakeBackend()
    await dispatched([target("first", first, Limits(inputs=2)), target("second", second)])

    assert [["a", "b"]] == second.asked


async def test_missing_is_packed_anew() -> None:
    """What is missing is cut by the next target's own limits."""
    first, second = FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend()
    await dispatched([target("first", first, Limits(inputs=4)), target("second", second, Limits(inputs=3))])

    assert [["a", "b", "c"], ["d", "e"]] == second.asked


async def test_parts_of_several_targets() -> None:
    """Vectors of several targets stand in the order of the inputs."""
    delivery = await dispatched(
        [
            target("first", FakeBackend(failing_on("b", FaultKind.TIMEOUT)), ONE_EACH),
            target("second", FakeBackend()),
        ]
    )

    assert (vectors_of(TEXTS), ["first", "second"]) == (delivery.complete, delivery.targets)


async def test_what_was_delivered_is_kept() -> None:
    """When no target delivers the rest, what was delivered is still there."""
    backend = FakeBackend(failing_on("b", FaultKind.TIMEOUT))
    delivery = await dispatched([target(name, backend, ONE_EACH) for name in ("first", "second")])

    assert ([1], None) == (delivery.missing, delivery.complete)


async def test_rejection_stops() -> None:
    """After a rejection no other target is asked."""
    second = FakeBackend()
    first = FakeBackend(failing_on("b", FaultKind.REJECTED))
    await dispatched([target("first", first, ONE_EACH), target("second", second)])

    assert [] == second.asked


async def test_rejection_among_other_faults() -> None:
    """One rejection stops, whatever happened to the other batches."""
    second = FakeBackend()
    first = FakeBackend(failing(FaultKind.TIMEOUT), failing(FaultKind.REJECTED), failing(FaultKind.TIMEOUT))
    await dispatched([target("first", first, ONE_EACH), target("second", second)])

    assert [] == second.asked


async def test_rejection_keeps_the_rest() -> None:
    """What other batches delivered is there after a rejection."""
    first = FakeBackend(failing_on("b", FaultKind.REJECTED))
    delivery = await dispatched([target("first", first, ONE_EACH)])

    assert [1] == delivery.missing


async def test_attempts() -> None:
    """Every failed batch is remembered with its target and its positions, in order."""
    delivery = await dispatched(
        [
            target("first", FakeBackend(failing_on("b", FaultKind.TIMEOUT)), Limits(inputs=2)),
            target("second", FakeBackend(failing(FaultKind.EXHAUSTED)), ONE_EACH),
            target("third", FakeBackend()),
        ]
    )

    assert [
        ("first", FaultKind.TIMEOUT, [0, 1]),
        ("second", FaultKind.EXHAUSTED, [0]),
        ("second", FaultKind.EXHAUSTED, [1]),
    ] == [(attempt.target, attempt.fault.kind, attempt.items) for attempt in delivery.attempts]


async def test_targets_that_delivered() -> None:
    """A target is named once, and only if it delivered something."""
    delivery = await dispatched(
        [
            target("first", FakeBackend(failing(FaultKind.TIMEOUT))),
            target("second", FakeBackend(), ONE_EACH),
        ]
    )

    assert ["second"] == delivery.targets


# ── the contract ──────────────────────────────────────────────────────────────────────────────────────────────────

BREACHES: dict[str, Answer] = {
    "too few": backends.one_too_few,
    "zeros": backends.always(*[0.0] * DIMENSIONS),
    "infinity": backends.always(float("inf"), *[1.0] * (DIMENSIONS - 1)),
    "length": backends.always(1.0, 2.0),
}


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES)
async def test_breach_goes_to_the_next(breach: Answer) -> None:
    """After a breach of the contract the next target answers."""
    delivery = await dispatched([target("first", FakeBackend(breach)), target("second", FakeBackend())])

    assert (vectors_of(TEXTS), ["second"]) == (delivery.complete, delivery.targets)


async def test_breach_is_remembered() -> None:
    """A breach is a fault like any other."""
    delivery = await dispatched([target("first", FakeBackend(backends.one_too_few))])

    assert [
        Attempt("first", Fault(FaultKind.MALFORMED, "4 vectors came back for 5 inputs"), [0, 1, 2, 3, 4])
    ] == delivery.attempts


async def test_breach_after_the_cut() -> None:
    """A vector that would be zero once it is cut is a breach."""
    leading_zeros = FakeBackend(backends.always(0.0, 0.0, *[1.0] * (DIMENSIONS - 2)))
    delivery = await dispatched([target("first", leading_zeros)], job(kept=2))

    assert [0, 1, 2, 3, 4] == delivery.missing


# ── halving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def spoiled_by(bad: str, fault: Fault | None = None) -> Answer:
    """An answer that is NaN throughout, or a refusal, as soon as a call holds this input."""
    nothing = backends.always(*[float("nan")] * DIMENSIONS)
    return lambda call: rightly(call) if bad not in call.inputs else fault or nothing(call)


async def test_spoiled_item() -> None:
    """An item that spoils its batch is found and named, and the good ones are kept for the next target."""
    second = FakeBackend(spoiled_by("d"))
    delivery = await dispatched([target("first", FakeBackend(spoiled_by("d"))), target("second", second)])

    assert ([["d"]], [3], ["first"]) == (second.asked, delivery.missing, delivery.targets)
    assert [("first", 3), ("second", 3)] == [(attempt.target, attempt.item) for attempt in delivery.attempts]


async def test_next_target_mends() -> None:
    """The next target is asked for the spoiled item alone."""
    second = FakeBackend()
    delivery = await dispatched([target("first", FakeBackend(spoiled_by("d"))), target("second", second)])

    assert ([["d"]], vectors_of(TEXTS)) == (second.asked, delivery.complete)


async def test_refused_for_its_size() -> None:
    """An item that is refused alone for its size is a rejection that names it, after which no target is asked."""
    too_large = Fault(FaultKind.REJECTED, "too large", 413, divisible=True)
    second = FakeBackend()
    delivery = await dispatched([target("first", FakeBackend(spoiled_by("b", too_large))), target("second", second)])

    assert ([1], []) == (delivery.missing, second.asked)
    assert [(1, FaultKind.REJECTED)] == [(attempt.item, attempt.fault.kind) for attempt in delivery.attempts]


async def test_one_bad_item_among_many() -> None:
    """A quiet gateway's budget of further calls is enough to find one bad item among 2048."""
    texts = [str(number) for number in range(2048)]
    delivery = await dispatched([target("first", FakeBackend(spoiled_by("1234")))], job(texts))

    assert [1234] == delivery.missing
    assert [1234] == [attempt.item for attempt in delivery.attempts]


async def test_halving_is_bounded() -> None:
    """When the budget is spent nothing is halved, and the fault names no item."""
    too_large = Fault(FaultKind.REJECTED, "too large", 413, divisible=True)
    only = target("first", backend := FakeBackend(spoiled_by("d", too_large)))
    while only.health.retries.take(1000.0):
        pass
    delivery = await dispatched([only])

    assert ([TEXTS], [None]) == (backend.asked, [attempt.item for attempt in delivery.attempts])


async def test_resting_target_takes_no_time() -> None:
    """A target that is left alone gets no share of the time."""
    time = FakeTime(now=1000.0)
    first, resting = FakeBackend(), target("resting", FakeBackend())
    resting.health.drained = True
    await dispatched([target("first", first), resting], within=12.0, time=time)

    assert [1012.0] == first.deadlines


async def test_too_large_for_one_target() -> None:
    """A batch that is given up as too large, while no item of it is, goes to the next target."""
    texts = [str(number) for number in range(64)]
    too_large = Fault(FaultKind.REJECTED, "too large", 413, divisible=True)
    first = FakeBackend(lambda call: too_large if len(call.inputs) > 1 else rightly(call))
    delivery = await dispatched([target("first", first), target("second", FakeBackend())], job(texts))

    assert (vectors_of(texts), ["first", "second"]) == (delivery.complete, delivery.targets)


async def test_item_of_the_request() -> None:
    """Attempts name items of the request, where equal ones were sent once."""
    first = FakeBackend(failing(FaultKind.REJECTED, item=1))
    delivery = await dispatched([target("first", first)], Job(plan("aabb", [1] * 4, range(4)), DIMENSIONS))

    assert [([0, 2], 2)] == [(attempt.items, attempt.item) for attempt in delivery.attempts]


@pytest.mark.parametrize("answer", [backends.one_too_few, failing(FaultKind.REJECTED), failing(FaultKind.BROKEN)])
async def test_not_halved(answer: Answer) -> None:
    """Wrong numbers of vectors, plain rejections and failures are not halved."""
    backend = FakeBackend(answer)
    await dispatched([target("first", backend)])

    assert {len(TEXTS)} == {len(inputs) for inputs in backend.asked}


async def test_pieces_are_tried_again() -> None:
    """A half that is throttled is tried again like any call."""
    too_large = failing(FaultKind.REJECTED, divisible=True)
    backend = FakeBackend(too_large, failing(FaultKind.THROTTLED, retry_after=0.1), rightly)
    delivery = await dispatched([target("first", backend)])

    assert (vectors_of(TEXTS), TOKENS_EACH * len(TEXTS)) == (delivery.complete, delivery.tokens)


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tokens_are_summed() -> None:
    """Tokens are the sum of what all batches were billed, at whichever target."""
    delivery = await dispatched(
        [
            target("first", FakeBackend(failing_on("b", FaultKind.TIMEOUT)), ONE_EACH),
            target("second", FakeBackend()),
        ]
    )

    assert TOKENS_EACH * len(TEXTS) == delivery.tokens


@pytest.mark.parametrize(
    "answers",
    [
        (backends.without_usage, rightly, rightly),
        (rightly, backends.without_usage, rightly),
        (rightly, rightly, backends.without_usage),
    ],
    ids=["first", "second", "third"],
)
async def test_tokens_not_said(answers: Sequence[Answer]) -> None:
    """Tokens are unknown as soon as one batch does not say."""
    delivery = await dispatched([target("first", FakeBackend(*answers), ONE_EACH)], job("abc"))

    assert delivery.tokens is None


async def test_tokens_not_said_elsewhere() -> None:
    """Tokens stay unknown when the next target says its own."""
    first = FakeBackend(backends.without_usage, failing(FaultKind.TIMEOUT))
    delivery = await dispatched([target("first", first, ONE_EACH), target("second", FakeBackend())], job("ab"))

    assert delivery.tokens is None


# ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("within", "timeouts", "expected"),
    [
        (12.0, [None], [12.0]),
        (12.0, [None, None, None], [4.0, 6.0, 12.0]),
        (300.0, [None, None], [20.0, 20.0]),
        (12.0, [2.0, None], [2.0, 12.0]),
        (12.0, [30.0, None], [12.0, 12.0]),
        (300.0, [None, 30.0], [20.0, 30.0]),
    ],
)
async def test_time_of_a_try(within: float, timeouts: Sequence[float | None], expected: Sequence[float]) -> None:
    """A try may take its target's own time, or else a share of what remains, and never more than remains."""
    time = FakeTime(now=1000.0)
    asked = [FakeBackend(failing(FaultKind.TIMEOUT)) for _ in timeouts]
    targets = [target(f"t{n}", asked[n], timeout=timeout) for n, timeout in enumerate(timeouts)]
    await dispatched(targets, within=within, time=time)

    assert [[1000.0 + seconds] for seconds in expected] == [backend.deadlines for backend in asked]


class SlowBackend(FakeBackend):
    """Takes all the time that it is given, and then fails."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__(failing(FaultKind.TIMEOUT))
        self._time = time

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Any:
        self._time.now = deadline
        return await super().embed(call, deadline)


async def test_hung_targets_share_the_time() -> None:
    """Targets that hang leave an equal share to each one after them."""
    time = FakeTime(now=1000.0)
    slow = [SlowBackend(time) for _ in range(3)]
    await dispatched([target(str(n), backend) for n, backend in enumerate(slow)], within=12.0, time=time)

    assert [[1004.0], [1008.0], [1012.0]] == [backend.deadlines for backend in slow]


@pytest.mark.parametrize(
    ("hint", "others", "pauses"),
    [(0.5, 1, [0.5]), (1.5, 1, []), (1.5, 0, [1.5, 1.5]), (30.0, 0, [30.0, 30.0]), (90.0, 0, [])],
)
async def test_pauses(hint: float, others: int, pauses: list[float]) -> None:
    """While another target could be asked a long pause is not worth it; without one, the deadline decides."""
    time = FakeTime()
    throttled = FakeBackend(failing(FaultKind.THROTTLED, retry_after=hint))
    targets = [target("first", throttled), *(target(str(n), FakeBackend()) for n in range(others))]
    await dispatched(targets, within=70.0, time=time)

    assert pauses == time.pauses


async def test_slow_first_answer() -> None:
    """However long the first answer took, a short pause after it is worth it."""
    time = FakeTime()

    class Slow(FakeBackend):
        async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Any:
            time.now += 5.0
            return await super().embed(call, deadline)

    first = Slow(failing(FaultKind.THROTTLED, retry_after=0.5), rightly)
    delivery = await dispatched([target("first", first), target("second", FakeBackend())], within=70.0, time=time)

    assert ([0.5], ["first"]) == (time.pauses, delivery.targets)


async def test_every_try_has_its_own_time() -> None:
    """Trying the same target again has time of its own."""
    broken = FakeBackend(failing(FaultKind.THROTTLED, retry_after=3.0), rightly)
    await dispatched([target("first", broken, timeout=10.0)], time=FakeTime(now=1000.0))

    assert [1010.0, 1013.0] == broken.deadlines


async def test_success_at_the_second_try() -> None:
    """A fault that the second try mends leaves no trace."""
    delivery = await dispatched([target("first", FakeBackend(failing(FaultKind.BROKEN), rightly))])

    assert (vectors_of(TEXTS), []) == (delivery.complete, delivery.attempts)


# ── exceptions ────────────────────────────────────────────────────────────────────────────────────────────────────


def other_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_exception_comes_out() -> None:
    """An exception in one batch is raised as it is, so that a log shows its place."""
    with pytest.raises(ProviderMistake) as caught:
        await dispatched([target("first", FakeBackend(rightly, backends.raising), ONE_EACH)])

    assert "raising" == caught.traceback[-1].name


async def test_exception_cancels_the_others() -> None:
    """An exception in one batch cancels those that still run."""
    backend = HangingBackend(bad="c", calls=5)
    with pytest.raises(ProviderMistake):
        await dispatched([target("first", backend, ONE_EACH)])

    assert [["a"], ["b"], ["d"], ["e"]] == sorted(backend.cancelled)


async def test_exception_leaves_no_task() -> None:
    """After an exception no batch is left running."""
    with pytest.raises(ProviderMistake):
        await dispatched([target("first", HangingBackend(bad="c", calls=5), ONE_EACH)])

    assert [] == other_tasks()


async def test_cancelling_cancels_all() -> None:
    """When the client hangs up, every batch is cancelled."""
    backend = HangingBackend(bad="none of these", calls=5)
    running = asyncio.create_task(dispatched([target("first", backend, ONE_EACH)]))
    await settle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (5, []) == (len(backend.cancelled), other_tasks())


def test_texts_are_not_shown() -> None:
    """Neither a job nor a delivery shows a text, a user or a vector."""
    shown = repr(job(["secret"], user="secret", extra={"note": "secret"})) + repr(Delivery([b"secret"]))

    assert "secret" not in shown
