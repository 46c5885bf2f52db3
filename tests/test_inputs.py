"""Every form of `input`, right and wrong, at any depth."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth import new_key
from gateway.errors import InvalidRequest
from gateway.inputs import MAX_INPUTS, MAX_TOKEN_ID, kind, parse_input, quoted
from providers.base import Input

IDS = st.lists(st.integers(0, MAX_TOKEN_ID), min_size=1)
TEXTS = st.lists(st.text(min_size=1), min_size=1)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=12
)
# Nearly right ones, which plain chance seldom finds.
NEARLY = st.lists(st.integers(-1, 3) | SCALARS, max_size=4) | st.lists(
    st.lists(st.integers(-1, 3) | SCALARS, max_size=3) | SCALARS, max_size=4
)


def is_sound(inputs: object) -> bool:
    """At least one input, all texts or all lists of ids, and none of them empty."""
    if not isinstance(inputs, list) or not inputs or not all(inputs):
        return False
    texts = all(type(item) is str for item in inputs)
    lists = all(type(item) is list and {type(token) for token in item} == {int} for item in inputs)
    return texts or lists


# ── right ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(min_size=1))
def test_one_text(text: str) -> None:
    """A string is one input."""

    assert [text] == parse_input(text)


@given(TEXTS)
def test_texts(texts: list[str]) -> None:
    """A list of strings is as many inputs, in their order."""

    assert list(texts) == parse_input(texts)


@given(IDS)
def test_one_list_of_ids(ids: list[int]) -> None:
    """A list of token ids is one input."""

    assert [list(ids)] == parse_input(ids)


@given(st.lists(IDS, min_size=1))
def test_lists_of_ids(lists: list[list[int]]) -> None:
    """A list of lists of token ids is as many inputs, in their order."""

    assert [list(ids) for ids in lists] == parse_input(lists)


@pytest.mark.parametrize("text", [" ", "\n", "\0", "\ufeff", "e\u0301", "🧑‍🚀"])
def test_texts_are_left_alone(text: str) -> None:
    """A text is neither stripped nor normalised."""

    assert [text, text] == parse_input([text, text])


@pytest.mark.parametrize("value", [["x"] * MAX_INPUTS, [[1]] * MAX_INPUTS], ids=["texts", "ids"])
def test_most_inputs(value: list[Input]) -> None:
    """2048 inputs fit."""

    assert 2048 == len(parse_input(value))


def test_many_ids_are_one_input() -> None:
    """The limit of 2048 is on inputs, not on one input's token ids."""

    assert 1 == len(parse_input([1] * 2049))


@pytest.mark.parametrize("token", [0, MAX_TOKEN_ID])
def test_outermost_ids(token: int) -> None:
    """Whatever fits into 32 bits may be a token id."""

    assert [[token]] == parse_input([token])


# ── wrong ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(JSON | NEARLY, st.booleans())
def test_any_json(value: object, texts_only: bool) -> None:
    """Any JSON value at all is sound inputs, or is refused in the name of `input` in one short line."""
    try:
        right = is_sound(parse_input(value, texts_only=texts_only))
    except InvalidRequest as refused:
        right = refused.param == "input" and refused.message.isprintable() and len(refused.message) < 300

    assert right


