"""What counts as another space, and what as the rounding of the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.canary import BOUND, GOLDEN, Likeness, Reference, Verdict, compare, judged
from providers import codec
from tests.fakes.openai_replies import vector_for

Matrix = NDArray[np.float32]
SEEDS = st.integers(0, 2**32)
RIGHT = Likeness(1.0, 0.0, 8, 8)
WRONG = Likeness(0.5, 0.0, 8, 8)


def golden(dimensions: int = 1536) -> Matrix:
    return np.array([vector_for(text, dimensions, dimensions) for text in GOLDEN])


def noise(part: float, seed: int, dimensions: int) -> Matrix:
    """Of so much standard deviation for each value."""
    normal = np.random.default_rng(seed).standard_normal((len(GOLDEN), dimensions))
    return (part * normal).astype(np.float32)


def complaint(old: Matrix, new: Matrix) -> str | None:
    return compare(codec.rows(old), codec.rows(new)).complaint


def as_written(vectors: Matrix) -> Matrix:
    """Through JSON of seven digits, as some servers write."""
    return np.array([[float(f"{value:.7g}") for value in row] for row in vectors], np.float32)


TOLERATED: dict[str, Callable[[Matrix], Matrix]] = {
    "itself": lambda vectors: vectors,
    "fp16": lambda vectors: vectors.astype(np.float16).astype(np.float32),
    "bf16": lambda vectors: (vectors.view(np.uint32) & 0xFFFF0000).view(np.float32),
    "decimals": as_written,
    "int8": lambda vectors: (np.round(vectors / (s := np.abs(vectors).max() / 127)) * s).astype(np.float32),
}
FOUND: dict[str, Callable[[Matrix], Matrix]] = {
    "another text's": lambda vectors: vectors[::-1],
    "one text's": lambda vectors: np.vstack([vectors[:3], -vectors[3:]]),
    "not of unit length": lambda vectors: vectors * np.float32(3),
    "one not of unit length": lambda vectors: vectors * np.array([[1], [1], [1.05], [1]], np.float32),
    "cut": lambda vectors: vectors[:, : vectors.shape[1] // 2],
    "cut and filled": lambda vectors: vectors * (np.arange(vectors.shape[1]) < vectors.shape[1] // 2),
    "turned": lambda vectors: np.roll(vectors, 1, axis=1),
}


@given(SEEDS, st.sampled_from([8, 64, 384, 1536]), st.floats(0.01, 100), st.sampled_from(sorted(TOLERATED)))
def test_rounding(seed: int, dimensions: int, scale: float, way: str) -> None:
    """What rounds a vector of any length, and no more, is tolerated."""
    vectors = golden(dimensions) * np.float32(scale) + noise(0.3, seed, dimensions) * np.float32(scale)

    assert complaint(vectors, TOLERATED[way](vectors)) is None


@pytest.mark.parametrize("way", FOUND)
def test_another_space(way: str) -> None:
    """Another direction, length or number of values of a single golden text is found."""
    assert complaint(golden(), np.ascontiguousarray(FOUND[way](golden()))) is not None


@given(SEEDS, st.sampled_from([64, 384, 1536]))
def test_noise(seed: int, dimensions: int) -> None:
    """Noise of 5 % of a unit vector's length in each value is found."""
    assert complaint(golden(dimensions), golden(dimensions) + noise(0.05, seed, dimensions)) is not None


@given(SEEDS, st.sampled_from([384, 1536]), st.floats(0.001, 0.4))
def test_bound(seed: int, dimensions: int, part: float) -> None:
    """Noise of so large a part of the whole vector is found where it turns one beyond the bound: 15 %, and not 5 %."""
    noisy = codec.unit_length(golden(dimensions) + noise(part / dimensions**0.5, seed, dimensions))
    least = min(float(old @ new) for old, new in zip(golden(dimensions), noisy, strict=True))
    found = complaint(golden(dimensions), noisy) is not None

    assert found == (least < BOUND) or abs(least - BOUND) < 1e-6
    assert not (found and part < 0.1)
    assert found or part < 0.18


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([1.0, 2.0])), min_size=1))
def test_in_a_row(runs: list[tuple[bool, float]]) -> None:
    """Two bad runs in a row are drift, if both were compared to the same reference."""
    verdict = None
    for good, pinned in runs:
        verdict = judged(RIGHT if good else WRONG, Reference([], pinned, "t"), verdict, 5.0, ejects=True)
    assert verdict is not None
    drift = len(runs) > 1 and not runs[-1][0] and not runs[-2][0] and runs[-1][1] == runs[-2][1]

    assert (drift, drift) == (verdict.drift is not None, verdict.ejected)


def test_kept() -> None:
    """A reference and a verdict are read as they were written, to the last bit."""
    reference = Reference(codec.rows(golden()), 1_790_000_000.123456, "gpu-1, gpu-2")
    verdict = judged(WRONG, reference, None, 1_790_000_001.654321, ejects=True)

    assert (reference, verdict) == (Reference.read(reference.written()), Verdict.read(verdict.written()))
