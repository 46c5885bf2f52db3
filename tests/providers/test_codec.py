"""Vectors and JSON keep their values on every way in and out."""

from __future__ import annotations

import base64
import copy
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import contract
from providers import codec
from providers.base import Embeddings, Fault
from tests.fakes.backends import vector

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VECTORS = st.lists(FLOATS, max_size=20).map(lambda numbers: vector(*numbers))

# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.binary(max_size=20).map(lambda raw: raw * 4))
def test_base64_round_trip(raw: bytes) -> None:
    """A vector comes back from base64 bit for bit, even one of NaN."""
    assert raw == codec.vector_from_base64(codec.vector_to_base64(raw).decode())


def test_base64_is_openais() -> None:
    """Base64 is the standard alphabet, padded, over little-endian float32."""
    assert base64.b64encode(b"\x00\x00\x80?\x00\x00 \xc0") == codec.vector_to_base64(vector(1, -2.5))


@pytest.mark.parametrize(
    "text",
    ["no base64!", "AACAPw", "AACAPw=", "AACA\nPw==", " AACAPw==", "AACAPw==é", "__-_AA==", "AAAA", "AACAPw==AACAPw=="],
    ids=["words", "unpadded", "half padded", "newline", "blank", "not ascii", "url-safe", "3 bytes", "two in one"],
)
def test_bad_base64(text: str) -> None:
    """A text that is not whole base64 of whole floats is refused."""
    with pytest.raises(ValueError, match=r".+"):
        codec.vector_from_base64(text)


@given(VECTORS)
def test_numbers_round_trip(raw: bytes) -> None:
    """A vector comes back from its JSON numbers bit for bit."""
    assert raw == codec.vector_from_numbers(codec.parse_json(codec.vector_to_json(raw)))


@given(st.lists(VECTORS.filter(bool), min_size=1, max_size=3), st.booleans())
def test_lists_round_trip(vectors: list[bytes], many: bool) -> None:
    """So do several vectors, also if they are so many values that they are written another way."""
    longest = max(map(len, vectors))
    alike = [raw.ljust(longest, b"\0") * (2048 if many else 1) for raw in vectors]
    lists = codec.lists_to_json(alike)

    assert alike == [codec.vector_from_numbers(codec.parse_json(b"".join((b"[", each)))) for each in lists]


@given(VECTORS)
def test_numbers_round_trip_elsewhere(raw: bytes) -> None:
    """Another reader of the JSON numbers, which knows doubles only, gets the same float32 values."""
    assert raw == vector(*json.loads(codec.vector_to_json(raw)))


@given(st.lists(st.floats(-3e38, 3e38) | st.integers(-(2**63), 2**64 - 1)))
def test_numbers_are_rounded(numbers: list[float]) -> None:
    """Doubles and whole numbers become the nearest float32 values."""
    assert vector(*map(float, numbers)) == codec.vector_from_numbers(numbers)


def test_no_numbers() -> None:
    """An empty list is an empty vector, which is for the contract to refuse."""
    assert b"" == codec.vector_from_numbers([])


@pytest.mark.parametrize(
    "body",
    [
        '["a", "b"]',
        '["0.5"]',
        '[0.5, "0.5"]',
        "[null, null, true]",
        '[null, "0.5"]',
        "[[0.5]]",
        "[[0.5], 0.5]",
        "[[]]",
        "[{}]",
        "[true]",
        "[true, false]",
        "[true, 0.5]",
        "[0.5, false]",
        "[2, true]",
    ],
)
def test_no_list_of_numbers(body: str) -> None:
    """A list with an element that is no number is refused."""
    with pytest.raises(ValueError, match=r".+"):
        codec.vector_from_numbers(codec.parse_json(body.encode()))


@given(
    st.lists(
        st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-(2**63), 2**64 - 1)
        | st.booleans()
        | st.none()
        | st.sampled_from("us"),
        max_size=4,
    )
)
@example([1e39])
@example(["0.5"])
@example([[0.5]])
@example([0.5, True])
def test_numbers_of_a_text(numbers: list[Any]) -> None:
    """A JSON list is read from its text as from its numbers."""
    assert of(codec.vector_from_numbers, numbers) == of(codec.vector_from_json, json.dumps(numbers).encode())


def of(function: Callable[[Any], bytes], value: object) -> bytes | None:
    """None for what is refused."""
    try:
        return function(value)
    except ValueError:
        return None


@given(VECTORS.filter(bool))
def test_text_is_handed_on(raw: bytes) -> None:
    """A vector that was read from a text is written as that text, but for where it has to be in one line."""
    text = codec.vector_to_json(raw)[:-1] + b"\n]"
    vector = codec.vector_from_json(text)

    assert [text[1:]] == codec.lists_to_json([vector])
    assert text == codec.write_json(codec.as_numbers(vector))
    assert codec.vector_to_json(raw) == codec.vector_to_json(vector)


def test_null() -> None:
    """A null is NaN, as some servers write it."""
    assert vector(0.5, math.nan, 1) == codec.vector_from_numbers([0.5, None, 1])


@pytest.mark.parametrize(("number", "infinity"), [(1e39, "inf"), (-1e39, "-inf"), (1.7e308, "inf")])
def test_beyond_float32(number: float, infinity: str) -> None:
    """A number beyond float32 becomes infinity, without a warning."""
    assert vector(float(infinity), 1) == codec.vector_from_numbers([number, 1.0])


