"""A text too long for a model becomes parts that fit: cut between words, else between characters as people see them.

It knows no tokenizer: whoever cuts says how many tokens a part has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

TooLong = Literal["error", "truncate", "average"]
"""What happens to an input over its limit: it is refused, its first part stands for it, or all its parts do."""

CHARACTERS_PER_TOKEN: Final = 4
"""What the first guess supposes; each part then tells the next."""
FULL: Final = 15 / 16
"""A part of so much of the limit is long enough: looking for a longer one costs more than it saves."""
SLACK: Final = (1 + FULL) / 2
"""What a guess aims at, of the limit."""
GROWTH: Final = 8
"""A guess is at most so many times as long as a part that was found to fit."""
GUESSES: Final = 4
"""By the tokens that were counted; from then on what is in doubt is halved."""
WORD: Final = 64
"""Characters. A word that is longer than this, and than an eighth of a part, may be cut."""
CLUSTER: Final = 32
"""Code points. A character of more may be cut."""

_BLANKS: Final = re.compile(r"\s*")
_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


class NoRoom(ValueError):
    """Not even one character fits."""


class Part(NamedTuple):
    """A piece of a text, and its tokens with all that goes around it."""

    text: str
    tokens: int


def cut(text: str, limit: int, tokens: Callable[[str], int]) -> Iterator[Part]:
    """The parts of a text, in order, each of at most `limit` tokens; the text itself if it fits. Raises NoRoom.

    Blanks where it is cut belong to no part. All but the last are nearly as long as they can be. Parts are made as
    they are asked for, and their making counts a small multiple of the text's characters, whatever the text.
    """
    start, guess = 0, CHARACTERS_PER_TOKEN * limit
    while start < len(text):
        end, part = _longest(text, start, guess, limit, tokens)
        yield part
        guess = (end - start) + (end - start) // 16 + 1
        start = _blanks_end(text, end)


def _longest(text: str, start: int, guess: int, limit: int, tokens: Callable[[str], int]) -> tuple[int, Part]:
    """The part that begins at `start`, and where in the text it ends."""
    found: tuple[int, Part] | None = None
    fits, exceeds = start, len(text) + 1  # ends of which this is known, or true of every text that has no tricks
    end, turn = min(start + guess, len(text)), 0
    while True:
        border = _border(text, start, end)
        stretch = text[start:border]
        part = stretch if border == len(text) else stretch.rstrip() or stretch
        number = tokens(part)
        if number <= limit:
            fits, found = end, (border, Part(part, number))
            if end == len(text) or number >= FULL * limit:
                return found
        else:
            exceeds = border
        if exceeds - fits <= 1 + (fits - start) // 16:
            if found is not None:
                return found
            if exceeds - fits <= 1:
                raise NoRoom
        turn += 1
        end = _next(text, start, end, fits, exceeds, limit / max(number, 1), turn)


def _next(text: str, start: int, end: int, fits: int, exceeds: int, ratio: float, turn: int) -> int:
    """The next end to try: where the tokens last counted promise the limit, or the middle of what is in doubt."""
    if exceeds > len(text):
        factor = GROWTH if turn > GUESSES else min(ratio * SLACK, GROWTH)
        return min(start + int((end - start) * factor) + 1, len(text))
    wanted = start + int((end - start) * ratio * SLACK)
    return wanted if fits < wanted < exceeds and turn <= GUESSES else (fits + exceeds) // 2


def _border(text: str, start: int, end: int) -> int:
    """Where to cut, at `end` or shortly before, and always after `start`."""
    if end == len(text) or text[end].isspace() or text[end - 1].isspace():
        return end
    reach = max(start, end - max(WORD, (end - start) // 8))
    word = text[reach:end].rsplit(maxsplit=1)[-1]
    border = end - len(word)
    if border > reach and not text[start:border].isspace():
        return border
    return next((place for place in range(end, max(start, end - CLUSTER), -1) if not _inside(text, place)), end)


def _inside(text: str, place: int) -> bool:
    """Whether what people take for one character would be cut; rarer forms, such as Hangul's parts, are not told."""
    before, after = text[place - 1], text[place]
    if ord(after) in _FLAG_LETTERS and ord(before) in _FLAG_LETTERS:
        letters = text[max(0, place - CLUSTER) : place]
        return next((n for n, c in enumerate(reversed(letters)) if ord(c) not in _FLAG_LETTERS), len(letters)) % 2 == 1
    return _JOINER in (before, after) or ord(after) in _SKIN_TONES or unicodedata.category(after) in ("Mn", "Mc", "Me")


def _blanks_end(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    return blanks.end() if blanks is not None else place
