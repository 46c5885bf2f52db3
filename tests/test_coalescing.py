"""Small calls that meet go as one, and each gets what it had got alone. Time is the event loop's, and jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import away, coalescing
from gateway.allowances import Priority
from gateway.away import Away
from gateway.breaker import CONSECUTIVE
from gateway.calls import Calls
from gateway.coalescing import LONGEST_MOMENT, MOMENT, Coalescer
from gateway.delivery import Answer, Job
from gateway.health import Health
from gateway.metrics import Metrics
from gateway.planning import plan
from gateway.retry import Retry
from gateway.routing import Load, Target
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Limits
from tests.fakes import virtual_time
from tests.fakes.backends import DIMENSIONS, ProviderMistake, raising, vector, vectors_of

LATENCY = 0.05
TOKENS = 7
"""The upstream bills so many for each character, and three for each call."""
REFUSED, SPOILT, FATAL = "refused", "spoilt", "fatal"
"""Texts that make the upstream refuse the call, give no numbers for them, and fail inside."""


def answer(call: EmbedCall) -> Embeddings | Fault:
    if REFUSED in call.inputs:
        return Fault(FaultKind.REJECTED, "no", 400)
    if FATAL in call.inputs:
        return Fault(FaultKind.BROKEN, "", 500)
    vectors = vectors_of(call.inputs)
    spoilt = [
        vector(*[float("nan")] * DIMENSIONS) if text == SPOILT else own
        for text, own in zip(call.inputs, vectors, strict=True)
    ]
    return Embeddings(spoilt, prompt_tokens=3 + TOKENS * sum(map(len, call.inputs)))


@dataclass
class Upstream:
    """Answers after a while; `seconds` and `answer` may be changed, and `reported` is what it has billed."""

    answer: Callable[[EmbedCall], Embeddings | Fault] = answer
    seconds: float = LATENCY
    slots: int = 1000

    def __post_init__(self) -> None:
        self.calls: list[EmbedCall] = []
        self.began: list[float] = []
        self.cancelled = 0
        self.reported = 0
        self.running = 0
        self.task: asyncio.Task[Any] | None = None

    @property
    def load(self) -> Load:
        return Load(0, self.running, self.slots)

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        loop = asyncio.get_running_loop()
        self.calls.append(call)
        self.began.append(loop.time())
        self.task = asyncio.current_task()
        self.running += 1
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.sleep(self.seconds)
        except TimeoutError:
            return Fault(FaultKind.TIMEOUT, "")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        outcome = self.answer(call)
        if isinstance(outcome, Embeddings):
            self.reported += outcome.prompt_tokens or 0
        return outcome

    @property
    def sizes(self) -> list[int]:
        return [len(call.inputs) for call in self.calls]


class Bench:
    """One target whose calls are coalesced."""

    def __init__(self, upstream: Upstream | None = None, limits: Limits = Limits()) -> None:
        self.upstream = upstream or Upstream()
        self.coalescer = Coalescer(limits, {}, counts_alike=True, waited=away.waited)
        self.health = Health(lambda: 0.0)
        self.metrics = Metrics()
        self.target = Target("t", "fake", "m", self.upstream, limits, coalescer=self.coalescer, health=self.health)

    async def ask(self, *texts: str, after: float = 0.0, within: float = 60.0, **fields: Any) -> Answer | Fault:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(after)

        async def counts() -> Sequence[int]:
            return [len(text) for text in texts]

        job = Job(
            plan(list(texts), [len(text) for text in texts], range(len(texts))), DIMENSIONS, counts=counts, **fields
        )
        calls = Calls(Retry(loop.time, asyncio.sleep, lambda: 0.5), loop.time, self.metrics)
        return await calls.batch(job, self.target, range(len(texts)), loop.time() + within, 0)


def kinds(outcomes: Sequence[Answer | Fault]) -> list[FaultKind | None]:
    return [outcome.kind if isinstance(outcome, Fault) else None for outcome in outcomes]


async def gathered(*asked: Coroutine[Any, Any, Answer | Fault]) -> list[Answer | Fault]:
    return list(await asyncio.gather(*asked))


# ── when they go ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_alone() -> None:
    """Where nothing is under way a call goes at once, in its own task, without a timer."""
    bench = Bench()

    async def main() -> tuple[bool, bool]:
        outcome = await bench.ask("a")
        assert isinstance(outcome, Answer)
        return outcome.shared, bench.upstream.task is asyncio.current_task()

    assert (False, True) == virtual_time.run(main())
    assert ([0.0], 0) == (bench.upstream.began, len(bench.coalescer))


def test_at_once() -> None:
    """64 calls at the same time are two upstream calls: the first, and all the others a moment later."""
    bench = Bench()
    texts = [f"text {number}" for number in range(64)]
    outcomes = virtual_time.run(gathered(*(bench.ask(text) for text in texts)))

    assert [1, 63] == bench.upstream.sizes
    assert [0.0, pytest.approx(MOMENT)] == bench.upstream.began
    assert [vectors_of([text]) for text in texts] == [o.vectors for o in outcomes if isinstance(o, Answer)]


def test_back_early() -> None:
    """Who waits for company goes as soon as nothing is under way."""
    bench = Bench(Upstream(seconds=MOMENT / 2))
    virtual_time.run(gathered(*(bench.ask(text) for text in "abc")))

    assert [0.0, pytest.approx(MOMENT / 2)] == bench.upstream.began


def test_no_slot() -> None:
    """At a target without a free slot all gather until a call is back."""
    bench = Bench(Upstream(slots=1))
    virtual_time.run(gathered(*(bench.ask(f"{number}", after=number * 0.002) for number in range(20))))

    assert [1, 19] == bench.upstream.sizes
    assert [0.0, pytest.approx(LATENCY)] == bench.upstream.began


def test_one_of_two_is_back() -> None:
    """At a target without a free slot those who waited their moment go when any call is back."""
    bench = Bench(Upstream(slots=2))
    virtual_time.run(gathered(bench.ask("a"), bench.ask("b", after=0.01), bench.ask("c", after=0.03)))

    assert [0.0, pytest.approx(0.015), pytest.approx(LATENCY)] == bench.upstream.began


def test_little_time() -> None:
    """Nobody waits longer for company than a tenth of its own time."""
    bench = Bench()
    bench.coalescer.moment = LONGEST_MOMENT
    virtual_time.run(gathered(bench.ask("a"), bench.ask("b"), bench.ask("c", within=0.2)))

    assert [0.0, pytest.approx(0.02)] == bench.upstream.began


def test_throttled() -> None:
    """A provider that takes 20 calls a second gets ever fewer and larger ones, until it throttles hardly any more."""
    taken: list[float] = []

    def limited(call: EmbedCall) -> Embeddings | Fault:
        now = asyncio.get_running_loop().time()
        taken[:] = [at for at in taken if at > now - 1]
        if len(taken) >= 20:
            return Fault(FaultKind.THROTTLED, "", 429, retry_after=0.1)
        taken.append(now)
        return answer(call)

    bench = Bench(Upstream(limited))
    outcomes = virtual_time.run(gathered(*(bench.ask(f"{number}", after=number * 0.002) for number in range(5_000))))
    late = [size for size, at in zip(bench.upstream.sizes, bench.upstream.began, strict=True) if at > 5]

    assert [] == [kind for kind in kinds(outcomes[1_000:]) if kind is not None]
    assert 300 > len(bench.upstream.calls)
    assert 10 < sum(late) / len(late)


def test_throttled_together() -> None:
    """A call for many that is throttled is made again for all of them, and takes from the budget for one call."""
    asked: list[int] = []

    def once(call: EmbedCall) -> Embeddings | Fault:
        asked.append(len(call.inputs))
        return Fault(FaultKind.THROTTLED, "", 429, retry_after=0.1) if len(asked) == 2 else answer(call)

    bench = Bench(Upstream(once))
    bench.health.retries.take(0.0, 30)
    outcomes = virtual_time.run(gathered(*(bench.ask(f"{number}") for number in range(100))))

    assert [None] * 100 == kinds(outcomes)
    assert [1, 99] == asked[:2]
    assert 19 < bench.health.retries.left(10.0) < 22  # of each call it earns a fifth, and some comes back by itself


def test_waiting_is_told() -> None:
    """Each call tells in its own context how long it waited for company."""
    bench = Bench()
    waits: list[float] = []

    async def noted(text: str) -> Answer | Fault:
        mine = Away(asyncio.get_running_loop().time)
        with away.counting(mine):
            outcome = await bench.ask(text)
        waits.append(mine.waited)
        return outcome

    virtual_time.run(gathered(bench.ask("a"), noted("b"), noted("c")))

    assert [pytest.approx(MOMENT)] * 2 == waits


# ── who goes with whom ────────────────────────────────────────────────────────────────────────────────────────────

UNLIKE: list[dict[str, Any]] = [
    {},
    {"user": "u"},
    {"extra": {"x": 1}},
    {"lane": "bulk"},
    {"input_type": "query"},
    {"sent_dimensions": 4},
]


def test_only_alike() -> None:
    """Calls that differ in anything that the upstream is told, or in their lane, never share a call."""
    bench = Bench()
    virtual_time.run(gathered(*(bench.ask(f"{number}", **fields) for number, fields in enumerate(UNLIKE * 3))))

    assert [1] * 6 + [2] * 6 == bench.upstream.sizes


def test_small() -> None:
    """More than eight inputs go alone, and nobody goes with them."""
    bench = Bench()
    many = [f"{number}" for number in range(coalescing.SMALL + 1)]
    virtual_time.run(gathered(*(bench.ask(*many) for _ in range(3))))

    assert [len(many)] * 3 == bench.upstream.sizes


# ── what comes of it ──────────────────────────────────────────────────────────────────────────────────────────────


def test_tokens() -> None:
    """What was reported for all is shared out by the tokens of each, to the last one."""
    bench = Bench()
    outcomes = virtual_time.run(gathered(*(bench.ask(text) for text in ("a", "b", "ccc"))))

    assert [(10, False), (7, True), (24, True)] == [(o.tokens, o.shared) for o in outcomes if isinstance(o, Answer)]
    assert bench.upstream.reported == 10 + 7 + 24


def test_fault_of_the_whole() -> None:
    """A fault of the whole is everybody's, and counts once against the target."""
    bench = Bench(Upstream(lambda call: Fault(FaultKind.OVERLOADED, "", 503, item=1)))
    bench.health.retries.take(0.0, 30)
    outcomes = virtual_time.run(gathered(*(bench.ask(f"{number}") for number in range(40))))

    assert {(FaultKind.OVERLOADED, None)} == {(o.kind, o.item) for o in outcomes[1:] if isinstance(o, Fault)}
    assert CONSECUTIVE == bench.health.report(10.0)["consecutive_failures"]
    assert 6 >= len(bench.upstream.calls)  # three tries of two calls, one of which may be under way by then


