"""One request from its name to its vectors, over backends that have no socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway import errors
from gateway.answers import Result
from gateway.auth import Caller
from gateway.books import Books, unkept
from gateway.cache import Cache
from gateway.dimensions import Dimensions
from gateway.dispatch import Dispatcher
from gateway.errors import GatewayError
from gateway.record import Record
from gateway.retry import Retry
from gateway.routing import Route, Routes, Target
from gateway.service import Gateway
from gateway.supply import Supply
from gateway.vocabulary import cl100k
from gateway.wire import EmbeddingsRequest
from providers import codec
from providers.base import EmbedCall, FaultKind, Input, InputType, Limits
from tests.fakes import backends
from tests.fakes.backends import DIMENSIONS, TOKENS_EACH, FakeBackend, failing, vector_of, vectors_of
from tests.fakes.clock import FakeTime
from tests.fakes.counters import LetterCounter

TEXTS = ["one text", "another", "thirdly"]
FAR = 1e9
"""Seconds on a clock that the event loop's own, by which tokens are counted in time, does not reach."""
ANYONE = Caller("k1", "anyone", ("*",))
NATIVE = Dimensions(DIMENSIONS, shorten="native")
CUT = Dimensions(DIMENSIONS, shorten="truncate", allowed=[2, 4])


def target(name: str, backend: FakeBackend, **fields: Any) -> Target:
    return Target(name, "fake", "their-small", backend, **fields)


Random = Callable[[], float]


class House:
    """A gateway with one route, `small`, and a record of its last request."""

    def __init__(
        self,
        *backends: FakeBackend,
        exact: bool = True,
        random: Random = lambda: 0.5,
        books: Books | None = None,
        cache: Cache | None = None,
        **fields: Any,
    ) -> None:
        targets = fields.pop("targets", None) or [
            target(f"t{place}", backend, priority=place) for place, backend in enumerate(backends)
        ]
        route = Route(
            "small", "our/space", fields.pop("dimensions", NATIVE), targets, **{"tokenizer": "letters", **fields}
        )
        self.time = FakeTime(now=FAR)
        self.record = Record("req_1", self.time.clock, self.time.now)
        dispatcher = Dispatcher(Retry(self.time.clock, self.time.sleep, random), self.time.clock)
        self._gateway = Gateway(
            Routes([route]),
            {"letters": LetterCounter(exact=exact)},
            dispatcher,
            books or unkept(self.time.clock),
            random,
            None if cache is None else Supply(cache, dispatcher),
        )

    async def embed(self, inputs: Sequence[Input] = TEXTS, *, caller: Caller = ANYONE, **fields: Any) -> Result:
        request = EmbeddingsRequest(fields.pop("model", "small"), inputs, **fields)
        return await self._gateway.embed(request, caller, self.time.now + 60, self.record)

    def target_states(self) -> list[tuple[str, str, str]]:
        return [(now.model, now.target, now.state) for now in self._gateway.target_states()]

    async def refuses(self, inputs: Sequence[Input] = TEXTS, **fields: Any) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            await self.embed(inputs, **fields)
        return caught.value


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_result() -> None:
    """N inputs give N vectors in their order, with all that the answer tells."""
    expected = Result(
        model="small",
        vectors=vectors_of(TEXTS),
        tokens=TOKENS_EACH * len(TEXTS),
        usage_source="reported",
        space="our/space",
        targets=["t0"],
    )

    assert expected == await House(FakeBackend()).embed()


async def test_call() -> None:
    """The target is asked by its own name of the model, for what the client asked and nothing else."""
    backend = FakeBackend()
    await House(backend).embed(["a"])

    assert [EmbedCall("their-small", ["a"])] == backend.calls


async def test_call_with_everything() -> None:
    """Dimensions, input type, user and further fields reach the target."""
    backend = FakeBackend()
    house = House(backend, input_types=["query", "document"])
    await house.embed(["a"], dimensions=4, input_type="query", user="u-1", extra={"seed": 7})

    assert [EmbedCall("their-small", ["a"], 4, "query", "u-1", {"seed": 7})] == backend.calls


