"""Tokens of texts out of those of their words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import word_tokens
from gateway.vocabulary import cl100k
from gateway.word_tokens import LONGEST_WORD, NEW_PART, WordTokens


def whole(text: str) -> int:
    return len(cl100k().encode_ordinary(text))


SHARED = WordTokens(whole)
"""It remembers the words of former examples, so that most texts are put together from known ones."""

WORDS = st.text(alphabet="ab'sS19!.-_é漢😀\t\n\r\u00a0\u0301\u1680\u180e\u200b\u3000\x1c\x85", max_size=4)
SPACED = st.lists(WORDS).map(" ".join)
PROSE = st.lists(
    st.sampled_from(["the", "it's", "don't", "1,000", "x=1;", "naïve", "end.", "漢字", "I'M", "a\nb", "…"])
).map(" ".join)


@given(st.one_of(SPACED, PROSE, st.text(" \nab1'.", max_size=12), st.text()))
@settings(max_examples=1000)
def test_as_the_whole(text: str) -> None:
    """A text has as many tokens as when it is encoded as a whole, whether it is new or its words are known."""
    assert whole(text) == SHARED.count(text)
    assert whole(text) == SHARED.count(text)


class Counted:
    """Counts words, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, text: str) -> int:
        self.asked.append(text)
        return len(text.split())


def test_known_words() -> None:
    """What was met before is not counted again; a first word is another than a further one."""
    counted = Counted()
    words = WordTokens(counted)
    found = [words.count(text) for text in ("a", "b", "a", "a b", "b a", "a b b", "a")]

    assert ([1, 1, 1, 2, 2, 3, 1], ["a", "b", " b", " a"]) == (found, counted.asked)


def test_new_words() -> None:
    """A text of many new words is counted as a whole, and some of them are learned each time."""
    counted = Counted()
    words = WordTokens(counted)
    text = " ".join(f"w{number}" for number in range(2 * NEW_PART))
    found = [words.count(text) for _ in range(8)]
    learned = [f" w{number}" if number else "w0" for number in range(2 * NEW_PART)]
    each = [*learned[:3], text, *learned[3:6], text, *learned[6:9], text, *learned[9:12], text, *learned[12:15], text]

    assert ([2 * NEW_PART] * 8, [*each, learned[15]]) == (found, counted.asked)


@pytest.mark.parametrize("text", ["", " ", "a ", " a", "a  b", "a\n b", "a \tb", "a b\n"])
def test_white_space_side_by_side(text: str) -> None:
    """A text with a space at its edge or beside other white space is counted as a whole, each time."""
    counted = Counted()
    words = WordTokens(counted)
    words.count("a b")
    counted.asked.clear()
    words.count(text)
    words.count(text)

    assert [text, text] == counted.asked


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many words are remembered, and no long ones."""
    monkeypatch.setattr(word_tokens, "KNOWN_WORDS", 3)
    counted = Counted()
    words = WordTokens(counted)
    for text in ("a", "b", "c", "a", "d", "a", "x" * LONGEST_WORD, "x" * (LONGEST_WORD + 1), "x" * (LONGEST_WORD + 1)):
        words.count(text)

    assert ["a", "b", "c", "d", "a", "x" * LONGEST_WORD, *["x" * (LONGEST_WORD + 1)] * 2] == counted.asked


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that fill and empty the memory at the same time get the right counts."""
    monkeypatch.setattr(word_tokens, "KNOWN_WORDS", 5)
    words = WordTokens(whole)
    texts = [" ".join("cats"[start:] * count for start in range(4)) for count in range(1, 20)] * 20
    expected = [whole(text) for text in texts]

    with ThreadPoolExecutor(4) as pool:
        assert expected == list(pool.map(words.count, texts))