@pytest.mark.parametrize(
    ("bad", "sizes"),
    [(SPOILT, [1, 15, 1, 14]), (REFUSED, [1, 15, 7, 8, 3, 4, 2, 2, 1, 1])],
    ids=["known", "unknown"],
)
def test_one_is_bad(bad: str, sizes: list[int]) -> None:
    """The one that an answer names is sent alone, and the others again; where none is named, halves are."""
    bench = Bench()
    texts = ["0", *(bad if number == 4 else f"{number}" for number in range(1, 16))]
    outcomes = virtual_time.run(gathered(*(bench.ask(text) for text in texts)))

    assert [4] == [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Fault)]
    assert sizes == bench.upstream.sizes


def test_no_budget() -> None:
    """Where the target may not be asked once more for company's sake, each goes alone at once."""
    bench = Bench()
    bench.health.retries.take(0.0, 30)
    texts = ["a", "b", REFUSED, "c"]
    outcomes = virtual_time.run(gathered(*(bench.ask(text) for text in texts)))

    assert [None, None, FaultKind.REJECTED, None] == kinds(outcomes)
    assert [1, 3, 1, 1, 1] == bench.upstream.sizes


def test_gone_while_waiting() -> None:
    """What nobody waits for any more is not sent with the others."""
    bench = Bench()

    async def main() -> None:
        tasks = [asyncio.create_task(bench.ask(text)) for text in "abc"]
        await asyncio.sleep(0.001)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    virtual_time.run(main())

    assert [["a"], ["c"]] == [call.inputs for call in bench.upstream.calls]