@pytest.mark.parametrize("name", ["small", "ada", "small:query", "ada:document"])
async def test_model_is_echoed(name: str) -> None:
    """The answer names the model as the client named it."""
    result = await House(FakeBackend(), aliases=["ada"]).embed(model=name)

    assert name == result.model


async def test_batches() -> None:
    """Inputs beyond a target's limits go in several calls, and come back in their order."""
    texts = [str(number) for number in range(10)]
    house = House(targets=[target("t0", FakeBackend(), limits=Limits(inputs=3))])

    assert vectors_of(texts) == (await house.embed(texts)).vectors


@pytest.mark.parametrize(("numbers", "expected"), [((0.1, 0.5), "t0"), ((0.9, 0.5), "t1")])
async def test_targets_are_shared(numbers: tuple[float, float], expected: str) -> None:
    """Chance decides between targets of one priority."""
    targets = [target("t0", FakeBackend()), target("t1", FakeBackend())]
    house = House(targets=targets, random=iter(numbers).__next__)

    assert [expected] == (await house.embed()).targets


async def test_fallback() -> None:
    """When the first target fails, the second one's vectors are the answer."""
    result = await House(FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend()).embed()

    assert (vectors_of(TEXTS), ["t1"]) == (result.vectors, result.targets)


async def test_deadline() -> None:
    """The request's deadline is the last target's, too."""
    backend = FakeBackend()
    await House(targets=[target("t0", backend, timeout=3600.0)]).embed()

    assert [FAR + 60] == backend.deadlines


# ── refusals ──────────────────────────────────────────────────────────────────────────────────────────────────────

PROMPTS = {"query": "q: {text}", "document": "d: {text}"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"model": "nope"}, errors.ModelNotFound),
        ({"caller": Caller("k2", "other", ("large",))}, errors.ModelNotFound),
        ({"model": "small:query", "input_type": "document"}, errors.InvalidRequest),
        ({"input_type": "clustering"}, errors.InvalidRequest),
        ({"require_space": "another/space"}, errors.SpaceMismatch),
        ({"dimensions": DIMENSIONS + 1}, errors.InvalidRequest),
        ({"extra": {"truncate": "END"}}, errors.InvalidRequest),
        ({"inputs": ["a"] * 4}, errors.InvalidRequest),
        ({"inputs": ["a" * 11]}, errors.ContextLengthExceeded),
        ({"inputs": ["abcdefgh"] * 3}, errors.TooManyTokens),
    ],
    ids=str,
)
async def test_refused_before_any_call(fields: dict[str, Any], expected: type[GatewayError]) -> None:
    """What the route cannot serve is refused without asking anyone."""
    backend = FakeBackend()
    house = House(
        backend,
        prompts=PROMPTS,
        input_types=list(PROMPTS),
        owned=frozenset({"truncate"}),
        limits=Limits(inputs=3, input_tokens=10, request_tokens=20),
    )

    assert (expected, []) == (type(await house.refuses(**fields)), backend.calls)


async def test_space_as_required() -> None:
    """A request that requires the route's own space is served."""
    assert "our/space" == (await House(FakeBackend()).embed(require_space="our/space")).space


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FaultKind.REJECTED, errors.InvalidRequest),
        (FaultKind.THROTTLED, errors.Throttled),
        (FaultKind.TIMEOUT, errors.UpstreamTimeout),
        (FaultKind.BROKEN, errors.UpstreamError),
    ],
)
async def test_every_target_failed(kind: FaultKind, expected: type[GatewayError]) -> None:
    """When no target delivers, the client gets an error of theirs."""
    house = House(FakeBackend(failing(kind)), FakeBackend(failing(kind)))

    assert expected is type(await house.refuses())


async def test_no_vectors_unless_all() -> None:
    """When one input's vector is missing, none is given."""
    last = FakeBackend(backends.failing_on("another", FaultKind.BROKEN))
    house = House(targets=[target("t0", last, limits=Limits(inputs=1))])

    assert errors.UpstreamError is type(await house.refuses())


async def test_breach_names_the_item() -> None:
    """A breach of the contract by the last target names the input."""
    nothing = FakeBackend(backends.rightly, backends.always(*[0.0] * DIMENSIONS))
    house = House(targets=[target("t0", nothing, limits=Limits(inputs=2))])

    assert "`input[2]`: the vector is all zeros" in (await house.refuses()).message


