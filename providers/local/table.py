"""A table of vectors, one for each token, kept as small as it was written and read as float32.

A table of float16 is half as large as the same values in float32, but widening one of them costs numpy 4 ns, a
microsecond for each token of a text. So rows are widened when they are first asked for, and remembered, since tokens
return: until there is no more room, then all are forgotten.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from providers.codec import Matrix

MOST_WIDENED: Final = 8_192
"""Rows; of 256 values each they take 8 MB."""
NOWHERE: Final = np.iinfo(np.intp).max
"""The place of a row that is not there: looking it up is an IndexError."""

Tokens = npt.NDArray[np.intp]


class Table:
    """`values` has the shape (tokens, dimensions), and is float32 or float16. Threads may share a table."""

    def __init__(self, values: npt.NDArray[np.floating[Any]]) -> None:
        self.dimensions: int = values.shape[1]
        self._values = values
        self._widened = None if values.dtype == np.float32 else _Widened(values)
        self._widening = threading.Lock()

    def rows(self, tokens: Tokens) -> Matrix:
        """A copy of the vectors of at most `MOST_WIDENED` tokens, in order."""
        known = self._widened
        if known is None:
            wide: Matrix = self._values.take(tokens, axis=0)
            return wide
        try:
            return known.taken(tokens)
        except IndexError:
            with self._widening:
                known = self._widened = (self._widened or known).with_all(tokens)
            return known.taken(tokens)


class _Widened:
    """Rows in float32, and at which place each token's is. A place once given stays right: others may be reading.

    It begins small: what nobody asks for shall take no memory.
    """

    def __init__(self, values: npt.NDArray[np.floating[Any]], room: int = 0) -> None:
        self._values = values
        self._rows: Matrix = np.empty((room, values.shape[1]), np.float32)
        self._places: Tokens = np.full(len(values), NOWHERE, np.intp)
        self._used = 0

    def taken(self, tokens: Tokens) -> Matrix:
        """Raises IndexError where one of them is not there."""
        return self._rows.take(self._places.take(tokens), axis=0)

    def with_all(self, tokens: Tokens) -> _Widened:
        """These rows and those of `tokens`; others, with those of `tokens` alone, where there is no room for them."""
        kinds = np.unique(tokens)
        lacking = kinds[self._places.take(kinds) == NOWHERE]
        end = self._used + len(lacking)
        if end > MOST_WIDENED and self._used:
            return _Widened(self._values, len(kinds)).with_all(kinds)
        if end > len(self._rows):
            return self._grown(max(end, 2 * len(self._rows))).with_all(lacking)
        self._rows[self._used : end] = self._values.take(lacking, axis=0)
        self._places[lacking] = np.arange(self._used, end)
        self._used = end
        return self

    def _grown(self, room: int) -> _Widened:
        grown = _Widened(self._values, room)
        grown._rows[: self._used] = self._rows[: self._used]
        grown._places[:] = self._places
        grown._used = self._used
        return grown
