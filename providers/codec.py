"""JSON and vectors between their wire forms and the inside: the only door to orjson, pybase64 and numpy's parsing.

Inside the gateway a vector is its little-endian IEEE-754 float32 bytes.
This is also what OpenAI puts behind base64:
https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pybase64

from providers import decimals

FLOAT32: Final = np.dtype("<f4")

Matrix = npt.NDArray[np.float32]

JSONError = orjson.JSONDecodeError

_LEAVES: Final = frozenset({str, list, int, float, bool})
"""Kinds of JSON values that are surely no objects; to ask whether something is a `Mapping` costs more."""
_FEW: Final = 4
"""Vectors that are looked at sooner one by one than all together: one takes 1 or 10 us, a hundred 150 or 60."""
_MANY: Final = 2**14
"""Bytes of vectors whose numbers are all written alike: for fewer, finding their shortest forms takes less."""
_LONGEST_NUMBER: Final = 32
"""Bytes of text, blanks included, that a number is handed on with: doubles have 20, pretty-printed ones 30."""


class Written(bytes):
    """A vector that also knows the JSON list that it was read from; whatever is made of it is bytes like all others.

    Handing that text on says the same numbers, and costs a fraction of writing them anew.
    """

    text: bytes


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no infinity, no lone surrogate; raises `JSONError`."""
    return orjson.loads(body)


def write_json(value: object) -> bytes:
    """JSON without blanks, in which there may be numpy's arrays, and vectors `as_text` or `as_numbers`."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def vector_from_base64(text: str) -> bytes:
    """The float32 bytes behind a base64 text; raises ValueError when it is not whole base64 of whole floats."""
    return vectors_from_base64([text])[0]


def vectors_from_base64(texts: Sequence[str | memoryview]) -> list[bytes]:
    """The same of several."""
    vectors = [pybase64.b64decode(text, None, True) for text in texts]
    if any(map((FLOAT32.itemsize - 1).__and__, map(len, vectors))):
        raise ValueError("bytes that are no whole number of float32 values")
    return vectors


def direction_of_int8(text: str) -> bytes:
    """The float32 bytes of the unit vector along the signed bytes behind a base64 text; ValueError when it has none."""
    signed = np.frombuffer(pybase64.b64decode(text, validate=True), np.int8)
    return unit_length(signed.astype(FLOAT32).reshape(1, -1)).tobytes()


def vector_from_numbers(numbers: Sequence[float | None]) -> bytes:
    """The float32 bytes of a list of JSON numbers; raises ValueError when an element is anything else.

    A number beyond float32 becomes infinity here, and a null becomes NaN, for which serde_json and orjson write it; the
    output contract refuses both, and names the input.
    """
    if bool in map(type, numbers):  # which would count as 0 or 1
        raise ValueError("not a list of numbers")
    try:
        return _packed(numbers)
    except (struct.error, OverflowError):
        pass
    array = np.array(numbers)  # numpy's inference tells numbers from strings, nulls and nested lists
    if array.dtype.kind == "O" and None in numbers:
        array = np.array([math.nan if number is None else number for number in numbers])
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        raise ValueError("not a list of numbers")
    with np.errstate(over="ignore"):
        return array.astype(FLOAT32).tobytes()


def vector_from_json(text: bytes) -> bytes:
    """The same of a JSON list's text, without a look at each number's kind; raises ValueError, too."""
    numbers = orjson.loads(text)
    if b"u" in text or b"s" in text or len(text) > _LONGEST_NUMBER * len(numbers):  # null, true or false, or a string
        return vector_from_numbers(numbers)
    try:
        vector = Written(_packed(numbers))
    except (struct.error, OverflowError):
        return vector_from_numbers(numbers)
    vector.text = text
    return vector


def _packed(numbers: Sequence[Any]) -> bytes:
    """Takes a third of numpy's time; raises struct.error for what is no number, OverflowError beyond float32."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def vector_to_base64(vector: bytes) -> bytes:
    return pybase64.b64encode(vector)


def vectors_to_base64(vectors: Sequence[bytes]) -> list[bytes]:
    return list(map(pybase64.b64encode, vectors))


def vector_to_json(vector: bytes) -> bytes:
    """A JSON list, in one line, whose numbers, read back as float32, equal the vector bit for bit."""
    return write_json(np.frombuffer(vector, FLOAT32))


