"""Numbers that are written many at once read back as the float32 values that they were."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from providers import decimals

Bits = npt.NDArray[np.uint32]

SIGN = 2**31
NORMAL = st.integers(2**23, 255 * 2**23 - 1) | st.just(0)
MATRICES = arrays.arrays(np.uint32, st.tuples(st.integers(1, 3), st.integers(1, 9)), elements=NORMAL)


def read(bits: Bits) -> list[list[int]]:
    """The bits of what is read back, by way of doubles, as JSON's readers go."""
    lists = decimals.lists(bits.astype("<u4").view("<f4"))
    assert lists is not None
    return [as_bits(json.loads(b"[" + row.tobytes())) for row in lists]


def as_bits(numbers: list[float]) -> list[int]:
    found: list[int] = np.array(numbers, "<f8").astype("<f4").view("<u4").tolist()
    return found


def row(bits: Iterable[int]) -> Bits:
    """Each with either sign."""
    return np.array([[sign | each for each in bits for sign in (0, SIGN)]], np.uint32)


@given(MATRICES, st.booleans())
def test_read_back(bits: Bits, negative: bool) -> None:
    """Every value reads back bit for bit, in its row."""
    signed = bits | np.uint32(SIGN * negative)

    assert signed.tolist() == read(signed)


def test_every_exponent() -> None:
    """The first and the last values of every exponent, and some between, read back bit for bit."""
    inner = [0, 1, 2, 2**22 - 1, 2**22, 0x2AAAAA, 0x555555, 2**23 - 2, 2**23 - 1]
    bits = row(exponent << 23 | each for exponent in range(1, 255) for each in inner)

    assert bits.tolist() == read(bits)


def test_powers_of_ten() -> None:
    """The values around every power of ten, where digits become one more, read back bit for bit."""
    powers = [int(np.float32(f"1e{power}").view(np.uint32)) for power in range(-37, 39)]
    bits = row(power + step for power in powers for step in range(-20, 21))

    assert bits.tolist() == read(bits)


def test_many() -> None:
    """More values than are worked on at once read back bit for bit."""
    bits = np.random.default_rng(1).integers(2**23, 255 * 2**23, (3, 20_000), np.uint32)

    assert bits.tolist() == read(bits)


def test_text() -> None:
    """A number has nine digits and sixteen bytes, its comma among them."""
    lists = decimals.lists(np.array([[1, -0.0625], [0, -0.0]], np.float32))
    assert lists is not None

    assert [b" 1.00000000e+00,-0.62500000e-01]", b" 0.00000000e+00,-0.00000000e+00]"] == [
        row.tobytes() for row in lists
    ]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan, 1e-39, -1e-39, 2.0**-149])
def test_not_written(value: float) -> None:
    """Infinity, NaN and the smallest values are left to others."""
    assert decimals.lists(np.array([[0.5, value], [1, 2]], np.float32)) is None
