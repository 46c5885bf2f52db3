"""An answer's JSON with its vectors cut out before it is parsed: they are most of its bytes, and no part of its shape.

Each vector's text, which is base64 between two quotes or a list of numbers, is read on its own, and a mark in quotes
stands in its place in what is parsed then. A mark begins with an escaped backspace, and nothing else may hold one. So
a cut is safe wherever it was made: outside of a string, that escape is no JSON, and inside of a longer one, the mark is
no value of its own. Either all marks are found again as values, and then the answer is what it would be if it were
parsed whole; or a cut was wrong, and the answer has to be parsed whole.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from providers import codec

_BASE64: Final = re.compile(rb'"embedding"[ \t\n\r]*:[ \t\n\r]*"')
_NUMBERS: Final = re.compile(rb"\[[ \t\n\r]*[-0-9]")
_ESCAPE: Final = rb"\b"
_SAME: Final = rb"\u0008"
_SMALL: Final = 2**15
"""Bytes of an answer with base64, a vector or a few, that is parsed as soon as it is cut up."""
_MOST: Final = 4096
"""Vectors of an answer; no call has as many inputs, and more that are short would take long to cut out."""
_NEAR: Final = 2**12
"""Bytes of an answer in which its first vector begins."""


class Excerpt(NamedTuple):
    """`payload` is the JSON with a mark in place of each vector, `marks` and `vectors` are in the order of the text."""

    payload: Any
    marks: list[str]
    vectors: list[bytes]

    def filled(self) -> Any | None:
        """The payload with each vector in its place, which is changed for it; None where a mark has no place."""
        vectors = dict(zip(self.marks, self.vectors, strict=True))
        around: list[Any] = [self.payload]
        unseen: list[Any] = [around]
        while unseen:  # no recursion: JSON can be read nested deeper than Python calls
            value = unseen.pop()
            for key, below in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(below, dict | list):
                    unseen.append(below)
                elif isinstance(below, str) and below in vectors:
                    value[key] = vectors.pop(below)
        return None if vectors else around[0]


def of(body: bytes) -> Excerpt | None:
    """The vectors of `"embedding"` in base64, or else all lists of numbers; None where there are none, or in doubt.

    None says nothing of the answer but that it has to be parsed whole.
    """
    if len(body) <= _SMALL:  # of its brackets, the list of items' own is the first
        return of_numbers(body) if body.find(b"[", body.find(b"[") + 1) >= 0 else None
    first = _BASE64.search(body, 0, _NEAR)
    return _read(body, _lists if first is None else functools.partial(_texts, before=first.group()))


def of_numbers(body: bytes) -> Excerpt | None:
    """The same of lists of numbers alone."""
    return _read(body, _lists)


def _read(body: bytes, cut: Callable[[bytes], tuple[list[bytes | memoryview], list[bytes]]]) -> Excerpt | None:
    try:
        pieces, vectors = cut(body)
        rest = b"".join(pieces)
        if not vectors or rest.count(_ESCAPE) > len(vectors) or _SAME in rest:
            return None
        return Excerpt(codec.parse_json(rest), list(map(_mark, range(len(vectors)))), vectors)
    except ValueError:
        return None


def _texts(body: bytes, before: bytes) -> tuple[list[bytes | memoryview], list[bytes]]:
    """The pieces between texts that `before` stands before, with marks between the texts' quotes."""
    view, find, width, done = memoryview(body), body.find, len(before), 0
    rests: list[memoryview] = []
    texts: list[memoryview] = []
    at = find(before)
    for _ in range(_MOST):
        if at < 0:
            break
        begin = at + width
        end = find(b'"', begin)
        rests.append(view[done:begin])
        texts.append(view[begin:end])
        done = end
        at = find(before, end)
    if done < 0 or at >= 0:
        raise ValueError("the last text has no end, or there are too many")
    pieces: list[bytes | memoryview] = [b""] * (2 * len(rests))
    pieces[::2], pieces[1::2] = rests, map(_escaped, range(len(rests)))
    pieces.append(view[done:])
    return pieces, codec.vectors_from_base64(texts)


def _lists(body: bytes) -> tuple[list[bytes | memoryview], list[bytes]]:
    """The pieces between lists that begin with a number, with marks in quotes in their place."""
    view, done = memoryview(body), 0
    pieces: list[bytes | memoryview] = []
    vectors: list[bytes] = []
    begin = body.find(b"[")
    for _ in range(2 * _MOST):
        if begin < 0:
            break
        end = begin + 1
        if _NUMBERS.match(body, begin):
            end = body.index(b"]", begin) + 1
            pieces += (view[done:begin], b'"', _escaped(len(vectors)), b'"')
            vectors.append(codec.vector_from_json(bytes(view[begin:end])))
            done = end
        begin = body.find(b"[", end)
    if begin >= 0 or len(vectors) > _MOST:
        raise ValueError("there are too many lists")
    pieces.append(view[done:])
    return pieces, vectors


@functools.lru_cache(maxsize=_MOST)
def _mark(number: int) -> str:
    return f"\b{number}"


@functools.lru_cache(maxsize=_MOST)
def _escaped(number: int) -> bytes:
    return b"%b%d" % (_ESCAPE, number)
