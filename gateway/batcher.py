"""A model in this process behind a queue: one thread computes, and what arrives meanwhile forms its next forward pass.

There is no timer: a pass starts as soon as anything waits. All state lives on the event loop; the thread is given
texts and gives back vectors. What fails is tried again in halves, so that a bad text fails its own call and no other;
what was given up, by a client that hung up or by a deadline, is not computed any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from gateway import contract
from gateway.allowances import Priority
from gateway.line import Line, Waiting
from gateway.routing import Load
from providers.base import EmbedCall, Embeddings, Fault, FaultKind
from providers.engine import Transformer

QUEUE_TEXTS: Final = 4_096
"""Most texts that may wait: two of the largest requests, and with a small model on a CPU some twenty seconds."""
INLINE_CHARACTERS: Final = 2_000
"""Texts that are counted on the event loop: some 500 tokens, half a millisecond; longer ones in a thread."""
COUNTED_AT_ONCE: Final = 100_000
"""Characters that are counted before a call that was given up is noticed."""

FULL: Final = Fault(FaultKind.NO_SLOT, "the model's queue is full")
NOT_REACHED: Final = Fault(FaultKind.NO_SLOT, "the model's queue did not get to it in time")
NOT_FINISHED: Final = Fault(FaultKind.TIMEOUT, "the model did not finish in time")


class _Call:
    """What is there already of a call's vectors; `outcome` is set when all are, or when one failed."""

    def __init__(self, size: int) -> None:
        self.outcome: asyncio.Future[list[bytes] | Fault] = asyncio.get_running_loop().create_future()
        self.begun = False
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
        self._line: Line[_Call] = Line(model.forward_texts)
        self._counting = 0
        self._running = 0
        self._work: asyncio.Task[None] | None = None

    @property
    def load(self) -> Load:
        """In texts."""
        return Load(self._waiting, self._running, QUEUE_TEXTS, self._model.forward_texts)

    @property
    def _waiting(self) -> int:
        return self._counting + len(self._line)

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        texts = [item for item in call.inputs if isinstance(item, str)]
        if len(texts) != len(call.inputs):
            return Fault(FaultKind.MISCONFIGURED, "a local model reads texts, not token ids")
        if self._waiting + len(texts) > QUEUE_TEXTS:
            return FULL
        waiting = _Call(len(texts))
        try:
            async with asyncio.timeout_at(deadline):
                lengths = await self._lengths(texts)
                if isinstance(lengths, Fault):
                    return lengths
                self._line.add(waiting, texts, lengths)
                if self._work is None:
                    self._work = asyncio.create_task(self._compute())
                outcome = await waiting.outcome
        except TimeoutError:
            return NOT_FINISHED if waiting.begun else NOT_REACHED
        finally:
            self._line.drop(waiting)
        return outcome if isinstance(outcome, Fault) else Embeddings(outcome, prompt_tokens=sum(lengths))

    async def close(self) -> None:
        """Waits for the pass that runs, and stops the thread. Nobody may ask any more."""
        if self._work is not None:
            await self._work
        await asyncio.to_thread(self._thread.shutdown)

    async def _lengths(self, texts: Sequence[str]) -> list[int] | Fault:
        """Counted in a thread where it takes time, a portion at a time, so that a call that was given up is noticed."""
        if sum(map(len, texts)) <= INLINE_CHARACTERS:
            return self._model.lengths(texts)
        lengths: list[int] = []
        self._counting += len(texts)
        try:
            while len(lengths) < len(texts):
                some = await asyncio.to_thread(self._model.lengths, _portion(texts, len(lengths)))
                if isinstance(some, Fault):
                    return replace(some, item=None if some.item is None else some.item + len(lengths))
                lengths += some
        finally:
            self._counting -= len(texts)
        return lengths

    async def _compute(self) -> None:
        try:
            while batch := self._line.take():
                await self._forward(batch)
        finally:
            self._running = 0
            self._work = None

    async def _forward(self, batch: Sequence[Waiting[_Call]]) -> None:
        """One pass; if it fails, each half of it, down to the text at fault."""
        batch = [waiting for waiting in batch if not waiting.call.outcome.done()]
        if not batch:
            return
        self._running = len(batch)
        for waiting in batch:
            waiting.call.begun = True
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self._thread, self._vectors, [waiting.text for waiting in batch])
        if not isinstance(vectors, Fault):
            for waiting, vector in zip(batch, vectors, strict=True):
                waiting.call.deliver(waiting.position, vector)
        elif len(batch) == 1:
            batch[0].call.fail(replace(vectors, item=batch[0].position, divisible=False))  # no smaller one is left
            self._line.drop(batch[0].call)
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