async def test_no_time_to_count() -> None:
    """A request whose time is up while its tokens are counted is told so, and nobody is asked."""
    backend = FakeBackend()
    house = House(backend, limits=Limits(input_tokens=20_000))
    house.time.now = -60.0

    assert (errors.UpstreamTimeout, []) == (type(await house.refuses(["a" * 20_001])), backend.calls)


# ── dimensions ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dimensions", "asked", "sent"),
    [(NATIVE, None, None), (NATIVE, DIMENSIONS, None), (NATIVE, 3, 3), (CUT, None, None), (CUT, 2, None)],
)
async def test_dimensions_sent(dimensions: Dimensions, asked: int | None, sent: int | None) -> None:
    """The provider is asked for a length only where it shortens itself, and only for another than the native one."""
    backend = FakeBackend()
    await House(backend, dimensions=dimensions).embed(dimensions=asked)

    assert [sent] == [call.dimensions for call in backend.calls]


@pytest.mark.parametrize("dimensions", [NATIVE, CUT], ids=["by the provider", "here"])
@pytest.mark.parametrize("asked", [2, 4, DIMENSIONS])
async def test_shortened(dimensions: Dimensions, asked: int) -> None:
    """A shorter vector is the same whether the provider or the gateway shortens it."""
    result = await House(FakeBackend(), dimensions=dimensions).embed(dimensions=asked)

    assert [pytest.approx(row, rel=1e-6) for row in codec.matrix(vectors_of(TEXTS, asked)).tolist()] == codec.matrix(
        result.vectors
    ).tolist()


async def test_zero_once_cut() -> None:
    """A vector that the cut leaves nothing of is a breach, which the next target may mend."""
    hollow = FakeBackend(backends.always(0, 0, *[1.0] * (DIMENSIONS - 2)))
    result = await House(hollow, FakeBackend(), dimensions=CUT).embed(dimensions=2)

    assert ["t1"] == result.targets


@pytest.mark.parametrize(
    ("normalize", "asked", "length"),
    [(False, None, 2.0), (True, None, 1.0), (False, 4, 1.0), (True, 4, 1.0)],
)
async def test_normalize(normalize: bool, asked: int | None, length: float) -> None:
    """Vectors are made unit length where the route says so, or where they are cut."""
    house = House(FakeBackend(backends.twice_as_long), normalize=normalize, dimensions=CUT)
    result = await house.embed(dimensions=asked)
    norms = (codec.matrix(result.vectors) ** 2).sum(axis=1) ** 0.5

    assert [pytest.approx(length, rel=1e-6)] * 3 == norms.tolist()


async def test_not_normalized() -> None:
    """Where the route does not say so, vectors are handed on bit for bit."""
    unit = codec.matrix(vectors_of(TEXTS))

    assert codec.rows(unit * 2) == (await House(FakeBackend(backends.twice_as_long)).embed()).vectors


# ── roles and token ids ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "a"),
        ({"input_type": "query"}, "q: a"),
        ({"input_type": "document"}, "d: a"),
        ({"model": "small:query"}, "q: a"),
        ({"model": "small:query", "input_type": "query"}, "q: a"),
    ],
)
async def test_prompts(fields: dict[str, Any], expected: str) -> None:
    """The prompt of the input type, asked for or fixed by the name, goes around the text."""
    backend = FakeBackend()
    await House(backend, prompts=PROMPTS, input_types=list(PROMPTS)).embed(["a"], **fields)

    assert [[expected]] == backend.asked


@pytest.mark.parametrize(
    ("fields", "asked", "expected"),
    [
        ({}, None, None),
        ({}, "clustering", None),
        ({"input_types": ["query", "document"]}, None, None),
        ({"input_types": ["query", "document"]}, "query", "query"),
        ({"input_types": ["query", "document"], "default_input_type": "document"}, None, "document"),
    ],
)
async def test_role_told(fields: dict[str, Any], asked: InputType | None, expected: InputType | None) -> None:
    """The provider is told the input type that was asked for or is the default; nothing where the model has none."""
    backend = FakeBackend()
    await House(backend, **fields).embed(["a"], input_type=asked)

    assert [EmbedCall("their-small", ["a"], input_type=expected)] == backend.calls


