"""A model in this process behind a queue: one thread computes, and what arrives meanwhile forms its next forward pass.

There is no timer: a pass starts as soon as anything waits. Interactive texts and bulk texts wait in a line each, and
each pass is of one of them: a small pass of what is urgent is soon over. All state lives on the event loop; the thread
is given texts and gives back vectors. What fails is tried again in halves, so that a bad text fails its own call and no
other; what was given up, by a client that hung up or by a deadline, is not computed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from gateway import contract
from gateway.allowances import Priority
from gateway.away import away, waited
from gateway.lanes import RECENT, Turns
from gateway.line import FORWARD_TOKENS, Line, Waiting
from gateway.routing import Load
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.engine import Transformer

QUEUE_TEXTS: Final = 4_096
"""Most texts that may wait in a lane: two of the largest requests; with a small model on a CPU some twenty seconds."""
INLINE_CHARACTERS: Final = 2_000
"""Texts that are counted on the event loop: some 500 tokens, half a millisecond; longer ones in a thread."""
COUNTED_AT_ONCE: Final = 100_000
"""Characters that are counted before a call that was given up is noticed."""

FULL: Final = Fault(FaultKind.NO_SLOT, "the model's queue is full")
NOT_REACHED: Final = Fault(FaultKind.NO_SLOT, "the model's queue does not get to it in time")
NOT_FINISHED: Final = Fault(FaultKind.TIMEOUT, "the model did not finish in time")


class _Call:
    """What is there already of a call's vectors; `outcome` is set when all are, or when one failed."""

    def __init__(self, size: int) -> None:
        self.outcome: asyncio.Future[list[bytes] | Fault] = asyncio.get_running_loop().create_future()
        self.begun: float | None = None
        self._size = size
        self._vectors: dict[int, bytes] = {}

    def deliver(self, position: int, vector: bytes) -> None:
        self._vectors[position] = vector
        if len(self._vectors) == self._size and not self.outcome.done():
            self.outcome.set_result([self._vectors[place] for place in range(self._size)])

    def fail(self, fault: Fault) -> None:
        if not self.outcome.done():
            self.outcome.set_result(fault)


