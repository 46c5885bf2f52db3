"""A service over HTTP and an engine in this process are asked by the same method."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import threading
from collections.abc import Sequence

import pytest

from gateway.allowances import Priority
from gateway.backends import INLINE_BYTES, Local, Remote
from gateway.credentials import Credentials
from gateway.lockstep import ABREAST, come
from gateway.routing import Load
from gateway.upstream import Upstream, Via
from providers.base import EmbedCall, Embeddings, Endpoint, Fault, FaultKind, Request, Response
from providers.openai import OPENAI
from tests.fakes.backends import TOKENS_EACH, ProviderMistake, rightly, vector, vector_of
from tests.fakes.clock import settle

KEY = "sk-upstream-secret-0123456789"
ENDPOINT = Endpoint("https://host/v1", KEY)
VIA = Via(proxy="http://proxy:3128")
CALL = EmbedCall("small", ["a", "b"])
RIGHT = {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [3, 4]}], "usage": {"prompt_tokens": 2}}


def soon() -> float:
    """A deadline that no test reaches."""
    return asyncio.get_running_loop().time() + 60


def response(status: int, payload: object) -> Response:
    return Response(status, {"retry-after": "3"}, json.dumps(payload).encode())


class FakeUpstream(Upstream):
    """Gives one outcome to every request, once it may."""

    def __init__(self, outcome: Response | Fault) -> None:
        super().__init__()
        self.sent: list[tuple[Request, Via, float, int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self._outcome = outcome

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        self.sent.append((request, via, deadline, max_answer))
        await self.open.wait()
        return self._outcome


def remote(upstream: Upstream, endpoint: Endpoint = ENDPOINT, max_concurrency: int = 2) -> Remote:
    return Remote(OPENAI, endpoint, upstream, VIA, max_concurrency)


# ── a service ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_request() -> None:
    """The provider's request goes upstream on the target's way, before the deadline."""
    upstream = FakeUpstream(response(200, RIGHT))
    deadline = soon()
    await remote(upstream).embed(CALL, deadline)

    assert [(OPENAI.build_request(CALL, ENDPOINT), VIA, deadline, 2**20 + 2 * 2**18)] == upstream.sent


@pytest.mark.parametrize("status", [200, 201, 299])
async def test_answer(status: int) -> None:
    """An answer of success is read by the provider."""
    expected = Embeddings([vector(1, 2), vector(3, 4)], [0, 1], 2)

    assert expected == await remote(FakeUpstream(response(status, RIGHT))).embed(CALL, soon())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (199, FaultKind.BROKEN),
        (300, FaultKind.MISCONFIGURED),
        (400, FaultKind.REJECTED),
        (413, FaultKind.REJECTED),
        (429, FaultKind.THROTTLED),
        (500, FaultKind.BROKEN),
    ],
)
async def test_error(status: int, kind: FaultKind) -> None:
    """Any other answer is an error, which the provider reads, too."""
    outcome = await remote(FakeUpstream(response(status, {"error": "No."}))).embed(CALL, soon())

    assert Fault(kind, "No.", status, 3.0, divisible=status == 413) == outcome


@pytest.mark.parametrize(("status", "at_once"), [(200, False), (429, True), (500, True)])
async def test_error_in_a_crowd(status: int, at_once: bool) -> None:
    """What a target refuses is read at once, however many other answers have come: calls that follow have to know."""
    loop, tasks = asyncio.get_running_loop(), []
    for _ in range(3 * ABREAST):
        tasks.append(loop.create_task(remote(FakeUpstream(response(status, RIGHT))).embed(CALL, soon())))
        come(loop)
    await asyncio.sleep(0)
    done = [task.done() for task in tasks]
    await asyncio.gather(*tasks)

    assert [at_once] * 3 * ABREAST == done


async def test_fault() -> None:
    """A fault of the exchange is handed on."""
    fault = Fault(FaultKind.TIMEOUT, "it did not answer in time")

    assert fault is await remote(FakeUpstream(fault)).embed(CALL, soon())


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        (ENDPOINT, Fault(FaultKind.MISCONFIGURED, "Wrong key [hidden]: [hidden].", 401, 3.0)),
        (Endpoint("https://host/v1"), Fault(FaultKind.MISCONFIGURED, f"Wrong key {KEY}: {KEY}.", 401, 3.0)),
        (Endpoint("https://host/v1", "another"), Fault(FaultKind.MISCONFIGURED, f"Wrong key {KEY}: {KEY}.", 401, 3.0)),
    ],
    ids=["its own", "none", "another"],
)
async def test_key_in_a_message(endpoint: Endpoint, expected: Fault) -> None:
    """The target's own key is hidden wherever an upstream quotes it."""
    upstream = FakeUpstream(response(401, {"error": {"message": f"Wrong key {KEY}: {KEY}."}}))

    assert expected == await remote(upstream, endpoint).embed(CALL, soon())