def test_inside_fault() -> None:
    """Who failed inside the upstream in company is tried again alone: only the one that breaks it stays failed."""
    bench = Bench()
    texts = ["a", "b", FATAL, "c"]
    outcomes = virtual_time.run(gathered(*(bench.ask(text) for text in texts)))

    assert [None, None, FaultKind.BROKEN, None] == kinds(outcomes)


def test_own_time() -> None:
    """Whose own time is up leaves alone; its neighbours are not hurried, and the target is not blamed."""
    bench = Bench(Upstream(seconds=1.0))
    ends: list[float] = []

    async def timed(within: float) -> Answer | Fault:
        outcome = await bench.ask("x", within=within)
        ends.append(asyncio.get_running_loop().time())
        return outcome

    outcomes = virtual_time.run(gathered(timed(60), timed(0.3), timed(60)))

    assert [None, FaultKind.TIMEOUT, None] == kinds(outcomes)
    assert [pytest.approx(0.3), pytest.approx(1.0), pytest.approx(1.0 + 0.005)] == ends
    assert bench.health.last_error is None


def test_too_late() -> None:
    """A call that is late for all of them is the target's failure."""
    bench = Bench(Upstream(seconds=100.0))
    outcomes = virtual_time.run(gathered(bench.ask("a"), bench.ask("b", within=30), bench.ask("c", within=25)))

    assert [FaultKind.TIMEOUT] * 3 == kinds(outcomes)
    assert 2 == bench.health.report(200.0)["consecutive_failures"]


