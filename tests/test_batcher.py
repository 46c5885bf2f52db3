"""A model in this process behind a queue."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batcher import COUNTED_AT_ONCE, FULL, INLINE_CHARACTERS, NOT_FINISHED, NOT_REACHED, QUEUE_TEXTS, Batcher
from gateway.line import FORWARD_TOKENS
from gateway.routing import Load
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.engine import Transformer
from tests.fakes.backends import DIMENSIONS, vector, vectors_of
from tests.fakes.clock import settle

BAD = "bad"
"""The text that spoils whatever forward pass it is in."""


def soon() -> float:
    """A deadline that no test reaches."""
    return asyncio.get_running_loop().time() + 60


def call(*texts: str) -> EmbedCall:
    return EmbedCall("small", texts)


def tokens(text: str) -> int:
    """As many as the text says, or three."""
    return int(text.partition(" ")[0]) if text[0].isdigit() else 3


def lengths(texts: Sequence[str]) -> list[int] | Fault:
    if "strange" in texts:
        return Fault(FaultKind.REJECTED, "it has no token that the model knows.", item=texts.index("strange"))
    return [tokens(text) for text in texts]


def right(*texts: str) -> Embeddings:
    return Embeddings(vectors_of(texts), prompt_tokens=sum(map(tokens, texts)))


class Model:
    """A model that remembers its passes, and does with a bad text what `spoils` says."""

    def __init__(self, spoils: Callable[[list[bytes], int], list[bytes]] | None = None) -> None:
        self.passes: list[list[str]] = []
        self.threads: set[int] = set()
        self._spoils = spoils

    def forward(self, texts: Sequence[str]) -> list[bytes]:
        self.passes.append(list(texts))
        self.threads.add(threading.get_ident())
        vectors = vectors_of(texts)
        return self._spoils(vectors, texts.index(BAD)) if self._spoils and BAD in texts else vectors

    def transformer(self, **facts: Any) -> Transformer:
        known: dict[str, Any] = {
            "dimensions": DIMENSIONS,
            "input_tokens": 512,
            "lengths": lengths,
            "forward": self.forward,
        }
        return Transformer(**known | facts)


class Stepwise(Executor):
    """A thread that computes when it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((future, lambda: fn(*args, **kwargs)))
        return future

    async def step(self) -> None:
        """Computes what was given, and lets everybody go on."""
        for future, compute in self.given[:]:
            self.given.remove((future, compute))
            future.set_result(compute())
        await settle()

    async def run(self) -> None:
        while self.given:
            await self.step()


# ── what comes back ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_vectors() -> None:
    """A call gets its own vectors in its own order, whatever their lengths, and its tokens as the model counts them."""
    texts = ["9 words", "a", "5 words", "900 words", "b"]

    assert right(*texts) == await Batcher(Model().transformer()).embed(call(*texts), soon())


async def test_one_thread() -> None:
    """All passes run in one thread, which is not the event loop's, and which ends when the batcher is closed."""
    model = Model()
    batcher = Batcher(model.transformer())
    await asyncio.gather(*(batcher.embed(call("a", f"{place} words"), soon()) for place in range(1, 9)))
    await batcher.close()

    assert (1, False) == (len(model.threads), threading.get_ident() in model.threads)
    assert not model.threads & {thread.ident for thread in threading.enumerate()}


async def test_closed_unused() -> None:
    """A batcher that nobody asked can be closed."""
    await Batcher(Model().transformer()).close()


async def test_close_waits() -> None:
    """What was asked before closing is still answered."""
    batcher = Batcher(Model().transformer())
    asked = asyncio.create_task(batcher.embed(call("a", "b"), soon()))
    await asyncio.sleep(0)
    await batcher.close()

    assert right("a", "b") == await asked


@pytest.mark.parametrize("inputs", [[[1, 2]], ["a", [1]]], ids=str)
async def test_reads_no_ids(inputs: Sequence[str | list[int]]) -> None:
    """Token ids mean nothing to a local model."""
    outcome = await Batcher(Model().transformer()).embed(EmbedCall("small", inputs), soon())

    assert Fault(FaultKind.MISCONFIGURED, "a local model reads texts, not token ids") == outcome