@pytest.mark.parametrize(
    ("headers", "message", "expected"),
    [
        ({"api-key": "azure-secret"}, "Bad azure-secret, azure-secret.", "Bad [hidden], [hidden]."),
        ({"authorization": "Basic dXNlcjpwYXNz"}, "Not dXNlcjpwYXNz", "Not [hidden]"),
        ({"x-one": "longsecret", "x-two": "a-longsecret-too"}, "Not a-longsecret-too", "Not [hidden]"),
        ({"x-one": "12345678"}, "Not 12345678", "Not [hidden]"),
        ({"x-one": "1234567"}, "Not 1234567", "Not 1234567"),
        ({"x-team": "search"}, "The search failed.", "The search failed."),
    ],
)
async def test_headers_in_a_message(headers: dict[str, str], message: str, expected: str) -> None:
    """The words of the target's own headers are hidden, but for short ones, which are no credentials."""
    backend = remote(FakeUpstream(response(400, {"error": message})), Endpoint("https://host/v1", headers=headers))

    assert Fault(FaultKind.REJECTED, expected, 400, 3.0) == await backend.embed(CALL, soon())


async def test_no_slot() -> None:
    """When no slot becomes free before the deadline, the upstream is not asked."""
    upstream = FakeUpstream(response(200, RIGHT))
    upstream.open.clear()
    backend = remote(upstream, max_concurrency=1)
    running = asyncio.create_task(backend.embed(CALL, soon()))
    await settle()
    outcome = await backend.embed(CALL, asyncio.get_running_loop().time())
    upstream.open.set()
    await running

    assert isinstance(outcome, Fault)
    assert (FaultKind.NO_SLOT, "no slot becomes free in time", 1) == (outcome.kind, outcome.message, len(upstream.sent))


