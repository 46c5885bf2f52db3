"""Backends without a socket: what each answers is a function of the call, and every call is remembered."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gateway.allowances import Priority
from gateway.routing import Load
from providers import codec
from providers.base import EmbedCall, Embeddings, Fault, FaultKind, Input
from tests.fakes.openai_replies import vector_for

DIMENSIONS = 8
TOKENS_EACH = 3

Answer = Callable[[EmbedCall], Embeddings | Fault]


def vector(*numbers: float) -> bytes:
    return np.array(numbers, codec.FLOAT32).tobytes()


def vector_of(item: Input, dimensions: int = DIMENSIONS) -> bytes:
    """The one vector of an input, shortened as OpenAI shortens."""
    return vector_for(str(item), dimensions, DIMENSIONS).tobytes()


def vectors_of(items: Sequence[Input], dimensions: int = DIMENSIONS) -> list[bytes]:
    return [vector_of(item, dimensions) for item in items]


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def rightly(call: EmbedCall) -> Embeddings:
    vectors = vectors_of(call.inputs, call.dimensions or DIMENSIONS)
    return Embeddings(vectors, range(len(vectors)), TOKENS_EACH * len(vectors))


def without_usage(call: EmbedCall) -> Embeddings:
    return Embeddings(rightly(call).vectors)


def twice_as_long(call: EmbedCall) -> Embeddings:
    """Right but for the vectors' length, which is twice their own."""
    unit = codec.matrix(rightly(call).vectors)
    return Embeddings(codec.rows(unit * 2), prompt_tokens=1)


def one_too_few(call: EmbedCall) -> Embeddings:
    return Embeddings(rightly(call).vectors[1:])


def always(*numbers: float) -> Answer:
    """The same vector for every input."""
    return lambda call: Embeddings([vector(*numbers)] * len(call.inputs), prompt_tokens=1)


def failing(kind: FaultKind, message: str = "", **fields: Any) -> Answer:
    return lambda call: Fault(kind, message, **fields)


def failing_on(item: Input, kind: FaultKind) -> Answer:
    """Fails those calls only that hold this input."""
    return lambda call: Fault(kind, "") if item in call.inputs else rightly(call)


class ProviderMistake(Exception):
    """What no backend should ever raise."""


def raising(call: EmbedCall) -> Embeddings:
    raise ProviderMistake


# ── backends ──────────────────────────────────────────────────────────────────────────────────────────────────────


class FakeBackend:
    """Gives its answers in turn, and the last one for ever."""

    load = Load(waiting=0, running=0, slots=1)

    def __init__(self, *answers: Answer) -> None:
        self.calls: list[EmbedCall] = []
        self.deadlines: list[float] = []
        self.lanes: list[Priority] = []
        self._answers = deque(answers or [rightly])

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        self.calls.append(call)
        self.deadlines.append(deadline)
        self.lanes.append(lane)
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return answer(call)

    @property
    def asked(self) -> list[list[Input]]:
        """The inputs of every call."""
        return [list(call.inputs) for call in self.calls]


class MeetingBackend(FakeBackend):
    """Answers nobody before so many calls are there at the same time."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self._together = asyncio.Barrier(calls)

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        await self._together.wait()
        return await super().embed(call, deadline, lane)


class HangingBackend(FakeBackend):
    """Raises for one input, once all other calls hang; those never come back."""

    def __init__(self, bad: Input, calls: int) -> None:
        super().__init__(raising)
        self.cancelled: list[list[Input]] = []
        self._bad = bad
        self._together = asyncio.Barrier(calls)

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        await self._together.wait()
        if self._bad in call.inputs:
            return await super().embed(call, deadline, lane)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(list(call.inputs))
            raise
        raise AssertionError("an event that nobody sets")