@pytest.mark.parametrize(("takes_role", "expected"), [(True, "query"), (False, None)])
async def test_role_beside_a_prompt(takes_role: bool, expected: InputType | None) -> None:
    """Whether a provider is told what the prompt says already, its target decides."""
    backend = FakeBackend()
    house = House(targets=[target("t0", backend, takes_role=takes_role)], prompts=PROMPTS, input_types=list(PROMPTS))
    await house.embed(["a"], input_type="query")

    assert [EmbedCall("their-small", ["q: a"], input_type=expected)] == backend.calls


@pytest.mark.parametrize("passes", [True, False])
async def test_token_ids(passes: bool) -> None:
    """Token ids go as they came, or as the text that they stand for."""
    backend = FakeBackend()
    ids = cl100k().encode("hello world")
    await House(backend, passes_token_ids=passes).embed([ids])

    assert [[ids if passes else "hello world"]] == backend.asked


async def test_cut_items() -> None:
    """Inputs that lost half a character are reported."""
    half = cl100k().encode("good 🦄")[:-1]
    result = await House(FakeBackend()).embed([cl100k().encode("x"), half])

    assert ([1], vector_of("good ")) == (result.cut_items, result.vectors[1])


# ── equal inputs, inputs that are too long ────────────────────────────────────────────────────────────────────────


async def test_equal_inputs() -> None:
    """Equal inputs are sent once, and each gets its vector."""
    backend = FakeBackend()
    result = await House(backend).embed(["a", "b", "a", "a"])

    assert ([["a", "b"]], vectors_of(["a", "b", "a", "a"])) == (backend.asked, result.vectors)


async def test_equal_once_prompted() -> None:
    """What counts is what would be sent: token ids that stand for the same text are equal."""
    backend = FakeBackend()
    whole, split = cl100k().encode("hello"), [cl100k().encode_single_token(letter) for letter in "hello"]
    await House(backend).embed([whole, split])

    assert [["hello"]] == backend.asked


async def test_equal_input_is_named() -> None:
    """A refusal names the first of equal inputs."""
    house = House(FakeBackend(failing(FaultKind.REJECTED, "No.", item=1)))

    assert "`input[2]` was refused" in (await house.refuses(["a", "a", "b", "b"])).message


LONG = "aaaa bbb cc"
"""Nine letters, each of which is a token."""


def cutting(backend: FakeBackend, too_long: str, **fields: Any) -> House:
    return House(backend, too_long=too_long, limits=Limits(input_tokens=4), normalize=True, **fields)


async def test_truncate() -> None:
    """The first part of an input that is too long stands for it, and the input is reported."""
    backend = FakeBackend()
    result = await cutting(backend, "truncate").embed(["a", LONG, "aaaa"])

    assert ([["a", "aaaa"]], [1]) == (backend.asked, result.cut_items)


async def test_average() -> None:
    """All parts of an input that is too long make its vector: their mean by length, of length one."""
    backend = FakeBackend(backends.twice_as_long)
    result = await cutting(backend, "average").embed(["d", LONG])
    parts = codec.matrix(vectors_of(["aaaa", "bbb", "cc"]))
    mean = (4 * parts[0] + 3 * parts[1] + 2 * parts[2]) / 9

    assert ([["d", "aaaa", "bbb", "cc"]], [1]) == (backend.asked, result.cut_items)
    assert [pytest.approx(value, rel=1e-5) for value in mean / (mean**2).sum() ** 0.5] == codec.matrix(result.vectors)[
        1
    ].tolist()


async def test_average_with_a_prompt() -> None:
    """Each part has the prompt, whose tokens count for the limit and not for the mean."""
    backend = FakeBackend()
    house = cutting(backend, "average", prompts={"query": "Q {text}"}, input_types=["query"])
    result = await house.embed([LONG], input_type="query")
    parts = codec.matrix(vectors_of(["Q aaa", "Q a", "Q bbb", "Q cc"]))
    mean = 3 * parts[0] + parts[1] + 3 * parts[2] + 2 * parts[3]

    assert [["Q aaa", "Q a", "Q bbb", "Q cc"]] == backend.asked
    assert [pytest.approx(value, rel=1e-5) for value in mean / (mean**2).sum() ** 0.5] == codec.matrix(
        result.vectors
    ).tolist()[0]