@pytest.mark.parametrize(("waited", "expected"), [(29.0, FaultKind.TIMEOUT), (31.0, FaultKind.NO_SLOT)])
async def test_late_slot(waited: float, expected: FaultKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that had less time left than it had waited for its slot blames the wait, and not the upstream."""
    upstream = FakeUpstream(Fault(FaultKind.TIMEOUT, "it did not answer in time"))
    upstream.open.clear()
    backend = remote(upstream, max_concurrency=1)
    first = asyncio.create_task(backend.embed(CALL, soon()))
    await settle()
    second = asyncio.create_task(backend.embed(CALL, soon()))
    await settle()
    loop = asyncio.get_running_loop()
    later = loop.time() + waited
    monkeypatch.setattr(loop, "time", lambda: later)
    upstream.open.set()
    outcomes = await asyncio.gather(first, second)

    assert [FaultKind.TIMEOUT, expected] == [outcome.kind for outcome in outcomes if isinstance(outcome, Fault)]


async def test_load() -> None:
    """A service's load is its calls that run and wait."""
    upstream = FakeUpstream(response(200, RIGHT))
    upstream.open.clear()
    backend = remote(upstream, max_concurrency=2)
    running = [asyncio.create_task(backend.embed(CALL, soon())) for _ in range(5)]
    await settle()
    load = backend.load
    upstream.open.set()
    await asyncio.gather(*running)

    assert (Load(waiting=3, running=2, slots=2), Load(waiting=0, running=0, slots=2)) == (load, backend.load)


async def test_lane() -> None:
    """A call waits in its lane."""
    upstream = FakeUpstream(response(200, RIGHT))
    upstream.open.clear()
    backend = remote(upstream, max_concurrency=1)
    lanes: list[Priority] = ["interactive", "interactive", "bulk"]
    running = [asyncio.create_task(backend.embed(CALL, soon(), lane)) for lane in lanes]
    await settle()
    load = backend.load
    upstream.open.set()
    await asyncio.gather(*running)

    assert Load(waiting=2, running=1, slots=1, waiting_bulk=1) == load


async def test_hanging_up_frees_the_slot() -> None:
    """A cancelled call gives its slot back."""
    upstream = FakeUpstream(response(200, RIGHT))
    upstream.open.clear()
    backend = remote(upstream)
    running = asyncio.create_task(backend.embed(CALL, soon()))
    await settle()
    running.cancel()
    await asyncio.wait([running])

    assert Load(waiting=0, running=0, slots=2) == backend.load


# ── credentials ───────────────────────────────────────────────────────────────────────────────────────────────────


class FakeCredentials:
    """Hands out `tokens` one after the other, the last one for ever; a new one after each refusal."""

    secrets = ("S3cret-of-the-target",)

    def __init__(self, *tokens: str, fault: Fault | None = None) -> None:
        self._tokens = list(tokens)
        self._fault = fault

    async def authorized(self, request: Request, deadline: float) -> Request | Fault:
        if self._fault is not None:
            return self._fault
        return dataclasses.replace(request, headers={**request.headers, "authorization": f"Bearer {self._tokens[0]}"})

    def refused(self, request: Request) -> bool:
        del self._tokens[0]
        return bool(self._tokens)


class Guarded(FakeUpstream):
    """Answers one token rightly, and quotes every other one."""

    def __init__(self, right: str) -> None:
        super().__init__(response(200, RIGHT))
        self._right = right

    @property
    def tokens(self) -> list[str]:
        return [request.headers["authorization"].removeprefix("Bearer ") for request, *_ in self.sent]

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        answer = await super().send(request, via, deadline, max_answer)
        if self.tokens[-1] == self._right:
            return answer
        return response(401, {"error": f"{self.tokens[-1]} is not S3cret-of-the-target"})


def authorized(upstream: Upstream, credentials: Credentials) -> Remote:
    return Remote(OPENAI, Endpoint("https://host/v1"), upstream, VIA, 2, credentials)


async def test_authorized() -> None:
    """A request is sent as its credentials make it."""
    upstream = Guarded("token-number-1")
    outcome = await authorized(upstream, FakeCredentials("token-number-1")).embed(CALL, soon())

    assert (Embeddings([vector(1, 2), vector(3, 4)], [0, 1], 2), ["token-number-1"]) == (outcome, upstream.tokens)


async def test_refused_once() -> None:
    """With credentials that may have expired, a refused call is tried once more with new ones."""
    upstream = Guarded("token-number-2")
    outcome = await authorized(upstream, FakeCredentials("token-number-1", "token-number-2", "token-number-3")).embed(
        CALL, soon()
    )

    assert (True, ["token-number-1", "token-number-2"]) == (isinstance(outcome, Embeddings), upstream.tokens)


@pytest.mark.parametrize(
    ("tokens", "tried"),
    [(["token-number-1"], 1), (["token-number-1", "token-number-2", "token-number-3"], 2)],
    ids=["no other", "others"],
)
async def test_refused(tokens: list[str], tried: int) -> None:
    """A call is tried no third time, and what was refused is hidden."""
    upstream = Guarded("another")
    outcome = await authorized(upstream, FakeCredentials(*tokens)).embed(CALL, soon())

    assert Fault(FaultKind.MISCONFIGURED, "[hidden] is not [hidden]", 401, 3.0) == outcome
    assert tried == len(upstream.sent)


async def test_no_credentials() -> None:
    """Without credentials nothing is sent, and the target is not at fault for its answer."""
    upstream = FakeUpstream(response(200, RIGHT))
    fault = Fault(FaultKind.OVERLOADED, "no token", 503, 1.0)

    assert (fault, []) == (
        await authorized(upstream, FakeCredentials(fault=fault)).embed(CALL, soon()),
        upstream.sent,
    )


# ── an engine ─────────────────────────────────────────────────────────────────────────────────────────────────────


class FakeEngine:
    """Notes in which thread it is asked."""

    dimensions = 8

    def __init__(self, mistake: type[Exception] | None = None) -> None:
        self.threads: list[int] = []
        self._mistake = mistake

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        self.threads.append(threading.get_ident())
        if self._mistake is not None:
            raise self._mistake
        return rightly(EmbedCall("small", texts))


def call(*texts: str) -> EmbedCall:
    return EmbedCall("small", texts)


@pytest.mark.parametrize("size", [1, INLINE_BYTES])
async def test_engine(size: int) -> None:
    """An engine's vectors are handed on, whether they are many or few."""
    texts = call("a" * size, "b")

    assert found(rightly(texts)) == found(await Local(FakeEngine(), 2).embed(texts, soon()))


@pytest.mark.parametrize(
    ("texts", "inline"),
    [
        (["a"], True),
        (["a" * INLINE_BYTES], True),
        (["a" * (INLINE_BYTES + 1)], False),
        (["a"] * INLINE_BYTES, True),
        (["a"] * (3 * INLINE_BYTES), True),
        (["a" * INLINE_BYTES] * 3, True),
    ],
    ids=["short", "longest", "long", "many", "more", "most"],
)
async def test_thread(texts: list[str], inline: bool) -> None:
    """A long text is embedded in another thread, others are not."""
    engine = FakeEngine()
    await Local(engine, 2).embed(call(*texts), soon())

    assert {inline} == {thread == threading.get_ident() for thread in engine.threads}


def found(answer: Embeddings | Fault) -> tuple[Sequence[bytes], int | None]:
    """Vectors in the order of the texts, and the tokens."""
    assert isinstance(answer, Embeddings)
    assert answer.indexes in (None, range(len(answer.vectors)))
    return answer.vectors, answer.prompt_tokens


async def test_much_text_is_embedded_piece_by_piece() -> None:
    """Each piece is as large as it may be, and the vectors come in the order of the texts."""
    engine = FakeEngine()
    texts = call("a" * INLINE_BYTES, "b", "c" * INLINE_BYTES, *["d"] * INLINE_BYTES, "e" * (INLINE_BYTES + 1), "f")
    answer = await Local(engine, 2).embed(texts, soon())

    assert (found(rightly(texts)), 6) == (found(answer), len(engine.threads))


class OddEngine(FakeEngine):
    """Gives what it is told in place of its vectors, from the second call on."""

    def __init__(self, odd: Embeddings | Fault) -> None:
        super().__init__()
        self._odd = odd

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        right = super().embed(texts)
        return self._odd if len(self.threads) > 1 else right


LONG = "a" * INLINE_BYTES
A, B, C = (vector_of(text) for text in (LONG, "b", "c"))


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        (Embeddings([B, C], [1, 0], 4), Embeddings([A, C, B], prompt_tokens=4 + TOKENS_EACH)),
        (Embeddings([B, C]), Embeddings([A, B, C])),
        (Fault(FaultKind.REJECTED, "it is bad.", item=1), Fault(FaultKind.REJECTED, "it is bad.", item=2)),
        (Fault(FaultKind.BROKEN, "it broke"), Fault(FaultKind.BROKEN, "it broke")),
        (Embeddings([B]), Fault(FaultKind.MALFORMED, "1 vectors came back for 2 inputs")),
        (
            Embeddings([B, bytes(len(C))]),
            Fault(FaultKind.MALFORMED, "the vector is all zeros", item=2, divisible=True),
        ),
    ],
    ids=["out of order", "without usage", "one refused", "broken", "too few", "zeros"],
)
async def test_pieces_are_put_together(odd: Embeddings | Fault, expected: Embeddings | Fault) -> None:
    """Every piece is put in order and checked by itself; what is wrong is told by its position among all."""
    assert expected == await Local(OddEngine(odd), 2).embed(call(LONG, "b", "c"), soon())


