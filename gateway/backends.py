"""The two kinds of backend behind one method: a service reached over HTTP, and an engine in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway import contract, tracing
from gateway.allowances import Priority
from gateway.away import away, mine
from gateway.credentials import Credentials
from gateway.lockstep import ENTRANCE, STEP
from gateway.portions import portions
from gateway.routing import Load
from gateway.slots import Slots
from gateway.upstream import Upstream, Via
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Provider, Request, Response
from providers.engine import Engine

INLINE_BYTES: Final = 8_192
"""About 2,000 tokens: a static model embeds them in one to two milliseconds, for which others may wait."""

ANSWER_BYTES: Final = 2**20
ANSWER_BYTES_PER_INPUT: Final = 2**18
"""No right answer is larger: 8192 dimensions, pretty-printed at 32 bytes a number."""
SHORTEST_SECRET: Final = 8
"""Characters; a shorter word of a configured header is no credential, and may be part of any sentence."""


class Remote:
    """A provider's service at one endpoint."""

    def __init__(
        self,
        provider: Provider,
        endpoint: Endpoint,
        upstream: Upstream,
        via: Via,
        max_concurrency: int,
        credentials: Credentials | None = None,
    ) -> None:
        self._provider = provider
        self._endpoint = endpoint
        self._upstream = upstream
        self._via = via
        self._slots = Slots(max_concurrency)
        self._credentials = credentials
        """None where the provider builds the key into its requests, or needs none."""
        lent = () if credentials is None else credentials.secrets
        self._secrets = (endpoint.api_key or "", *endpoint.headers.values(), *lent)

    @property
    def load(self) -> Load:
        return self._slots.load

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        """The wait for a slot takes its time from the call's. Who waited longer than the call then had, had no slot."""
        began, request = asyncio.get_running_loop().time(), mine()
        waited = 0.0
        if request is not None:
            request.leave()
        try:
            if not self._slots.take_at_once(lane, began):
                taken = await self._slots.take(deadline, lane)
                if isinstance(taken, Fault):
                    return taken
                began, waited = taken, taken - began
            try:
                most = ANSWER_BYTES + ANSWER_BYTES_PER_INPUT * len(call.inputs)
                sent = self._provider.build_request(call, self._endpoint)
                await STEP
                if self._credentials is None:
                    answer = await self._exchange(sent, deadline, most)
                else:
                    sent, answer = await self._authorized(self._credentials, sent, deadline, most)
            finally:
                self._slots.give_back(began, lane)
        finally:
            if request is not None:
                request.back()
        if isinstance(answer, Fault):
            late = answer.kind is FaultKind.TIMEOUT and waited > deadline - began
            return Fault(FaultKind.NO_SLOT, "a slot became free too late for an answer") if late else answer
        if 200 <= answer.status < 300:
            await ENTRANCE  # a refusal is read at once: others may have to know of it
        return self._parsed(answer, sent)

    def _exchange(self, request: Request, deadline: float, most: int) -> Coroutine[Any, Any, Response | Fault]:
        return self._upstream.send(tracing.passed_on(request), self._via, deadline, most)

    async def _authorized(
        self, credentials: Credentials, request: Request, deadline: float, most: int
    ) -> tuple[Request, Response | Fault]:
        """The request as it was sent, and what came of it; once more where its token turns out to be stale."""
        sent = await credentials.authorized(request, deadline)
        if isinstance(sent, Fault):
            return request, sent
        answer = await self._exchange(sent, deadline, most)
        if isinstance(answer, Response) and answer.status == 401 and credentials.refused(sent):
            sent = await credentials.authorized(request, deadline)
            if isinstance(sent, Fault):
                return request, sent
            answer = await self._exchange(sent, deadline, most)
        return sent, answer

    def _parsed(self, answer: Response, sent: Request) -> Embeddings | Fault:
        if 200 <= answer.status < 300:
            return self._provider.parse_response(answer)
        fault = self._provider.parse_error(answer)
        values = (*self._secrets, sent.headers.get("authorization", ""))
        words = {word for value in values for word in value.split() if len(word) >= SHORTEST_SECRET}
        message = fault.message
        for secret in sorted(words, key=len, reverse=True):
            message = message.replace(secret, "[hidden]")
        return replace(fault, message=message)


class Local:
    """An engine in this process. Much text is embedded a piece at a time, and in between others have their turn.

    A thread would embed while it holds up the event loop: both run Python, of which only one can at a time, and each
    would wait 5 ms for the other to let go. It pays for one long text alone, which is mostly the tokenizer's work.
    """

    def __init__(self, engine: Engine, max_concurrency: int) -> None:
        self._engine = engine
        self._slots = Slots(max_concurrency)
        self._turn = asyncio.Lock()

    @property
    def load(self) -> Load:
        return self._slots.load

    async def embed(self, call: EmbedCall, deadline: float, lane: Priority = "interactive") -> Embeddings | Fault:
        texts = [item for item in call.inputs if isinstance(item, str)]
        if len(texts) != len(call.inputs):
            return Fault(FaultKind.MISCONFIGURED, "a local model reads texts, not token ids")
        with away():
            began = await self._slots.take(deadline, lane)
            if isinstance(began, Fault):
                return began
            try:
                if sum(map(len, texts)) <= INLINE_BYTES:
                    await STEP
                    return self._engine.embed(texts)
                async with asyncio.timeout_at(deadline):
                    return await self._by_pieces(texts)
            except TimeoutError:
                return Fault(FaultKind.TIMEOUT, "the model did not finish in time")
            finally:
                self._slots.give_back(began, lane)

    async def _by_pieces(self, texts: Sequence[str]) -> Embeddings | Fault:
        vectors: list[bytes] = []
        tokens: int | None = 0
        for piece in portions(texts, INLINE_BYTES):
            some = await self._piece(piece)
            if isinstance(some, Fault):
                return replace(some, item=None if some.item is None else some.item + len(vectors))
            vectors += some.vectors
            tokens = None if tokens is None or some.prompt_tokens is None else tokens + some.prompt_tokens
        return Embeddings(vectors, prompt_tokens=tokens)

    async def _piece(self, texts: Sequence[str]) -> Embeddings | Fault:
        """In the order of its texts. It is checked by itself: two that are wrong might look right together."""
        if len(texts[0]) > INLINE_BYTES:
            some = await asyncio.to_thread(self._engine.embed, texts)
        else:
            async with self._turn:  # one piece in a round of the event loop, however many calls have more
                some = self._engine.embed(texts)
                await asyncio.sleep(0)
        if isinstance(some, Fault):
            return some
        right = contract.check(some, len(texts), self._engine.dimensions)
        return right if isinstance(right, Fault) else Embeddings(right, prompt_tokens=some.prompt_tokens)
