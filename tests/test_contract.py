"""N inputs in, N right vectors out, or the first promise that was broken."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gateway import contract
from providers import codec
from providers.base import Embeddings, Fault, FaultKind
from tests.fakes.backends import vector

A, B, C = vector(1, 0, 0), vector(0, 2, 0), vector(0, 0, 3)
NAN, INFINITY, ZERO = vector(0, float("nan"), 1), vector(float("-inf"), 0, 1), vector(0, 0, 0)

MOST = float(np.finfo(np.float32).max)
LEAST = float(np.finfo(np.float32).smallest_subnormal)
VALUES = st.floats(-MOST, MOST, width=32)
MATRICES = arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=VALUES)
NON_ZERO = MATRICES.filter(lambda matrix: bool(matrix.any(axis=1).all()))


def check(vectors: Sequence[bytes], indexes: Sequence[int] | None = None, kept: int | None = None) -> object:
    return contract.check(Embeddings(vectors, indexes), inputs=len(vectors), dimensions=3, kept=kept)


def breach_of(answer: object) -> tuple[FaultKind, str, int | None]:
    assert isinstance(answer, Fault)
    return answer.kind, answer.message, answer.item


# ── what passes ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_in_order() -> None:
    """Vectors whose wire has no index stay in their order."""
    assert [A, B, C] == check([A, B, C])


@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_order(inputs: int, shuffle: random.Random) -> None:
    """Vectors in any order are put back into that of the inputs."""
    expected = [vector(1, 0, place) for place in range(inputs)]
    indexes = list(range(inputs))
    shuffle.shuffle(indexes)

    assert expected == check([expected[index] for index in indexes], indexes)


@given(NON_ZERO)
def test_values_stay(matrix: codec.Matrix) -> None:
    """Vectors of finite values, not all zero, pass bit for bit."""
    vectors = codec.rows(matrix)

    assert vectors == contract.check(Embeddings(vectors), len(vectors), matrix.shape[1])


# ── what does not ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("vectors", "inputs"), [([], 1), ([A], 2), ([A, B, C], 2), ([A, B], 1)])
def test_count(vectors: list[bytes], inputs: int) -> None:
    """Another number of vectors than of inputs is a breach that gives both numbers."""
    answer = contract.check(Embeddings(vectors, range(len(vectors))), inputs, dimensions=3)

    assert (
        FaultKind.MALFORMED,
        f"{len(vectors)} vectors came back for {inputs} inputs",
        None,
    ) == breach_of(answer)


@pytest.mark.parametrize(
    "indexes",
    [
        [0, 1, 1],
        [0, 0, 2],
        [2, 2, 2],
        [0, 1, 3],
        [1, 2, 3],
        [-1, 0, 1],
        [0, 1, -1],
        [0, 1, 2**64],
        [0, 1],
        [0, 1, 2, 3],
        [],
    ],
    ids=str,
)
def test_indexes(indexes: list[int]) -> None:
    """Indexes that are doubled, beyond the end or negative are a breach."""
    expected = (FaultKind.MALFORMED, "the indexes of the vectors are not those of the inputs, each once", None)

    assert expected == breach_of(check([A, B, C], indexes))


@given(st.lists(st.integers(-2, 5), min_size=4, max_size=4).filter(lambda found: sorted(found) != [0, 1, 2, 3]))
def test_only_permutations_pass(indexes: list[int]) -> None:
    """Whatever is no permutation of the inputs' positions is a breach."""
    assert isinstance(check([A, B, C, A], indexes), Fault)


@pytest.mark.parametrize(
    ("odd", "length"),
    [
        (vector(1, 2), "2"),
        (vector(1, 2, 3, 4), "4"),
        (vector(1, 2, 3, 4, 5, 6), "6"),
        (b"", "0"),
        (A[:-1], "2.75"),
        (A + b"\0", "3.25"),
    ],
)
def test_length(odd: bytes, length: str) -> None:
    """One vector of another length among right ones is a breach that names its item."""
    expected = (FaultKind.MALFORMED, f"the vector has {length} values where this model's have 3", 2)

    assert expected == breach_of(check([A, B, odd, C]))


def test_all_of_another_length() -> None:
    """Vectors that agree on another length are a breach that names the first."""
    expected = (FaultKind.MALFORMED, "the vector has 2 values where this model's have 3", 0)

    assert expected == breach_of(check([vector(1, 2), vector(3, 4)]))


def test_lengths_of_the_same_sum() -> None:
    """A vector too short is not made up for by one too long."""
    expected = (FaultKind.MALFORMED, "the vector has 2 values where this model's have 3", 0)

    assert expected == breach_of(check([vector(1, 2), vector(1, 2, 3, 4)]))