async def test_all_parts_or_none() -> None:
    """When one part of an input has no vector, the input has none either."""
    house = cutting(FakeBackend(backends.failing_on("bbb", FaultKind.BROKEN)), "average")

    assert errors.UpstreamError is type(await house.refuses([LONG]))


async def test_parts_that_cancel_each_other_out() -> None:
    """A mean that is no vector is a breach that names its input."""
    opposite = FakeBackend(backends.always(1.0, *[0.0] * 7), backends.always(-1.0, *[0.0] * 7))
    targets = [target("t0", opposite, limits=Limits(inputs=1))]
    house = House(targets=targets, too_long="average", limits=Limits(input_tokens=4), normalize=True)

    assert "for `input[1]`: the vector is all zeros" in (await house.refuses(["aaaa", "aaaa bbbb"])).message


async def test_shortened_mean() -> None:
    """A mean is shortened as any vector."""
    whole = await cutting(FakeBackend(), "average", dimensions=CUT).embed([LONG])
    short = await cutting(FakeBackend(), "average", dimensions=CUT).embed([LONG], dimensions=2)
    beginning = codec.matrix(whole.vectors)[:, :2]

    assert codec.unit_length(beginning).tolist() == codec.matrix(short.vectors).tolist()


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "known", "exact", "expected"),
    [
        (backends.rightly, True, True, (9, "reported")),
        (backends.rightly, False, False, (9, "reported")),
        (backends.without_usage, True, True, (21, "counted")),
        (backends.without_usage, False, True, (21, "estimated")),
        (backends.without_usage, True, False, (21, "estimated")),
    ],
)
async def test_usage(answer: backends.Answer, known: bool, exact: bool, expected: tuple[int, str]) -> None:
    """Tokens are what was billed; else counted by the model's own tokenizer; else an estimate, which says so."""
    house = House(FakeBackend(answer), exact=exact, tokenizer_known=known)
    result = await house.embed()

    assert expected == (result.tokens, result.usage_source)


async def test_usage_of_what_was_sent() -> None:
    """What is counted is the text as it was sent, prompt included."""
    house = House(FakeBackend(backends.without_usage), prompts=PROMPTS, input_types=list(PROMPTS))
    result = await house.embed(["abc"], input_type="query")

    assert 4 == result.tokens


# ── the record ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_record() -> None:
    """The record is told targets, failures and tokens."""
    house = House(FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend())
    await house.embed()

    assert (["t1"], ["t0"], 9) == (
        house.record.targets,
        [attempt.target for attempt in house.record.attempts],
        house.record.tokens,
    )


async def test_record_of_a_failure() -> None:
    """The record is told of every target that failed, even when there is no answer."""
    house = House(FakeBackend(failing(FaultKind.TIMEOUT)), FakeBackend(failing(FaultKind.EXHAUSTED)))
    await house.refuses()

    assert ["t0", "t1"] == [attempt.target for attempt in house.record.attempts]


async def test_timings() -> None:
    """The record has the time of admission and of the upstream calls."""
    house = House(FakeBackend(failing(FaultKind.THROTTLED, retry_after=2.0), backends.rightly), random=lambda: 0.0)
    await house.embed()

    assert {"tokens": 0.0, "upstream": 2.0} == house.record.timings


async def test_out_of_service() -> None:
    """A model whose every target is taken out is a clear 503 that nobody upstream sees."""
    drained, ejected = target("t0", FakeBackend()), target("t1", FakeBackend())
    drained.health.drained, ejected.health.ejected = True, "drift"
    house = House(targets=[drained, ejected])
    error = await house.refuses()

    assert (503, "upstream_unavailable", "30") == (error.status, error.error_code, error.headers["retry-after"])
    assert "taken out of service" in error.message
    assert [("small", "t0", "drained"), ("small", "t1", "ejected")] == house.target_states()
