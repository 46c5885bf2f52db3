"""Tables of vectors that are smaller than what is read from them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from providers.local import table
from providers.local.table import Table

RANDOM = np.random.default_rng(1).normal(size=(50, 7))


def tokens(*ids: int) -> npt.NDArray[np.intp]:
    return np.array(ids, np.intp)


def test_every_half_is_read_as_it_is() -> None:
    """Each of the 63,488 finite values of float16 is read as the float32 that is the same, to the sign of a zero."""
    halves: npt.NDArray[np.float16] = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[np.isfinite(halves)].reshape(-1, 8)
    expected: npt.NDArray[np.float32] = halves.astype(np.float32)
    read = Table(halves).rows(np.arange(len(halves)))

    assert (63_488, expected.tobytes()) == (halves.size, read.tobytes())


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("asked", [[0], [3, 3, 1], [49, 0, 7], []])
def test_rows(dtype: Any, asked: list[int]) -> None:
    """Rows come in the order of the tokens, as float32, and once more the same."""
    values = RANDOM.astype(dtype)
    read = Table(values)

    np.testing.assert_array_equal(values[asked].astype(np.float32), read.rows(tokens(*asked)), strict=True)
    np.testing.assert_array_equal(values[asked].astype(np.float32), read.rows(tokens(*asked)), strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_rows_are_a_copy(dtype: Any) -> None:
    """Whoever changes what was read changes nothing of the table."""
    values = RANDOM.astype(dtype)
    read = Table(values)
    read.rows(tokens(1))[:] = 0

    np.testing.assert_array_equal(values[[1]].astype(np.float32), read.rows(tokens(1)))


def test_more_rows_than_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were forgotten, since others needed the room, are read as before."""
    monkeypatch.setattr(table, "MOST_WIDENED", 4)
    values = RANDOM.astype(np.float16)
    read = Table(values)
    for asked in ([0, 1, 2], [2, 3], [4], [0, 4], [9, 8, 7, 6], [0, 0, 1, 1]):
        np.testing.assert_array_equal(values[asked].astype(np.float32), read.rows(tokens(*asked)))


@pytest.mark.parametrize("room", [8, 10_000])
def test_threads(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Threads that share a table read what each would read alone, while it grows, and while rows are forgotten."""
    monkeypatch.setattr(table, "MOST_WIDENED", room)
    values = np.random.default_rng(2).normal(size=(2_000, 5)).astype(np.float16)
    read = Table(values)
    asked = [tokens(*(number * step % 2_000 for step in (1, 7, 13, 17))) for number in range(4_000)]

    with ThreadPoolExecutor(4) as pool:
        for ids, found in zip(asked, pool.map(read.rows, asked), strict=True):
            np.testing.assert_array_equal(values[ids].astype(np.float32), found)


def test_rows_stay_right() -> None:
    """Rows that were read before are read the same when others have been added."""
    values = RANDOM.astype(np.float16)
    read = Table(values)
    before = read.rows(tokens(0, 1, 2))
    for more in range(3, 50):
        read.rows(tokens(more))
        np.testing.assert_array_equal(before, read.rows(tokens(0, 1, 2)))
