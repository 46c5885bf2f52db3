"""Portions of many texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.portions import portions


@pytest.mark.parametrize(
    ("texts", "overhead", "expected"),
    [
        ([], 0, [[]]),
        ([""], 0, [[""]]),
        (["aaaaa"], 0, [["aaaaa"]]),
        (["aa", "aa"], 0, [["aa", "aa"]]),
        (["aa", "aaa"], 0, [["aa"], ["aaa"]]),
        (["a", "aaaaa", "a", "a"], 0, [["a"], ["aaaaa"], ["a", "a"]]),
        (["aaaaa", "aaaaa"], 0, [["aaaaa"], ["aaaaa"]]),
        (["a", "a", "a"], 1, [["a", "a"], ["a"]]),
    ],
    ids=str,
)
def test_portions(texts: list[str], overhead: int, expected: list[list[str]]) -> None:
    """Texts go together as long as they are no more than the most; a longer one goes by itself."""
    assert expected == [list(portion) for portion in portions(texts, 4, overhead)]


@given(st.lists(st.text("a", max_size=9)), st.integers(0, 3), st.integers(1, 9))
def test_all_texts_in_order(texts: list[str], overhead: int, most: int) -> None:
    """Every text is in one portion, in its order, and no portion is larger than one text has to be."""
    found = [list(portion) for portion in portions(texts, most, overhead)]

    assert texts == [text for portion in found for text in portion]
    assert all(len(portion) <= 1 or sum(map(len, portion)) + overhead * len(portion) <= most for portion in found)