def lists_to_json(vectors: Sequence[bytes]) -> list[bytes | memoryview]:
    """Such lists of vectors of one length, in as many lines as they came in, without the bracket that opens each."""
    others = iter(_lists_of_others([vector for vector in vectors if not isinstance(vector, Written)]))
    return [memoryview(each.text)[1:] if isinstance(each, Written) else next(others) for each in vectors]


def _lists_of_others(vectors: Sequence[bytes]) -> list[memoryview]:
    if vectors and len(vectors) * len(vectors[0]) >= _MANY:
        lists = decimals.lists(matrix(vectors))
        if lists is not None:
            return [row.data for row in lists]
    return [memoryview(vector_to_json(vector))[1:] for vector in vectors]


def as_text(vector: bytes) -> str:
    """What `write_json` writes as base64."""
    return pybase64.b64encode_as_string(vector)


def as_numbers(vector: bytes) -> object:
    """What `write_json` writes as a list of numbers."""
    return orjson.Fragment(vector.text) if isinstance(vector, Written) else np.frombuffer(vector, FLOAT32)


def plainly_right(vectors: Sequence[bytes], kept: int | None = None) -> bool:
    """Whether vectors of one length are surely finite, and surely not all zero, nor in their first `kept` values.

    The sum of a vector's squares tells both, except where float32 cannot hold it; then False says nothing.
    """
    if len(vectors) > _FEW:
        values = matrix(vectors)
        return _no_row_wrong(values) and (kept is None or _no_row_wrong(values[:, :kept]))
    for vector in vectors:
        one = np.frombuffer(vector, FLOAT32)
        if not 0 < np.vdot(one, one) < math.inf:  # neither this nor einsum says a word where it overflows
            return False
        if kept is not None and not np.vdot(one[:kept], one[:kept]) > 0:
            return False
    return True


def _no_row_wrong(values: Matrix) -> bool:
    squares = np.einsum("ij,ij->i", values, values)
    return bool(squares.min() > 0 and squares.max() < math.inf)


def matrix(vectors: Sequence[bytes]) -> Matrix:
    """Vectors of one length as an array of shape (n, dimensions)."""
    return np.frombuffer(b"".join(vectors), FLOAT32).reshape(len(vectors), -1)


def rows(array: Matrix) -> list[bytes]:
    """The vectors of an array of shape (n, dimensions)."""
    whole = array.astype(FLOAT32, copy=False).tobytes()
    width = array.shape[1] * FLOAT32.itemsize
    return [whole[start : start + width] for start in range(0, len(whole), width)]


def unit_length(array: Matrix) -> Matrix:
    """Each row divided by its Euclidean norm; a zero row stays zero, for the output contract to refuse.

    Rows are scaled by their largest value first, so that no square overflows or vanishes in float32.
    """
    largest = np.abs(array).max(axis=1, keepdims=True)
    largest[largest == 0] = 1
    scaled = array / largest
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    norms[norms == 0] = 1
    unit: Matrix = (scaled / norms).astype(FLOAT32, copy=False)
    return unit


def norm(vector: bytes) -> float:
    """The Euclidean length."""
    return float(np.linalg.norm(np.frombuffer(vector, FLOAT32).astype(np.float64)))


def cosine(left: bytes, right: bytes) -> float:
    """The cosine of the angle between two vectors of one length; 0 where either is all zero."""
    a, b = (np.frombuffer(vector, FLOAT32).astype(np.float64) for vector in (left, right))
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two JSON objects laid on top of each other, objects within objects too; a null in `over` removes the key.

    This is the JSON merge patch: https://www.rfc-editor.org/rfc/rfc7396
    """
    result = dict(under)
    if _LEAVES.issuperset(map(type, over.values())):
        result.update(over)
        return result
    layers: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(result, over)]
    while layers:  # no recursion: JSON can be read nested deeper than Python calls
        into, layer = layers.pop()
        for key, value in layer.items():
            if value is None:
                into.pop(key, None)
            elif type(value) not in _LEAVES and isinstance(value, Mapping):
                below = into.get(key)
                into[key] = dict(below) if isinstance(below, Mapping) else {}
                layers.append((into[key], value))
            else:
                into[key] = value
    return result