TWO_THOUSAND = [f"text {number}" for number in range(2000)]
NO_CHARACTERS = "is an empty string; every input needs at least one character."
NO_IDS = "is an empty array; every input needs at least one token id."
ANY_FORM = "a string, an array of strings, an array of token ids, or an array of arrays of token ids"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, f"`input` is missing; it must be {ANY_FORM}."),
        ("", f"`input` {NO_CHARACTERS}"),
        ([], "`input` is an empty array; send at least one input."),
        ([""], f"`input[0]` {NO_CHARACTERS}"),
        ([*TWO_THOUSAND[:1316], "", *TWO_THOUSAND[1317:]], f"`input[1316]` {NO_CHARACTERS}"),
        (["x"] * 2049, "`input` holds 2049 inputs; at most 2048 fit in one request. Send them in several requests."),
        ([[1]] * 2049, "`input` holds 2049 inputs; at most 2048 fit in one request. Send them in several requests."),
        (7, f"`input` must be {ANY_FORM}; it is a number."),
        (1.5, f"`input` must be {ANY_FORM}; it is a number (1.5)."),
        (True, f"`input` must be {ANY_FORM}; it is a boolean."),
        ({"text": "x"}, f"`input` must be {ANY_FORM}; it is an object."),
        ([None], f"`input[0]` is null. `input` must be {ANY_FORM}."),
        ([True], f"`input[0]` is a boolean. `input` must be {ANY_FORM}."),
        ([1.0], f"`input[0]` is a number (1.0). `input` must be {ANY_FORM}."),
        ([{}], f"`input[0]` is an object. `input` must be {ANY_FORM}."),
        (["a", 1], f"`input` mixes kinds: item 0 is a string and item 1 is a number. It must be {ANY_FORM}."),
        ([1, "a"], f"`input` mixes kinds: item 0 is a number and item 1 is a string. It must be {ANY_FORM}."),
        ([1, 2, True], f"`input` mixes kinds: item 0 is a number and item 2 is a boolean. It must be {ANY_FORM}."),
        ([1, 2.5], f"`input` mixes kinds: item 0 is a number and item 1 is a number (2.5). It must be {ANY_FORM}."),
        ([[1], 2], f"`input` mixes kinds: item 0 is an array and item 1 is a number. It must be {ANY_FORM}."),
        (["a", ["b"]], f"`input` mixes kinds: item 0 is a string and item 1 is an array. It must be {ANY_FORM}."),
        (["a", None], f"`input` mixes kinds: item 0 is a string and item 1 is null. It must be {ANY_FORM}."),
        ([[]], f"`input[0]` {NO_IDS}"),
        ([[1], [2], []], f"`input[2]` {NO_IDS}"),
        ([["a"]], "`input[0]` must hold token ids, which are whole numbers; its element 0 is a string."),
        ([[1], [2, True]], "`input[1]` must hold token ids, which are whole numbers; its element 1 is a boolean."),
        ([[1], [2.0]], "`input[1]` must hold token ids, which are whole numbers; its element 0 is a number (2.0)."),
        ([[[1]]], "`input[0]` must hold token ids, which are whole numbers; its element 0 is an array."),
        ([5, -1], "`input` holds -1 at element 1, which is no token id."),
        ([[5], [5, 5, -7]], "`input[1]` holds -7 at element 2, which is no token id."),
        ([2**32], "`input` holds 4294967296 at element 0, which is no token id."),
        ([[1, 2**64 - 1]], "`input[0]` holds 18446744073709551615 at element 1, which is no token id."),
    ],
    ids=count(),
)
def test_refusal(value: Any, message: str) -> None:
    """A refusal says which item is wrong, how, and what would be right."""
    with pytest.raises(InvalidRequest, match=f"^{re.escape(message)}$"):
        parse_input(value)


# ── texts only ────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(min_size=1) | TEXTS)
def test_texts_where_only_texts_go(value: str | list[str]) -> None:
    """Where only texts go, texts are what they are elsewhere."""

    assert parse_input(value) == parse_input(value, texts_only=True)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "`input` must be a string or an array of strings; item 0 is a number."),
        ([[1]], "`input` must be a string or an array of strings; item 0 is an array."),
        (None, "`input` is missing; it must be a string or an array of strings."),
        (7, "`input` must be a string or an array of strings; it is a number."),
        (
            ["a", 1],
            "`input` mixes kinds: item 0 is a string and item 1 is a number. "
            "It must be a string or an array of strings.",
        ),
    ],
)
def test_refusal_where_only_texts_go(value: Any, message: str) -> None:
    """Where only texts go, token ids are refused in words that do not offer them."""
    with pytest.raises(InvalidRequest, match=f"^{re.escape(message)}$"):
        parse_input(value, texts_only=True)


# ── words for messages ────────────────────────────────────────────────────────────────────────────────────────────


@given(st.text(alphabet=st.characters()), st.integers(1, 20))
def test_quoted(name: str, limit: int) -> None:
    """A name from outside goes into a message short, on one line, and unable to end its own quotation."""
    clean = quoted(name, limit)

    assert (True, True, False) == (len(clean) <= limit + 1, clean.isprintable(), "`" in clean)


def test_quoted_key() -> None:
    """A client's key that was sent in the place of a name is not repeated."""

    assert "a/sk-gateway-…/b" == quoted(f"a/{new_key()}/b")


@pytest.mark.parametrize("name", ["text-embedding-3-small", "BAAI/bge-m3:query", "名前", "x" * 100, ""])
def test_quoted_plainly(name: str) -> None:
    """An ordinary name stays as it is."""

    assert name == quoted(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number (1.5)"),
        ("1", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_kind(value: object, expected: str) -> None:
    """A value's kind is named in JSON's words, not in Python's."""

    assert expected == kind(value)
