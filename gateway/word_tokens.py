"""How many tokens a text has, put together from its words, most of which were met before: words return, texts do not.

It holds for encodings that first cut a text by cl100k_base's pattern. None of the pattern's pieces has a space anywhere
but at its beginning, except those of nothing but white space. So where a space stands alone, between characters that
are no white space, a piece begins with it, and nothing beyond it decides how the rest is cut. The tokens of a text all
of whose spaces stand alone are those of its first word, and those of each further one with the space in front of it.
Every other text is counted as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

KNOWN_WORDS: Final = 16_384
"""Words that are remembered, about 2 MB of them; then all are forgotten."""
LONGEST_WORD: Final = 32
NEW_PART: Final = 8
"""Counting a word by itself takes five times as long as among others. So a text is counted as a whole where more than
one in eight of its words is new, and only so many of them are learned."""


class WordTokens:
    """`count` counts a whole text. Threads may share this: at worst a word is counted twice."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._whole = count
        self._first: dict[str, int] = {}
        self._further: dict[str, int] = {}

    def count(self, text: str) -> int:
        words = text.split(" ")
        try:
            return self._first[words[0]] + sum(map(self._further.__getitem__, words[1:]))
        except KeyError:
            return self._learning(text, words)

    def _learning(self, text: str, words: Sequence[str]) -> int:
        total, may_learn = 0, 1 + len(words) // NEW_PART
        for place, word in enumerate(words):
            known = self._further if place else self._first
            tokens = known.get(word)
            if tokens is None:
                if not may_learn or not word or word[0].isspace() or word[-1].isspace():
                    return self._whole(text)
                may_learn -= 1
                tokens = self._whole(f" {word}" if place else word)
                if len(word) <= LONGEST_WORD:
                    if len(known) >= KNOWN_WORDS:
                        known.clear()
                    known[word] = tokens
            total += tokens
        return total
