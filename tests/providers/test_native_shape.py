"""Reading answers of services with a wire of their own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import native_shape
from providers.base import Embeddings, Endpoint, Fault
from tests.providers.exchange import HTML, A, B, answer, malformed

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), below, max_size=2),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("base_url", "region", "expected"),
    [
        ("https://host", None, "https://host"),
        ("https://host/v1/", None, "https://host/v1"),
        ("https://host/v1//", "eu", "https://host/v1"),
        ("https://runtime.{region}.host", "eu-west-1", "https://runtime.eu-west-1.host"),
    ],
)
def test_root(base_url: str, region: str | None, expected: str) -> None:
    """A base URL is used without its last slash, with the region in its place."""
    assert expected == native_shape.root(Endpoint(base_url, region=region))


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"a": [1]}', {"a": [1]}), (b"[]", []), (b" 1 ", 1), (b"null", None), (b"", None), (b"[NaN]", None)],
)
def test_json_of(body: bytes, expected: object) -> None:
    """What is no JSON is None."""
    assert expected == native_shape.json_of(answer(body))


@pytest.mark.parametrize(
    ("path", "expected"),
    [((), {"a": {"b": 1}}), (("a",), {"b": 1}), (("a", "b"), 1), (("x",), None), (("a", "b", "c"), None)],
)
def test_at(path: tuple[str, ...], expected: object) -> None:
    """What lies under keys is found, or None."""
    assert expected == native_shape.at({"a": {"b": 1}}, *path)


PAIR = [[0.1, 0.2], [0.3, 0.4]]


@pytest.mark.parametrize(
    ("payload", "place", "path"),
    [
        (PAIR, "", ()),
        ({"vectors": PAIR}, "vectors", ()),
        ({"vectors": {"float": PAIR}}, "vectors.float", ()),
        ([{"x": {"y": numbers}} for numbers in PAIR], "", ("x", "y")),
    ],
    ids=["bare", "named", "nested", "objects"],
)
def test_embeddings(payload: object, place: str, path: tuple[str, ...]) -> None:
    """Vectors are found wherever they are."""
    found = native_shape.embeddings(payload, answer(b""), place, *path, prompt_tokens=5)

    assert Embeddings([A, B], None, 5) == found


@pytest.mark.parametrize(
    ("payload", "place", "path", "message"),
    [
        (None, "", (), "the answer is not JSON"),
        (None, "vectors", (), "the answer is not JSON"),
        ({}, "", (), "the answer is not a list"),
        ({}, "vectors.float", (), "the answer has no list `vectors.float`"),
        ({"vectors": {"0": [1]}}, "vectors", (), "the answer has no list `vectors`"),
        ([[0.1], [0.1, "0.2"]], "", (), "`[1]` is not a list of numbers"),
        ([[0.1], None], "", (), "`[1]` is not a list of numbers"),
        ([[[0.1]]], "", (), "`[0]` is not a list of numbers"),
        ([0.1], "", (), "`[0]` is not a list of numbers"),
        ({"vectors": [{"x": {}}]}, "vectors", ("x", "y"), "`vectors[0].x.y` is not a list of numbers"),
    ],
)
def test_no_embeddings(payload: object, place: str, path: tuple[str, ...], message: str) -> None:
    """Where vectors are missing, the answer is malformed, said with the place."""
    assert malformed(message) == native_shape.embeddings(payload, answer(b""), place, *path)


def test_one_embedding() -> None:
    """A single vector is found."""
    found = native_shape.one_embedding({"x": {"y": [0.1, 0.2]}}, answer(b""), "x", "y", prompt_tokens=5)

    assert Embeddings([A], None, 5) == found


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (None, "the answer is not JSON"),
        ([], "the answer has no list of numbers `x.y`"),
        ({"x": {"y": ["0.1"]}}, "the answer has no list of numbers `x.y`"),
        ({"x": {"y": [[0.1]]}}, "the answer has no list of numbers `x.y`"),
    ],
)
def test_no_embedding(payload: object, message: str) -> None:
    """Where the single vector is missing, the answer is malformed."""
    assert malformed(message) == native_shape.one_embedding(payload, answer(b""), "x", "y")


@given(TREES)
def test_any_json_is_read_or_malformed(payload: Any) -> None:
    """Whatever JSON comes, reading it gives vectors or a fault."""
    assert isinstance(native_shape.embeddings(payload, answer(HTML), "a", "b"), Embeddings | Fault)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(5, 5), (0, None), (-1, None), (5.0, None), (True, None), ("5", None), (None, None), ([5], None)],
    ids=str,
)
def test_tokens(value: object, expected: int | None) -> None:
    """Tokens are a whole number above zero; anything else is not said."""
    assert expected == native_shape.tokens(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), ("0", None), ("-1", None), ("5.0", None), ("", None), ("five", None), ("²", None), ("9" * 5000, None)],
)
def test_header_tokens(text: str, expected: int | None) -> None:
    """Tokens in a header are read as strictly."""
    assert expected == native_shape.header_tokens(answer(b"", headers={"x-tokens": text}), "x-tokens")


def test_no_header_tokens() -> None:
    """Without the header they are not said."""
    assert native_shape.header_tokens(answer(b""), "x-tokens") is None
