"""Counters of tokens whose count is plain to see, and which remember what they were asked to count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class LetterCounter:
    """Each letter is a token, blanks are none; `bounded` as a byte-level encoding is.

    It pretends to know cheaply only that one in `tokens_of` letters is a token.
    """

    name: str = "letters"
    exact: bool = True
    bounded: bool = True
    tokens_of: int = 4
    counted: list[str] = field(default_factory=list)

    def count(self, text: str) -> int:
        self.counted.append(text)
        return sum(map(str.isalpha, text))

    def most(self, text: str) -> int | None:
        return len(text) if self.bounded else None

    def bounds(self, texts: Sequence[str]) -> list[int] | None:
        return list(map(len, texts)) if self.bounded else None

    def least(self, text: str) -> int:
        return sum(map(str.isalpha, text)) // self.tokens_of


class NoCounter:
    """Fails the test that makes it count: what it is asked must be known by the bounds."""

    name = "nothing"
    exact = True

    def count(self, text: str) -> int:
        raise AssertionError(f"`{text}` need not have been counted")

    def most(self, text: str) -> int:
        return len(text)

    def bounds(self, texts: Sequence[str]) -> list[int]:
        return list(map(len, texts))

    def least(self, text: str) -> int:
        return len(text) // 4
