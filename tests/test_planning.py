"""Inputs become the fewest batches that respect every limit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.planning import pack
from providers.base import Input, Limits

INPUTS = st.lists(st.text(max_size=12) | st.lists(st.integers(0, 100_276), max_size=4), max_size=12)
LIMIT = st.none() | st.integers(1, 30)


@st.composite
def jobs(draw: st.DrawFn) -> tuple[list[Input], list[int], list[int]]:
    """Inputs, their sizes, and the positions that are wanted."""
    inputs: list[Input] = draw(INPUTS)
    sizes = [draw(st.integers(0, 12)) for _ in inputs]
    return inputs, sizes, [position for position in range(len(inputs)) if draw(st.booleans())]


LIMITS = st.builds(Limits, inputs=LIMIT, input_tokens=LIMIT, request_tokens=LIMIT, request_bytes=LIMIT)
Job = tuple[list[Input], list[int], list[int]]


def exceeds(batch: Sequence[int], job: Job, limits: Limits) -> bool:
    """Whether a batch is over a limit, bytes being those of its JSON."""
    inputs, sizes, _ = job
    written = sum(_written(inputs[position]) for position in batch)
    return (
        (limits.inputs is not None and len(batch) > limits.inputs)
        or (limits.request_tokens is not None and sum(sizes[position] for position in batch) > limits.request_tokens)
        or (limits.request_bytes is not None and written > limits.request_bytes)
    )


def _written(item: Input) -> int:
    """A text's UTF-8 or seven bytes for each id, and three for what is around it."""
    return (len(item.encode()) if isinstance(item, str) else 7 * len(item)) + 3


@given(jobs(), LIMITS)
def test_every_position_once(job: Job, limits: Limits) -> None:
    """Every position wanted is in exactly one batch, in its order."""
    assert job[2] == [position for batch in pack(*job, limits) for position in batch]


@given(jobs(), LIMITS)
def test_no_batch_is_empty(job: Job, limits: Limits) -> None:
    """Every batch holds something."""
    assert all(pack(*job, limits))


@given(jobs(), LIMITS)
def test_limits_are_respected(job: Job, limits: Limits) -> None:
    """A batch of more than one input is within every limit."""
    assert [] == [batch for batch in pack(*job, limits) if len(batch) > 1 and exceeds(batch, job, limits)]


@given(jobs(), LIMITS)
def test_no_batch_could_have_been_longer(job: Job, limits: Limits) -> None:
    """A batch ends only where the next input would have been too much: in order, no packing has fewer batches."""
    ended = [[*batch, following[0]] for batch, following in pairwise(pack(*job, limits))]

    assert [] == [longer for longer in ended if not exceeds(longer, job, limits)]


@given(jobs(), st.integers(1, 12))
def test_fewest_batches(job: Job, inputs: int) -> None:
    """With a limit of inputs alone, all batches but the last are full."""
    wanted = job[2]
    full = [wanted[start : start + inputs] for start in range(0, len(wanted), inputs)]

    assert full == pack(*job, Limits(inputs=inputs))


@given(jobs())
def test_no_limits(job: Job) -> None:
    """Without limits everything wanted is one batch."""
    assert ([job[2]] if job[2] else []) == pack(*job, Limits())


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(request_tokens=10), [[0, 1], [2], [3]]),
        (Limits(request_tokens=9), [[0], [1], [2], [3]]),
        (Limits(request_tokens=30), [[0, 1, 2], [3]]),
        (Limits(request_tokens=31), [[0, 1, 2, 3]]),
        (Limits(request_bytes=9), [[0, 1], [2], [3]]),
        (Limits(request_bytes=8), [[0], [1], [2], [3]]),
        (Limits(request_bytes=19), [[0, 1, 2], [3]]),
        (Limits(inputs=2, request_tokens=30), [[0, 1], [2, 3]]),
        (Limits(input_tokens=1), [[0, 1, 2, 3]]),
    ],
    ids=str,
)
def test_borders(limits: Limits, expected: list[list[int]]) -> None:
    """A batch may reach a limit, not pass it; an input that alone passes one is a batch of its own."""
    inputs: list[Input] = ["a", "é", [1], "d"]  # 4, 5, 10 and 4 bytes
    assert expected == pack(inputs, [4, 6, 20, 1], [0, 1, 2, 3], limits)


@given(jobs(), LIMITS)
def test_without_sizes(job: Job, limits: Limits) -> None:
    """Where a target counts in tokens of its own, bytes stand for them."""
    inputs, _, wanted = job

    assert pack(inputs, list(map(_written, inputs)), wanted, limits) == pack(inputs, None, wanted, limits)


PLAIN_TEXT = st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cc", "Cs"]), min_size=1)
IDS = st.lists(st.integers(0, 999_999), min_size=1)


@pytest.mark.parametrize("limits", [Limits(inputs=2), Limits(request_tokens=10), Limits(request_bytes=9)], ids=str)
def test_every_batch_may_reach_the_limit(limits: Limits) -> None:
    """A later batch may hold as much as the first."""
    assert [[0, 1], [2, 3], [4, 5]] == pack(["a", "é"] * 3, [4, 6] * 3, range(6), limits)


@given(st.lists(PLAIN_TEXT, min_size=1) | st.lists(IDS, min_size=1))
def test_bytes_suffice(inputs: list[Input]) -> None:
    """Ids, and texts without escapes, take no more bytes in a body than are counted for them."""
    body = json.dumps(inputs, ensure_ascii=False, separators=(",", ":")).encode()

    assert len(body) <= sum(map(_written, inputs)) + len("[]")