class Batcher:
    """A backend. `thread` computes one forward pass at a time; it is one of its own unless a test gives another."""

    def __init__(self, model: Transformer, thread: Executor | None = None) -> None:
        self._model = model
        self._thread = thread or ThreadPoolExecutor(1, thread_name_prefix="model")
        self._lines: dict[Priority, Line[_Call]] = {
            "interactive": Line(model.forward_texts),
            "bulk": Line(model.forward_texts),
        }
        self._turns = Turns()
        self._counting: dict[Priority, int] = {"interactive": 0, "bulk": 0}
        self._seconds_a_token = 0.0
        """By the passes of late."""
        self._running = 0
        self._work: asyncio.Task[None] | None = None

    @property
    def load(self) -> Load:
        """In texts."""
        bulk = self._waiting("bulk")
        waiting, places = self._waiting("interactive") + bulk, len(self._lines) * QUEUE_TEXTS
        return Load(waiting, self._running, places, self._model.forward_texts, waiting_bulk=bulk)

    def _waiting(self, lane: Priority) -> int:
        return self._counting[lane] + len(self._lines[lane])

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        texts = [item for item in call.inputs if isinstance(item, str)]
        if len(texts) != len(call.inputs):
            return Fault(FaultKind.MISCONFIGURED, "a local model reads texts, not token ids")
        if self._waiting(lane) + len(texts) > QUEUE_TEXTS:
            return FULL
        loop = asyncio.get_running_loop()
        waiting, began = _Call(len(texts)), loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                lengths = await self._lengths(texts, lane)
                if isinstance(lengths, Fault):
                    return lengths
                needed = self._needed(lengths, lane)
                if needed > deadline - loop.time():
                    return replace(NOT_REACHED, retry_after=needed or None)
                self._lines[lane].add(waiting, texts, lengths)
                if self._work is None:
                    self._work = asyncio.create_task(self._compute())
                with away():
                    outcome = await waiting.outcome
        except TimeoutError:
            return NOT_REACHED if waiting.begun is None else NOT_FINISHED
        finally:
            self._lines[lane].drop(waiting)
            if waiting.begun is not None:
                waited(waiting.begun - began)
        return outcome if isinstance(outcome, Fault) else Embeddings(outcome, prompt_tokens=sum(lengths))

    async def close(self) -> None:
        """Waits for the pass that runs, and stops the thread. Nobody may ask any more."""
        if self._work is not None:
            await self._work
        await asyncio.to_thread(self._thread.shutdown)

    def _needed(self, lengths: Sequence[int], lane: Priority) -> float:
        """Seconds until so long texts were computed; 0 where nothing of the lane waits, so that a pace is renewed.

        Calls take turns, so each call before it costs it no more passes than it has texts.
        """
        line, interactive = self._lines[lane], self._lines["interactive"]
        if not len(line):
            return 0.0
        tokens = min(line.tokens, line.calls * len(lengths) * FORWARD_TOKENS) + sum(lengths)
        if lane == "bulk":
            tokens += interactive.tokens
        return tokens * self._seconds_a_token

    async def _lengths(self, texts: Sequence[str], lane: Priority) -> list[int] | Fault:
        """Counted in a thread where it takes time, a portion at a time, so that a call that was given up is noticed."""
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self._model.lengths(texts)
        lengths: list[int] = []
        self._counting[lane] += len(texts)
        try:
            while len(lengths) < len(texts):
                some = await asyncio.to_thread(self._model.lengths, _portion(texts, len(lengths)))
                if isinstance(some, Fault):
                    return replace(some, item=None if some.item is None else some.item + len(lengths))
                lengths += some
        finally:
            self._counting[lane] -= len(texts)
        return lengths

    async def _compute(self) -> None:
        try:
            while lane := self._turns.take(
                interactive=bool(self._lines["interactive"]), bulk=bool(self._lines["bulk"])
            ):
                await self._forward(self._lines[lane].take())
        finally:
            self._running = 0
            self._work = None

    async def _forward(self, batch: Sequence[Waiting[_Call]]) -> None:
        """One pass; if it fails, each half of it, down to the text at fault."""
        batch = [waiting for waiting in batch if not waiting.call.outcome.done()]
        if not batch:
            return
        self._running = len(batch)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for waiting in batch:
            if waiting.call.begun is None:
                waiting.call.begun = began
        vectors = await loop.run_in_executor(self._thread, self._vectors, [waiting.text for waiting in batch])
        taken = (loop.time() - began) / sum(waiting.tokens for waiting in batch)
        self._seconds_a_token += (taken - self._seconds_a_token) * (RECENT if self._seconds_a_token else 1)
        if not isinstance(vectors, Fault):
            for waiting, vector in zip(batch, vectors, strict=True):
                waiting.call.deliver(waiting.position, vector)
        elif len(batch) == 1:
            batch[0].call.fail(replace(vectors, item=batch[0].position, divisible=False))  # no smaller one is left
            for line in self._lines.values():
                line.drop(batch[0].call)
        else:
            middle = len(batch) // 2
            await self._forward(batch[:middle])
            await self._forward(batch[middle:])

    def _vectors(self, texts: Sequence[str]) -> list[bytes] | Fault:
        try:
            return contract.check(Embeddings(self._model.forward(texts)), len(texts), self._model.dimensions)
        except BaseException as error:  # noqa: BLE001 (a panic of Rust code is no `Exception`)
            return Fault(FaultKind.BROKEN, f"the model failed ({type(error).__name__})")


def _portion(texts: Sequence[str], first: int) -> Sequence[str]:
    """Some texts from `first` on: at least one."""
    end, characters = first, 0
    while end < len(texts) and (end == first or characters + len(texts[end]) <= COUNTED_AT_ONCE):
        characters += len(texts[end])
        end += 1
    return texts[first:end]
