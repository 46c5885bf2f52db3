"""JSON and vectors between their wire forms and the inside: the only door to orjson, pybase64 and numpy's parsing.

Inside the gateway a vector is its little-endian IEEE-754 float32 bytes.
This is also what OpenAI puts behind base64:
https://platform.openai.com/docs/api-reference/embeddings/create
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pybase64

FLOAT32: Final = np.dtype("<f4")

Matrix = npt.NDArray[np.float32]

JSONError = orjson.JSONDecodeError


def parse_json(body: bytes) -> Any:
    """Strict JSON: no NaN, no infinity, no lone surrogate; raises `JSONError`."""
    return orjson.loads(body)


def write_json(value: object) -> bytes:
    return orjson.dumps(value)


def vector_from_base64(text: str) -> bytes:
    """The float32 bytes behind a base64 text; raises ValueError when it is not whole base64 of whole floats."""
    raw = pybase64.b64decode(text, validate=True)
    if len(raw) % 4:
        raise ValueError(f"{len(raw)} bytes are no whole number of float32 values")
    return raw


def direction_of_int8(text: str) -> bytes:
    """The float32 bytes of the unit vector along the signed bytes behind a base64 text; ValueError when it has none."""
    signed = np.frombuffer(pybase64.b64decode(text, validate=True), np.int8)
    return unit_length(signed.astype(FLOAT32).reshape(1, -1)).tobytes()


def vector_from_numbers(numbers: Sequence[float | None]) -> bytes:
    """The float32 bytes of a list of JSON numbers; raises ValueError when an element is anything else.

    A number beyond float32 becomes infinity here, and a null becomes NaN, for which serde_json and orjson write it; the
    output contract refuses both, and names the input.
    """
    array = np.array(numbers)  # numpy's inference tells numbers from strings, nulls and nested lists
    if array.dtype.kind == "O" and None in numbers:
        array = np.array([math.nan if number is None else number for number in numbers])
    if array.ndim != 1 or array.dtype.kind not in "fiu" or _has_boolean(array, numbers):
        raise ValueError("not a list of numbers")
    with np.errstate(over="ignore"):
        return array.astype(FLOAT32).tobytes()


def _has_boolean(array: npt.NDArray[Any], numbers: Sequence[float | None]) -> bool:
    """numpy takes a boolean among numbers for 0 or 1, so only where there are such need their kinds be looked at."""
    return bool(((array == 0) | (array == 1)).any()) and bool in map(type, numbers)


def vector_to_base64(vector: bytes) -> bytes:
    return pybase64.b64encode(vector)


def vector_to_json(vector: bytes) -> bytes:
    """A JSON list whose numbers, read back as float32, equal the vector bit for bit."""
    return orjson.dumps(np.frombuffer(vector, FLOAT32), option=orjson.OPT_SERIALIZE_NUMPY)


def plainly_right(vector: bytes, kept: int | None = None) -> bool:
    """Whether a vector is surely finite, and surely not all zero, nor in its first `kept` values.

    The sum of its squares tells both, except where float32 cannot hold it; then False says nothing.
    """
    values: npt.NDArray[np.float32] = np.frombuffer(vector, FLOAT32)
    squares = float(np.einsum("i,i->", values, values))  # which overflows without a word
    if not 0 < squares < math.inf:
        return False
    if kept is None:
        return True
    first = values[:kept]
    return bool(np.einsum("i,i->", first, first) > 0)


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
    if not over:
        return result
    layers: list[tuple[dict[str, Any], Mapping[str, Any]]] = [(result, over)]
    while layers:  # no recursion: JSON can be read nested deeper than Python calls
        into, layer = layers.pop()
        for key, value in layer.items():
            if value is None:
                into.pop(key, None)
            elif isinstance(value, Mapping):
                below = into.get(key)
                into[key] = dict(below) if isinstance(below, Mapping) else {}
                layers.append((into[key], value))
            else:
                into[key] = value
    return result