async def test_much_text_leaves_others_their_turn() -> None:
    """However many calls have more than one piece, no two pieces are embedded in one round of the event loop."""
    engine = FakeEngine()
    backend = Local(engine, 8)
    rounds: list[int] = []

    async def others() -> None:
        while True:
            rounds.append(len(engine.threads))
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    await asyncio.gather(*(backend.embed(call(*["a" * INLINE_BYTES] * 5), soon()) for _ in range(4)))
    beside.cancel()
    steps = {after - before for before, after in itertools.pairwise(rounds)}

    assert (20, {0, 1}) == (len(engine.threads), steps | {0})


async def test_much_text_that_nobody_waits_for() -> None:
    """A call that is cancelled has no further piece embedded."""

    class GivenUp(FakeEngine):
        def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
            if self.threads:
                running.cancel()
            return super().embed(texts)

    engine = GivenUp()
    running = asyncio.create_task(Local(engine, 2).embed(call(*["a" * INLINE_BYTES] * 5), soon()))
    with pytest.raises(asyncio.CancelledError):
        await running

    assert 2 == len(engine.threads)


@pytest.mark.parametrize("inputs", [[[1, 2]], ["a", [1]]], ids=str)
async def test_engine_reads_no_ids(inputs: Sequence[str | list[int]]) -> None:
    """Token ids mean nothing to an engine."""
    outcome = await Local(FakeEngine(), 2).embed(EmbedCall("small", inputs), soon())

    assert Fault(FaultKind.MISCONFIGURED, "a local model reads texts, not token ids") == outcome