@pytest.mark.parametrize("bad", [NAN, INFINITY], ids=["nan", "infinity"])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_finite(bad: bytes, place: int) -> None:
    """A vector with NaN or infinity is a breach that names its item."""
    vectors = [A, B, C]
    vectors.insert(place, bad)

    assert (FaultKind.MALFORMED, "the vector holds NaN or infinity", place) == breach_of(check(vectors))


@pytest.mark.parametrize("zero", [ZERO, vector(0, -0.0, 0)], ids=["zero", "negative zero"])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_zero(zero: bytes, place: int) -> None:
    """A vector of nothing but zeros is a breach that names its item."""
    vectors = [A, B, C]
    vectors.insert(place, zero)

    assert (FaultKind.MALFORMED, "the vector is all zeros", place) == breach_of(check(vectors))


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [([A, NAN], True), ([A, ZERO], True), ([A, B[:4]], False), ([A], False), ([A, B, C], False)],
    ids=["NaN", "zero", "length", "too few", "too many"],
)
def test_divisible(vectors: list[bytes], expected: bool) -> None:
    """Values that one input may have spoiled may be right in smaller batches; a wrong shape is nobody's doing."""
    fault = contract.check(Embeddings(vectors), 2, 3)

    assert isinstance(fault, Fault)
    assert expected == fault.divisible


def test_first_item_is_named() -> None:
    """Of several broken vectors the first is named."""
    assert (FaultKind.MALFORMED, "the vector holds NaN or infinity", 1) == breach_of(check([A, NAN, ZERO, NAN]))


def test_item_is_that_of_the_input() -> None:
    """The item named is the input's, wherever in the answer its vector stood."""
    assert (FaultKind.MALFORMED, "the vector is all zeros", 2) == breach_of(check([ZERO, A, B], [2, 0, 1]))


def test_zero_where_it_is_kept() -> None:
    """A vector that would be all zeros once it is cut is a breach."""
    assert (FaultKind.MALFORMED, "the vector is all zeros", 1) == breach_of(check([A, C], kept=2))


def test_zero_where_it_is_cut_off() -> None:
    """A vector may be zero in what is cut off."""
    assert [A, B] == check([A, B], kept=2)


@pytest.mark.parametrize("kept", [1, 2])
def test_what_is_cut_off_is_checked(kept: int) -> None:
    """A vector must be finite in what is cut off, too."""
    expected = (FaultKind.MALFORMED, "the vector holds NaN or infinity", 0)

    assert expected == breach_of(check([vector(1, 1, float("nan"))], kept=kept))


# ── lengths made here ─────────────────────────────────────────────────────────────────────────────────────────────


def unit(matrix: codec.Matrix) -> list[list[float]]:
    """By double precision, whose range no square of a float32 leaves."""
    exact = matrix.astype(np.float64)
    return (exact / np.linalg.norm(exact, axis=1, keepdims=True)).tolist()  # type: ignore[no-any-return]


def values(vectors: list[bytes]) -> list[list[float]]:
    return codec.matrix(vectors).tolist()  # type: ignore[no-any-return]


@given(NON_ZERO)
def test_unit_length(matrix: codec.Matrix) -> None:
    """A vector made unit length keeps its direction."""
    made = values(contract.unit_length(codec.rows(matrix)))

    assert [pytest.approx(row, rel=1e-5, abs=1e-6) for row in unit(matrix)] == made


@given(NON_ZERO, st.data())
def test_shortened(matrix: codec.Matrix, data: st.DataObject) -> None:
    """A shortened vector is the beginning of the whole one, made unit length."""
    matrix[:, 0] += matrix[:, 0] == 0  # so that no cut leaves nothing but zeros
    cut = matrix[:, : data.draw(st.integers(1, matrix.shape[1]))]
    made = values(contract.shortened(codec.rows(matrix), cut.shape[1]))

    assert [pytest.approx(row, rel=1e-5, abs=1e-6) for row in unit(cut)] == made


@pytest.mark.parametrize("size", [MOST, 1e30, 1.0, 1e-30, LEAST])
def test_extreme_sizes(size: float) -> None:
    """Neither huge nor tiny values overflow or vanish on the way to unit length."""
    expected = [[pytest.approx(0.5), pytest.approx(-0.5), pytest.approx(0.5), pytest.approx(0.5)]]

    assert expected == values(contract.unit_length([vector(size, -size, size, size)]))


def test_sizes_do_not_mix() -> None:
    """A huge vector leaves the tiny one beside it right."""
    made = values(contract.unit_length([vector(MOST, 0), vector(0, -LEAST)]))

    assert [[1, 0], [0, -1]] == made


def test_long_vectors_are_exact() -> None:
    """The length of a vector of thousands of values is 1 as exactly as float32 has it."""
    matrix = np.random.default_rng(1).standard_normal((3, 4096), np.float32)
    norms = np.linalg.norm(codec.matrix(contract.unit_length(codec.rows(matrix))).astype(np.float64), axis=1)

    assert [pytest.approx(1, abs=1e-6)] * 3 == norms.tolist()