@pytest.mark.parametrize("filler", ["", "a " * INLINE_CHARACTERS, "a " * COUNTED_AT_ONCE])
async def test_text_without_a_vector(filler: str) -> None:
    """A text that the model refuses is named by its position, however long those before it, and nothing computed."""
    model = Model()
    texts = [filler or "a", "a", "strange", "b"]
    outcome = await Batcher(model.transformer()).embed(call(*texts), soon())

    assert Fault(FaultKind.REJECTED, "it has no token that the model knows.", item=2) == outcome
    assert [] == model.passes


@pytest.mark.parametrize(
    ("characters", "threads"), [(INLINE_CHARACTERS, 0), (INLINE_CHARACTERS + 1, 1), (COUNTED_AT_ONCE + 2, 2)]
)
async def test_counting(characters: int, threads: int) -> None:
    """Short texts are counted at once, long ones in another thread and in portions."""
    where: list[int] = []

    def noted(texts: Sequence[str]) -> list[int]:
        where.append(threading.get_ident())
        return [3] * len(texts)

    batcher = Batcher(Model().transformer(lengths=noted))
    await batcher.embed(call("a" * (characters // 2), "b" * -(-characters // 2)), soon())

    assert threads == sum(thread != threading.get_ident() for thread in where)
    await batcher.close()


# ── what waits ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_arrivals_form_the_next_pass() -> None:
    """The first text starts at once, alone; what arrives meanwhile goes together."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(), thread)
    asked = []
    for text in "abc":
        asked.append(asyncio.create_task(batcher.embed(call(text), soon())))
        await settle()
    await thread.run()

    assert [["a"], ["b", "c"]] == model.passes
    assert [right(text) for text in "abc"] == await asyncio.gather(*asked)


async def test_load() -> None:
    """The load is texts: those that wait, those in the pass that runs, how many may wait, and how many go together."""
    thread = Stepwise()
    batcher = Batcher(Model().transformer(forward_texts=2), thread)
    asked = asyncio.create_task(batcher.embed(call("a", "b", "c", "d", "e"), soon()))
    await settle()
    during = batcher.load
    await thread.run()
    await asked

    assert (Load(3, 2, 2 * QUEUE_TEXTS, 2), Load(0, 0, 2 * QUEUE_TEXTS, 2)) == (during, batcher.load)


async def test_queue_is_bounded() -> None:
    """A call that the queue has no room for is refused at once; what was there before is served."""
    thread = Stepwise()
    batcher = Batcher(Model().transformer(), thread)
    first = asyncio.create_task(batcher.embed(call("a"), soon()))
    await settle()
    texts = ["a"] * (QUEUE_TEXTS - 1)
    full = asyncio.create_task(batcher.embed(call(*texts), soon()))
    await settle()

    assert FULL == await batcher.embed(call("b", "c"), soon())
    last = asyncio.create_task(batcher.embed(call("b"), soon()))
    await settle()
    assert QUEUE_TEXTS == batcher.load.waiting
    await thread.run()
    assert [right("a"), right(*texts), right("b")] == [await task for task in (first, full, last)]


async def test_texts_are_in_the_queue_while_they_are_counted() -> None:
    """The bound holds for texts that are being counted, too."""
    may = threading.Event()

    def slowly(texts: Sequence[str]) -> list[int]:
        may.wait(60)
        return [3] * len(texts)

    batcher = Batcher(Model().transformer(lengths=slowly))
    long = ["a" * INLINE_CHARACTERS] * QUEUE_TEXTS
    asked = asyncio.create_task(batcher.embed(call(*long), soon()))
    await settle()
    waiting = batcher.load.waiting
    refused = await batcher.embed(call("a"), soon())
    asked.cancel()
    may.set()
    await asyncio.wait([asked])

    assert (QUEUE_TEXTS, FULL, 0) == (waiting, refused, batcher.load.waiting)


async def test_not_reached() -> None:
    """A call whose time is up before the model began with it is told that there was no room, and is not computed."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(), thread)
    first = asyncio.create_task(batcher.embed(call("first"), soon()))
    await settle()
    outcome = await batcher.embed(call("late"), asyncio.get_running_loop().time())
    await thread.run()
    await first

    assert isinstance(outcome, Fault)
    assert (NOT_REACHED.message, [["first"]], 0) == (outcome.message, model.passes, batcher.load.waiting)


async def test_not_in_time() -> None:
    """A call that by the pace of late would not be finished in time is refused at once; what waits tells the pace."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=1), thread)
    loop = asyncio.get_running_loop()
    never = loop.time() + 100_000
    first = asyncio.create_task(batcher.embed(call("100 words"), never))
    await settle()
    time, elapsed = loop.time, 1000.0  # beside which whatever a slow machine adds is nothing
    loop.time = lambda: time() + elapsed  # type: ignore[method-assign]
    try:
        await thread.run()  # ten seconds each token
        asked = [asyncio.create_task(batcher.embed(call("100 words"), never)) for _ in range(2)]
        await settle()
        refused = await batcher.embed(call("100 words"), loop.time() + 1500)
        taken = asyncio.create_task(batcher.embed(call("100 words"), loop.time() + 2500))
        await settle()
        waiting = batcher.load.waiting
        await thread.run()
    finally:
        loop.time = time  # type: ignore[method-assign]
    await asyncio.gather(first, taken, *asked)

    assert isinstance(refused, Fault)
    assert (NOT_REACHED.message, 2) == (refused.message, waiting)
    assert pytest.approx(2000.0, abs=100.0) == refused.retry_after


async def test_interactive_passes_first() -> None:
    """Each pass is of one lane; interactive texts go first, and each fifth pass is bulk's while both wait."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=1), thread)
    asked = [asyncio.create_task(batcher.embed(call(*(f"b{place}" for place in range(3))), soon(), "bulk"))]
    await settle()
    asked += [asyncio.create_task(batcher.embed(call(f"i{place}"), soon())) for place in range(6)]
    await settle()
    load = batcher.load
    await thread.run()
    await asyncio.gather(*asked)

    assert (8, 2) == (load.waiting, load.waiting_bulk)
    assert ["b", "i", "i", "i", "i", "b", "i", "i", "b"] == [texts[0][0] for texts in model.passes]


async def test_bulk_fills_its_own_queue() -> None:
    """A queue that is full of bulk texts still takes interactive ones."""
    thread = Stepwise()
    batcher = Batcher(Model().transformer(), thread)
    bulk = []
    for size in (1, QUEUE_TEXTS):
        bulk.append(asyncio.create_task(batcher.embed(call(*["a"] * size), soon(), "bulk")))
        await settle()
    refused = await batcher.embed(call("b"), soon(), "bulk")
    taken = asyncio.create_task(batcher.embed(call("c"), soon()))
    await settle()
    await thread.run()
    await asyncio.gather(*bulk)

    assert (FULL, right("c")) == (refused, await taken)


async def test_not_finished() -> None:
    """A call whose time is up while the model is at it is told so, and what is left of it is not computed."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=1), thread)
    begins = asyncio.get_running_loop().time()
    outcome = await batcher.embed(call("never", "late"), begins + 0.5)
    await thread.run()

    assert (NOT_FINISHED, [["late"]], 0) == (outcome, model.passes, batcher.load.waiting)


async def test_hanging_up() -> None:
    """What is left of a cancelled call is not computed, and the others go on."""
    model, thread = Model(), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=1), thread)
    left, stays = (
        asyncio.create_task(batcher.embed(call(f"{name}1", f"{name}2"), soon())) for name in ("left", "stays")
    )
    await settle()
    left.cancel()
    await thread.run()

    assert ([["left2"], ["stays2"], ["stays1"]], right("stays1", "stays2")) == (model.passes, await stays)


# ── what fails ────────────────────────────────────────────────────────────────────────────────────────────────────


class Panic(BaseException):
    """What Rust code raises through pyo3: no `Exception`."""


def raising(error: type[BaseException]) -> Callable[[list[bytes], int], list[bytes]]:
    def spoil(vectors: list[bytes], place: int) -> list[bytes]:
        raise error

    return spoil


def replacing(*values: float) -> Callable[[list[bytes], int], list[bytes]]:
    return lambda vectors, place: [*vectors[:place], vector(*values), *vectors[place + 1 :]]


SPOILS = {
    "an exception": (raising(RuntimeError), FaultKind.BROKEN, "the model failed (RuntimeError)"),
    "a panic": (raising(Panic), FaultKind.BROKEN, "the model failed (Panic)"),
    "not a number": (replacing(*[1.0] * 7, float("nan")), FaultKind.MALFORMED, "the vector holds NaN or infinity"),
    "zeros": (replacing(*[0.0] * 8), FaultKind.MALFORMED, "the vector is all zeros"),
    "too short": (replacing(1), FaultKind.MALFORMED, "the vector has 1 values where this model's have 8"),
    "too few": (
        lambda vectors, place: vectors[:place] + vectors[place + 1 :],
        FaultKind.MALFORMED,
        "0 vectors came back for 1 inputs",
    ),
}


@pytest.mark.parametrize(("spoils", "kind", "message"), SPOILS.values(), ids=SPOILS)
async def test_bad_text(spoils: Callable[[list[bytes], int], list[bytes]], kind: FaultKind, message: str) -> None:
    """A text that spoils its pass fails its own call, which is told its position, and no other call."""
    thread = Stepwise()
    batcher = Batcher(Model(spoils).transformer(), thread)
    calls = [("first",), ("a", "b"), ("c", BAD, "d"), ("e",)]
    asked = [asyncio.create_task(batcher.embed(call(*texts), soon())) for texts in calls]
    await settle()
    await thread.run()
    outcomes = await asyncio.gather(*asked)
    fault = outcomes.pop(2)

    assert Fault(kind, message, item=1) == fault
    assert [right(*texts) for texts in calls if BAD not in texts] == outcomes


async def test_a_failed_call_costs_nothing_more() -> None:
    """What is left of a call that failed is not computed."""
    model, thread = Model(raising(RuntimeError)), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=1), thread)
    asked = asyncio.create_task(batcher.embed(call("a", "b", BAD), soon()))
    await settle()
    await thread.run()
    await asked

    assert [[BAD]] == model.passes


# ── all of it together ────────────────────────────────────────────────────────────────────────────────────────────

words = st.integers(1, 60).map("{} words".format) | st.sampled_from(["a", "b", "1500 words", BAD])
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("arrives"), st.lists(words, min_size=1, max_size=20)),
        st.tuples(st.just("leaves"), st.integers(0, 10)),
        st.tuples(st.just("computed"), st.none()),
    ),
    max_size=30,
)


@given(happenings, st.sampled_from(sorted(SPOILS)), st.sampled_from([1, 3, 64]))
async def test_any_order(happened: list[tuple[str, Any]], spoil: str, forward_texts: int) -> None:
    """Whoever arrives and leaves when: every text gets its own vector, every pass keeps its bounds, nothing remains."""
    spoils, kind, _ = SPOILS[spoil]
    model, thread = Model(spoils), Stepwise()
    batcher = Batcher(model.transformer(forward_texts=forward_texts), thread)
    asked: list[tuple[list[str], asyncio.Task[Embeddings | Fault]]] = []
    for what, value in happened:
        if what == "arrives":
            asked.append((value, asyncio.create_task(batcher.embed(call(*value), soon()))))
        elif what == "leaves" and value < len(asked):
            asked[value][1].cancel()
        elif what == "computed":
            await thread.step()
        await settle()
    await thread.run()
    for texts, task in asked:
        assert task.done()
        if task.cancelled():
            continue
        outcome = task.result()
        if BAD not in texts:
            assert right(*texts) == outcome
        else:
            assert isinstance(outcome, Fault)
            assert (kind, BAD) == (outcome.kind, texts[outcome.item or 0])
    for one in model.passes:
        assert len(one) <= forward_texts
        assert len(one) == 1 or max(map(tokens, one)) * len(one) <= FORWARD_TOKENS
    assert Load(0, 0, 2 * QUEUE_TEXTS, forward_texts) == batcher.load