class WaitingEngine(FakeEngine):
    """Embeds when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        self.may.wait(60)
        return super().embed(texts)


async def test_engine_without_a_slot() -> None:
    """When no slot becomes free before the deadline, the engine is not asked."""
    engine = WaitingEngine()
    backend = Local(engine, max_concurrency=1)
    running = asyncio.create_task(backend.embed(call("a" * (INLINE_BYTES + 1)), soon()))
    await settle()
    outcome = await backend.embed(call("a"), asyncio.get_running_loop().time())
    load = backend.load
    engine.may.set()
    await running

    assert isinstance(outcome, Fault)
    assert (FaultKind.NO_SLOT, "no slot becomes free in time", Load(0, 1, 1), 1) == (
        outcome.kind,
        outcome.message,
        load,
        len(engine.threads),
    )


async def test_engine_out_of_time() -> None:
    """An engine that does not finish before the deadline timed out."""
    engine = WaitingEngine()
    deadline = asyncio.get_running_loop().time() + 0.5  # in which it has begun
    outcome = await Local(engine, 2).embed(call("a" * (INLINE_BYTES + 1)), deadline)
    engine.may.set()

    assert Fault(FaultKind.TIMEOUT, "the model did not finish in time") == outcome


@pytest.mark.parametrize("size", [1, INLINE_BYTES + 1])
async def test_engine_mistake(size: int) -> None:
    """An engine that raises gives its slot back."""
    backend = Local(FakeEngine(ProviderMistake), 2)
    with pytest.raises(ProviderMistake):
        await backend.embed(call("a" * size), soon())

    assert Load(waiting=0, running=0, slots=2) == backend.load
