"""Inputs become what goes upstream: each once, in the fewest batches that respect every limit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import packing
from gateway.packing import Frame, pack
from gateway.planning import Plan, plan
from providers import PROVIDERS, codec
from providers.base import EmbedCall, Endpoint, Input, Limits, Provider

INPUTS = st.lists(st.text(max_size=12) | st.lists(st.integers(0, 100_276), max_size=4), max_size=12)
LIMIT = st.none() | st.integers(1, 30)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[Input], list[int], list[int]]:
    """Inputs, their sizes, and the positions that are wanted."""
    inputs: list[Input] = draw(INPUTS)
    sizes = [draw(st.integers(0, 12)) for _ in inputs]
    return inputs, sizes, [position for position in range(len(inputs)) if draw(st.booleans())]


FRAME = Frame(once=9, each=2)
LIMITS = st.builds(
    Limits,
    inputs=LIMIT,
    input_tokens=LIMIT,
    request_tokens=LIMIT,
    request_bytes=st.none() | st.integers(1, 80),
)
Job = tuple[list[Input], list[int], list[int]]


def exceeds(batch: Sequence[int], job: Job, limits: Limits) -> bool:
    """Whether a batch is over a limit."""
    inputs, sizes, _ = job
    written = FRAME.once + sum(_written(inputs[position]) + FRAME.each for position in batch)
    return (
        (limits.inputs is not None and len(batch) > limits.inputs)
        or (limits.request_tokens is not None and sum(sizes[position] for position in batch) > limits.request_tokens)
        or (limits.request_bytes is not None and written > limits.request_bytes)
    )


def _written(item: Input) -> int:
    """Its JSON, and a comma."""
    return len(codec.write_json(item)) + 1


def packed(job: Job, limits: Limits) -> list[Sequence[int]]:
    return pack(*job, limits, FRAME)


@given(jobs(), LIMITS)
def test_every_position_once(job: Job, limits: Limits) -> None:
    """Every position wanted is in exactly one batch, in its order."""
    assert job[2] == [position for batch in packed(job, limits) for position in batch]


@given(jobs(), LIMITS)
def test_no_batch_is_empty(job: Job, limits: Limits) -> None:
    """Every batch holds something."""
    assert all(packed(job, limits))


@given(jobs(), LIMITS)
def test_limits_are_respected(job: Job, limits: Limits) -> None:
    """A batch of more than one input is within every limit."""
    assert [] == [batch for batch in packed(job, limits) if len(batch) > 1 and exceeds(batch, job, limits)]


@given(jobs(), LIMITS)
def test_no_batch_could_have_been_longer(job: Job, limits: Limits) -> None:
    """A batch ends only where the next input would have been too much: in order, no packing has fewer batches."""
    ended = [[*batch, following[0]] for batch, following in pairwise(packed(job, limits))]

    assert [] == [longer for longer in ended if not exceeds(longer, job, limits)]


@given(jobs(), st.integers(1, 12))
def test_fewest_batches(job: Job, inputs: int) -> None:
    """With a limit of inputs alone, all batches but the last are full."""
    wanted = job[2]
    full = [wanted[start : start + inputs] for start in range(0, len(wanted), inputs)]

    assert full == packed(job, Limits(inputs=inputs))


@given(jobs())
def test_no_limits(job: Job) -> None:
    """Without limits everything wanted is one batch."""
    assert ([job[2]] if job[2] else []) == packed(job, Limits())


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(request_tokens=10), [[0, 1], [2], [3]]),
        (Limits(request_tokens=9), [[0], [1], [2], [3]]),
        (Limits(request_tokens=30), [[0, 1, 2], [3]]),
        (Limits(request_tokens=31), [[0, 1, 2, 3]]),
        (Limits(request_bytes=9), [[0, 1], [2, 3]]),
        (Limits(request_bytes=8), [[0], [1], [2, 3]]),
        (Limits(request_bytes=13), [[0, 1, 2], [3]]),
        (Limits(inputs=2, request_tokens=30), [[0, 1], [2, 3]]),
        (Limits(input_tokens=1), [[0, 1, 2, 3]]),
    ],
    ids=str,
)
def test_borders(limits: Limits, expected: list[list[int]]) -> None:
    """A batch may reach a limit, not pass it; an input that alone passes one is a batch of its own."""
    inputs: list[Input] = ["a", "é", [1], "d"]  # 4, 5, 4 and 4 bytes
    assert expected == pack(inputs, [4, 6, 20, 1], [0, 1, 2, 3], limits)


@given(jobs(), LIMITS)
def test_without_sizes(job: Job, limits: Limits) -> None:
    """Where a target counts in tokens of its own, bytes stand for those of a text, with room for its marks."""
    inputs, _, wanted = job
    most = [(len(item.encode()) if isinstance(item, str) else len(item)) + 3 for item in inputs]

    assert pack(inputs, most, wanted, limits) == pack(inputs, None, wanted, limits)


@pytest.mark.parametrize("limits", [Limits(inputs=2), Limits(request_tokens=10), Limits(request_bytes=9)], ids=str)
def test_every_batch_may_reach_the_limit(limits: Limits) -> None:
    """A later batch may hold as much as the first."""
    assert [[0, 1], [2, 3], [4, 5]] == pack(["a", "é"] * 3, [4, 6] * 3, range(6), limits)


REMOTE = sorted(name for name, provider in PROVIDERS.items() if isinstance(provider, Provider))


@pytest.mark.parametrize("words", ["", "naïve 日本語 👩‍👩‍👧", '"\\/\n\0\x1f\x7f'])
@pytest.mark.parametrize("name", REMOTE)
def test_bodies(name: str, words: str) -> None:
    """No provider's body is larger than packing supposes, escapes and everyone's fields included."""
    provider = PROVIDERS[name]
    assert isinstance(provider, Provider)
    texts = [words + letter for letter in "abc"][: provider.limits.inputs]
    role = max(provider.roles, key=len, default=None)
    call = EmbedCall(f"m/{words}", texts, 1024, role, words, {"one": words})
    place = Endpoint("https://h", "key", None, "r", "p", extra_body={"two": {"three": words}}, base64=True)
    frame = packing.frame(call.model, place.extra_body, call.extra, call.user)

    assert len(provider.build_request(call, place).body) <= frame.once + sum(_written(t) + frame.each for t in texts)


# ── what goes upstream ────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2), max_size=12))
def test_each_once(inputs: list[Input]) -> None:
    """No two inputs of a plan are equal, and every input of the request is one of them."""
    made = plan(inputs, [0] * len(inputs), range(len(inputs)))

    assert (inputs, len(made.inputs)) == (
        [made.inputs[place] for (place,) in made.uses],
        len({str(item) + str(type(item)) for item in inputs}),
    )


def test_plan() -> None:
    """A plan has each text once, with its size, where it is used, and where it came from."""
    expected = Plan(["a", "b", "c"], [1, 2, 3], [[0], [1, 2, 1], [0], [2]], [0, 1, 1], overhead=1)

    assert expected == plan(["a", "b", "c", "b", "a", "c"], [1, 2, 3, 2, 1, 3], [0, 1, 1, 1, 2, 3], overhead=1)


def test_exact_size() -> None:
    """Of equal inputs the smallest size holds: others are upper bounds."""
    assert [3, 2] == plan(["a", "b", "a", "b"], [9, 2, 3, 8], range(4)).sizes


def test_repeats() -> None:
    """Each input is counted as often as the request needs it."""
    assert [2, 2, 2] == Plan(["a", "b", "c"], [1, 2, 3], [[0], [1, 2, 1], [0], [2]], [0, 1, 1]).repeats


def test_merged() -> None:
    """Vectors return to their inputs; of parts the mean does, by the tokens that are their own, and at least one."""
    made = Plan(["a", "b", "c"], [9, 3, 2], [[0], [1, 2, 1], [2]], [0, 1, 2], overhead=2)
    merged = made.merged([b"A", b"B", b"C"], lambda vectors, weights: repr((vectors, weights)).encode())

    assert ([b"A", b"([b'B', b'C', b'B'], [1, 1, 1])", b"C"], [1]) == (merged, made.averages)


def test_inputs_are_not_shown() -> None:
    """A plan shows no text."""
    assert "secret" not in repr(plan(["secret"], [1], [0]))