@pytest.mark.parametrize("after", [0.001, 0.0051, 0.02])
def test_all_have_gone(after: float) -> None:
    """When the last one who waits has gone, what was sent for them is cancelled, or not sent at all."""
    bench = Bench()

    async def main() -> Answer | Fault:
        first = asyncio.create_task(bench.ask("a"))
        others = [asyncio.create_task(bench.ask(text)) for text in "bc"]
        await asyncio.sleep(after)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        outcome = await first
        await asyncio.sleep(1)
        return outcome

    outcome = virtual_time.run(main())

    assert isinstance(outcome, Answer)
    assert (after > MOMENT, 0) == (bench.upstream.cancelled == 1, len(bench.coalescer))
    assert 1 + (after > MOMENT) == len(bench.upstream.calls)


def test_gone_before_it_began() -> None:
    """Calls that leave in the very moment in which they depart leave nothing behind."""
    bench = Bench()

    async def main() -> None:
        first = asyncio.create_task(bench.ask("a"))
        other = asyncio.create_task(bench.ask("b"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(MOMENT, other.cancel)
        await asyncio.gather(first, other, return_exceptions=True)
        await asyncio.sleep(1)

    virtual_time.run(main())

    assert 0 == len(bench.coalescer)


def test_mistake() -> None:
    """What an adapter raises is raised to everybody whose call it was."""
    bench = Bench()

    async def main() -> list[Any]:
        first = asyncio.create_task(bench.ask("a"))
        await asyncio.sleep(0.001)
        others = [asyncio.create_task(bench.ask(text)) for text in "bc"]
        await asyncio.sleep(LATENCY)
        bench.upstream.answer = raising
        return await asyncio.gather(first, *others, return_exceptions=True)

    first, *others = virtual_time.run(main())

    assert isinstance(first, Answer)
    assert [ProviderMistake] * 2 == list(map(type, others))
    assert 0 == len(bench.coalescer)


TEXTS = st.one_of(st.text("abcdefgh", min_size=1, max_size=5), st.sampled_from([REFUSED, SPOILT]))
ASKED = st.tuples(
    st.lists(TEXTS, min_size=1, max_size=9, unique=True),
    st.integers(0, 30),  # milliseconds after which it comes
    st.one_of(st.none(), st.integers(0, 60)),  # after which its client has gone
    st.sampled_from([0.02, 0.08, 60.0]),  # how long it can wait
    st.sampled_from([None, "u"]),
)


@settings(max_examples=150)
@given(
    st.lists(ASKED, min_size=2, max_size=12),
    st.sampled_from([1, 2, 1000]),
    st.sampled_from([4, 12, None]),
    st.booleans(),
)
def test_as_alone(
    asked: list[tuple[list[str], int, int | None, float, str | None]], at_a_time: int, most: int | None, spent: bool
) -> None:
    """Whoever comes, fails, leaves and hurries beside it: a call gets its own vectors, or its own fault.

    No upstream call is over a limit, tokens sum up to what was reported, and nothing stays behind.
    """
    limits = Limits(inputs=most, request_tokens=most and 5 * most)
    bench = Bench(Upstream(slots=at_a_time), limits)
    if spent:
        bench.health.retries.take(0.0, 30)

    async def one(texts: list[str], after: int, leaves: int | None, within: float, user: str | None) -> Any:
        task = asyncio.create_task(bench.ask(*texts, after=after / 1000, within=within, user=user))
        if leaves is not None:
            asyncio.get_running_loop().call_later(leaves / 1000, task.cancel)
        return await task

    async def main() -> list[Any]:
        outcomes = await asyncio.gather(*(one(*each) for each in asked), return_exceptions=True)
        await asyncio.sleep(1)
        return outcomes

    outcomes = virtual_time.run(main())
    tokens = 0
    for (texts, _, leaves, within, _), outcome in zip(asked, outcomes, strict=True):
        if isinstance(outcome, Answer):
            assert vectors_of(texts) == outcome.vectors
            assert not {REFUSED, SPOILT} & set(texts)
            tokens += outcome.tokens or 0
        elif isinstance(outcome, Fault):
            own = {FaultKind.REJECTED} if REFUSED in texts else {FaultKind.MALFORMED} if SPOILT in texts else set()
            if sum(SPOILT in texts for texts, *_ in asked) >= CONSECUTIVE:  # then it is left alone for a while
                own.add(FaultKind.OVERLOADED)
            assert outcome.kind in own | ({FaultKind.TIMEOUT, FaultKind.NO_SLOT} if within < 60 else set())
            assert outcome.item in (None, texts.index(SPOILT) if SPOILT in texts else None)
        else:
            assert isinstance(outcome, asyncio.CancelledError)
            assert leaves is not None

    largest = max(len(texts) for texts, *_ in asked)
    assert all(size <= max(most or 1000, largest) for size in bench.upstream.sizes)
    assert tokens <= bench.upstream.reported
    if all(
        leaves is None and within == 60 and not {REFUSED, SPOILT} & set(texts) for texts, _, leaves, within, _ in asked
    ):
        assert tokens == bench.upstream.reported
    assert (0, 0) == (len(bench.coalescer), bench.health.in_flight)