def test_beyond_float32_is_refused() -> None:
    """A number beyond float32 does not get past the contract."""
    answer = Embeddings([codec.vector_from_numbers([1e39, 1.0])])

    assert isinstance(contract.check(answer, inputs=1, dimensions=2), Fault)


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_matrix_round_trip(count: int, width: int, data: st.DataObject) -> None:
    """Vectors come back from the rows of their matrix."""
    vectors = [vector(*data.draw(st.lists(FLOATS, min_size=width, max_size=width))) for _ in range(count)]

    assert vectors == codec.rows(codec.matrix(vectors))


def test_rows_of_a_view() -> None:
    """The rows of a cut matrix are whole, whatever lies between them."""
    cut = np.arange(6, dtype=np.float32).reshape(2, 3)[:, :2]

    assert [vector(0, 1), vector(3, 4)] == codec.rows(cut)


def test_unit_length_of_zero() -> None:
    """A zero row stays zero, without a warning."""
    assert [[0, 0], [0, 1]] == codec.unit_length(codec.matrix([vector(0, 0), vector(0, 5)])).tolist()


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"", b"{", b"[NaN]", b"[Infinity]", b"[1e999]", b'"\\ud800"', b'"\xff"', b"{} {}"])
def test_strict_json(body: bytes) -> None:
    """What is not strictly JSON is refused."""
    with pytest.raises(codec.JSONError):
        codec.parse_json(body)


# ── merging ───────────────────────────────────────────────────────────────────────────────────────────────────────

Object = dict[str, Any]
KEYS = st.sampled_from("abcd")
SCALARS = st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.none() | st.integers(), max_size=2)
TREES: st.SearchStrategy[Object] = st.recursive(
    st.dictionaries(KEYS, st.none() | SCALARS, max_size=4),
    lambda below: st.dictionaries(KEYS, st.none() | SCALARS | below, max_size=4),
)
FULL_TREES: st.SearchStrategy[Object] = st.recursive(
    st.dictionaries(KEYS, SCALARS, max_size=4), lambda below: st.dictionaries(KEYS, SCALARS | below, max_size=4)
)
Leaves = dict[tuple[str, ...], object]


def leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Leaves:
    """Every value that is no object, by its path."""
    found: Leaves = {}
    for key, value in tree.items():
        found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return found


def is_free(over: object, path: tuple[str, ...]) -> bool:
    """Whether nothing on top lies over the path."""
    for key in path:
        if not isinstance(over, dict):
            return False
        if key not in over:
            return True
        over = over[key]
    return False


@given(FULL_TREES, TREES)
def test_over_wins(under: Object, over: Object) -> None:
    """Every value on top is in the result, unless it is null."""
    expected = {path: value for path, value in leaves(over).items() if value is not None}
    found = leaves(codec.merged(under, over))

    assert expected == {path: found.get(path) for path in expected}


@given(FULL_TREES, TREES)
def test_under_shows_through(under: Object, over: Object) -> None:
    """Every value underneath that nothing lies over is in the result."""
    expected = {path: value for path, value in leaves(under).items() if is_free(over, path)}
    found = leaves(codec.merged(under, over))

    assert expected == {path: found.get(path) for path in expected}


@given(FULL_TREES, TREES)
def test_null_removes(under: Object, over: Object) -> None:
    """Nothing is left at a null on top, nor below it."""
    nulls = {path for path, value in leaves(over).items() if value is None}
    found = leaves(codec.merged(under, over))

    assert [] == [path for path in found if any(path[: depth + 1] in nulls for depth in range(len(path)))]


@given(TREES)
def test_nothing_underneath(over: Object) -> None:
    """On top of nothing an object stays as it is, without its nulls."""
    expected = {path: value for path, value in leaves(over).items() if value is not None}

    assert expected == leaves(codec.merged({}, over))


@given(FULL_TREES)
def test_nothing_on_top(under: Object) -> None:
    """With nothing on top an object stays as it is."""
    assert under == codec.merged(under, {})


@given(FULL_TREES, TREES)
def test_merging_twice(under: Object, over: Object) -> None:
    """Laying the same object on top again changes nothing."""
    once = codec.merged(under, over)

    assert once == codec.merged(once, over)


@given(FULL_TREES, TREES)
def test_merging_leaves_its_inputs(under: Object, over: Object) -> None:
    """Merging changes neither object."""
    before = copy.deepcopy((under, over))
    codec.merged(under, over)

    assert before == (under, over)


@pytest.mark.parametrize(
    ("under", "over", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3, "z": 4}}, {"a": {"x": 1, "y": 3, "z": 4}}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": None}}, {"a": {"x": 1}}),
        ({"a": {"x": 1}}, {"a": None}, {}),
        ({"a": {"x": 1}}, {"a": 2}, {"a": 2}),
        ({"a": 2}, {"a": {"x": 1, "y": None}}, {"a": {"x": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"b": None}, {"a": 1}),
    ],
)
def test_merged(under: Object, over: Object, expected: Object) -> None:
    """Objects merge at every depth, anything else is replaced."""
    assert expected == codec.merged(under, over)


# ── lengths and angles ────────────────────────────────────────────────────────────────────────────────────────────


def test_norm() -> None:
    """The Euclidean length, also of values whose squares are beyond float32."""
    assert [5.0, 5e30] == pytest.approx([codec.norm(vector(3, 4)), codec.norm(vector(3e30, 4e30))])


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [((1, 0), (2, 0), 1), ((1, 0), (0, 3), 0), ((1, 1), (-2, -2), -1), ((1, 0), (1, 1), 0.5**0.5), ((0, 0), (1, 0), 0)],
)
def test_cosine(left: tuple[float, ...], right: tuple[float, ...], expected: float) -> None:
    """The cosine does not depend on the vectors' lengths; a zero vector has none, and counts as like nothing."""
    assert expected == pytest.approx(codec.cosine(vector(*left), vector(*right)))
