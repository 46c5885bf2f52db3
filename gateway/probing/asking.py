"""One target under question: calls go through the very backend that serves, and what is sent is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway import contract
from gateway.calls import TRY_SECONDS
from gateway.config import ModelConfig, TargetConfig
from gateway.probing.finding import Answer, Reply
from gateway.retry import Retry
from gateway.routing import Route
from gateway.tokens import counter
from gateway.upstream import Upstream, Via
from providers import codec
from providers.base import EmbedCall, Embeddings, Fault, Input, Request, Response

BringUp = Callable[[Sequence[ModelConfig], Upstream], Sequence[Route]]
"""Makes the models' backends; raises BuildError."""


class _Watch(Upstream):
    """Remembers the last answer, because the vectors alone do not tell how they were written."""

    last: bytes | None = None

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        answer = await super().send(request, via, deadline, max_answer)
        self.last = answer.body if isinstance(answer, Response) else None
        return answer


class Asking:
    """One target under question: `seconds` is the longest time for one question, all tries included.

    Raises BuildError when the target cannot be brought up.
    """

    def __init__(
        self, model: ModelConfig, target: TargetConfig, bring_up: BringUp, seconds: float, retry: Retry
    ) -> None:
        self.calls = 0
        self.tokens = 0
        self._model = model
        self._seconds = seconds
        self._retry = retry
        self._counter = counter("cl100k_base")
        self._watch = _Watch()
        variants = [replace(model, targets=(replace(target, base64=base64),)) for base64 in (False, True)]
        self._plain, self._base64 = (route.targets[0] for route in bring_up(variants, self._watch))

    async def ask(self, inputs: Sequence[Input], dimensions: int | None = None, *, base64: bool = False) -> Reply:
        """Vectors that keep the output contract but for their length, or a fault."""
        target = self._base64 if base64 else self._plain
        role = self._model.default_input_type if target.takes_role else None
        call = EmbedCall(target.model, inputs, dimensions, role)
        deadline = self._retry.clock() + self._seconds

        async def attempt() -> Embeddings | Fault:
            self.calls += 1
            until = min(deadline, self._retry.clock() + (target.timeout or TRY_SECONDS))
            return await target.backend.embed(call, until)

        outcome = await self._retry.run(attempt, deadline)
        if isinstance(outcome, Fault):
            return outcome
        length = len(outcome.vectors[0]) // codec.FLOAT32.itemsize if outcome.vectors else 0
        checked = contract.check(outcome, len(inputs), length)
        if isinstance(checked, Fault):
            return checked
        self.tokens += outcome.prompt_tokens or self.estimate(inputs)
        return Answer(checked, outcome.prompt_tokens, self._watch.last)

    def estimate(self, inputs: Sequence[Input]) -> int:
        return sum(self._counter.count(one) if isinstance(one, str) else len(one) for one in inputs)

    async def close(self) -> None:
        await self._watch.close()
