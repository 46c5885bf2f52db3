"""Many float32 values as JSON numbers at once, in half the time that finding each one's shortest form takes.

A number is 16 bytes: sign or blank, nine digits with a point behind the first, an exponent of two digits, and a comma.
The digits, as a whole number, are at least 5e7 and rounded to the nearest, so that a number is less than 1.1e-8 of its
value away. Half of the way to the next float32 is 2.9e-8 of it or more, so that every value reads back bit for bit.
"""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

_WIDTH: Final = 16
_AT_ONCE: Final = 2**14
"""Values whose intermediate results stay in the processor's cache."""
_LARGEST: Final = 1e9
"""What no value is scaled to that can be written."""
_UNWRITABLE: Final = 1e60
"""A scale that takes every other value beyond that, except zero."""
_E7, _E3 = np.uint32(10_000_000), np.uint32(1000)

Values = npt.NDArray[np.float32]
Words = npt.NDArray[np.uint32]
"""Four bytes of text each."""


def lists(values: Values) -> npt.NDArray[np.uint8] | None:
    """Each row of a matrix as a row of text: a JSON list without the bracket that opens it.

    None where a value is infinite, not a number, or smaller than 1.2e-38 and not zero.
    """
    flat, tables = values.reshape(-1), _tables()
    words = np.empty((len(flat), _WIDTH // 4), "<u4")
    for first in range(0, len(flat), _AT_ONCE):
        if not _write(flat[first : first + _AT_ONCE], words[first : first + _AT_ONCE], tables):
            return None
    text = words.view(np.uint8).reshape(len(values), -1)
    text[:, -1] = ord("]")
    return text


class _Tables(NamedTuple):
    """The first three are by sign and exponent, as the upper nine bits of a float32 hold them.

    `scale` makes a whole number of nine digits of a value, and `offset` adds what rounds it, and 1e9 if the value is
    negative; `exponent` is the text that undoes the scale. The others are by digits: `first` by that billion and two,
    `middle` by four, `last` by three.
    """

    scale: npt.NDArray[np.float64]
    offset: npt.NDArray[np.float64]
    exponent: Words
    first: Words
    middle: Words
    last: Words


@functools.cache
def _tables() -> _Tables:
    powers = [_power(exponent) for exponent in range(1, 255)]
    scales = [_UNWRITABLE, *(float(f"1e{power}") for power in powers), _UNWRITABLE]
    exponents = [b"+00,", *(b"%+03d," % (8 - power) for power in powers), b"+00,"]
    return _Tables(
        np.array([*scales, *(-scale for scale in scales)]),
        np.array([0.5] * 256 + [1e9 + 0.5] * 256),
        _words(exponents * 2),
        _words([b"%c%d.%d" % (sign, *divmod(digits, 10)) for sign in b" -" for digits in range(100)]),
        _words([b"%04d" % digits for digits in range(10_000)]),
        _words([b"%03de" % digits for digits in range(1000)]),
    )


def _power(exponent: int) -> int:
    """Of ten: the largest that takes every value of this exponent to less than 1e9, and so none to less than 5e7.

    No power of two within float32 is so close to one of ten, but 1 itself, that it mattered how this is rounded.
    """
    return math.ceil(9 - (exponent - 126) * math.log10(2)) - 1


def _words(texts: list[bytes]) -> Words:
    return np.frombuffer(b"".join(texts), "<u4")


def _write(values: Values, words: Words, tables: _Tables) -> bool:
    upper = values.view("<u4") >> 23
    size = tables.scale.take(upper, mode="clip")
    size *= values
    if not np.maximum.reduce(size) < _LARGEST:
        return False
    size += tables.offset.take(upper, mode="clip")
    digits = size.astype(np.uint32)
    part = digits // _E7
    words[:, 0] = tables.first.take(part, mode="clip")
    part *= _E7
    digits -= part
    part = digits // _E3
    words[:, 1] = tables.middle.take(part, mode="clip")
    part *= _E3
    digits -= part
    words[:, 2] = tables.last.take(digits, mode="clip")
    words[:, 3] = tables.exponent.take(upper, mode="clip")
    return True
