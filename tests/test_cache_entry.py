"""Keys that are equal only where vectors are, and entries that are right bit for bit or nothing."""

from __future__ import annotations

import dataclasses
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cache_entry import Kept, Recipe, pack, unpack
from providers.base import Input

DIMENSIONS = 3
RECIPE = Recipe(
    epoch="e1",
    space="our/space",
    generation=0,
    made_by="",
    upstream=DIMENSIONS,
    final=DIMENSIONS,
    sent=None,
    input_type=None,
    normalize=False,
    extra={},
)
KEYS = st.binary(min_size=32, max_size=32)
NUMBERS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=DIMENSIONS, max_size=DIMENSIONS)
KEPT = st.builds(
    Kept,
    NUMBERS.map(lambda numbers: struct.pack("<3f", *numbers)),
    st.integers(0, 10**9),
    st.sampled_from(["reported", "counted", "estimated"]),
    st.floats(0, 1e12),
)
INPUTS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5)
)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": "e2"},
        {"space": "our/space2"},
        {"generation": 1},
        {"made_by": "another address"},
        {"upstream": 4},
        {"final": 2},
        {"sent": DIMENSIONS},
        {"input_type": "query"},
        {"normalize": True},
        {"extra": {"seed": 1}},
        {"owner": "k1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides(change: dict[str, Any]) -> None:
    """Each thing that a vector depends on is in its key."""
    other = dataclasses.replace(RECIPE, **change)

    assert set(RECIPE.keys(["text", [1, 2]])).isdisjoint(other.keys(["text", [1, 2]]))


def test_every_field() -> None:
    """The test before this one has every field of a recipe."""
    (mark,) = test_whatever_decides.pytestmark
    tried = {name for change in mark.args[1] for name in change}

    assert {field.name for field in dataclasses.fields(Recipe)} == tried


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False), (None, "null"), ("1", 1), ([], {})])
def test_values_of_fields(one: Any, other: Any) -> None:
    """Values that Python takes for equal, or that look alike, are different fields."""
    first, second = (dataclasses.replace(RECIPE, extra={"field": value}) for value in (one, other))

    assert first.keys(["a"]) != second.keys(["a"])


def test_order_of_fields() -> None:
    """The order in which a client writes its fields decides nothing."""
    first, second = (dataclasses.replace(RECIPE, extra=extra) for extra in ({"a": 1, "b": 2}, {"b": 2, "a": 1}))

    assert first.keys(["text"]) == second.keys(["text"])


@given(st.lists(INPUTS, max_size=8))
def test_one_key_each(inputs: list[Input]) -> None:
    """Equal inputs have equal keys, and different ones different, texts and token ids alike."""
    keys = RECIPE.keys(inputs)
    different = {(str if isinstance(item, str) else list, str(item)) for item in inputs}

    assert (len(inputs), len(different), {32} if keys else set()) == (len(keys), len(set(keys)), set(map(len, keys)))


@given(KEYS, KEPT)
def test_there_and_back(key: bytes, kept: Kept) -> None:
    """An entry comes out as it went in."""

    assert [kept] == unpack([key], [pack(key, kept)], DIMENSIONS)


@given(KEYS, KEPT, st.data())
def test_one_wrong_bit(key: bytes, kept: Kept, data: st.DataObject) -> None:
    """An entry with one bit the other way is none."""
    entry = bytearray(pack(key, kept))
    bit = data.draw(st.integers(0, len(entry) * 8 - 1))
    entry[bit // 8] ^= 1 << bit % 8

    assert [None] == unpack([key], [bytes(entry)], DIMENSIONS)


@given(KEYS, KEYS, KEPT)
def test_under_another_key(key: bytes, other: bytes, kept: Kept) -> None:
    """What lies under another key than its own is no entry: no text gets the vector of another."""

    assert [None if other != key else kept] == unpack([other], [pack(key, kept)], DIMENSIONS)


@pytest.mark.parametrize("dimensions", [DIMENSIONS - 1, DIMENSIONS + 1])
def test_of_another_length(dimensions: int) -> None:
    """An entry whose vector has another length than is wanted is none."""
    entry = pack(b"k" * 32, Kept(bytes(4 * DIMENSIONS), 1, "counted", 0.0))

    assert [None] == unpack([b"k" * 32], [entry], dimensions)


@given(st.lists(st.tuples(KEYS, KEPT, st.sampled_from(["whole", "broken", "none"])), max_size=6))
def test_each_at_its_place(told: list[tuple[bytes, Kept, str]]) -> None:
    """Of several, each is what it is, whatever the others are."""
    whole = [pack(key, kept) for key, kept, _ in told]
    forms = [{"whole": entry, "broken": entry[:-1] + bytes([entry[-1] ^ 1]), "none": None} for entry in whole]
    entries = [form[how] for form, (_, _, how) in zip(forms, told, strict=True)]

    assert [kept if how == "whole" else None for _, kept, how in told] == unpack(
        [key for key, _, _ in told], entries, DIMENSIONS
    )


@given(KEYS, st.binary(max_size=40))
def test_anything_else(key: bytes, found: bytes) -> None:
    """Whatever else lies in a Redis is no entry, and no error."""

    assert [None] == unpack([key], [found], DIMENSIONS)
