"""A text becomes parts that fit, cut where people would."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cutting import NoRoom, cut
from gateway.tokens import TiktokenCounter

COUNTER = TiktokenCounter()


def characters(text: str) -> int:
    return len(text)


def parts(text: str, limit: int) -> list[str]:
    """The parts of a text whose every character is a token."""
    return [part.text for part in cut(text, limit, characters)]


TEXT = st.text(st.sampled_from("ab \n") | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=400)


@given(TEXT, st.integers(4, 60))
def test_parts_fit(text: str, limit: int) -> None:
    """Every part is within the limit, of the tokens that it says, and holds something."""
    made = list(cut(text, limit, COUNTER.count))

    assert [part.tokens for part in made] == [COUNTER.count(part.text) for part in made]
    assert all(part.text and part.tokens <= limit for part in made)


@given(TEXT, st.integers(4, 60))
def test_nothing_is_lost(text: str, limit: int) -> None:
    """The parts are the text, in order, but for blanks at their borders."""
    place = 0
    for part in cut(text, limit, COUNTER.count):
        found = text.index(part.text, place)
        assert not text[place:found].strip()
        place = found + len(part.text)

    assert not text[place:].strip()


@given(TEXT, st.integers(4, 60))
def test_what_fits_is_whole(text: str, limit: int) -> None:
    """A text within the limit is one part, blanks at its ends and all."""
    fits = COUNTER.count(text) <= limit

    assert not fits or [text] == [part.text for part in cut(text, limit, COUNTER.count)]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 7, ["one two", "three"]),
        ("one two three", 6, ["one", "two", "three"]),
        ("one  \n two", 4, ["one", "two"]),
        ("two ", 3, ["two"]),
        (" one", 4, [" one"]),
        ("abcdef", 3, ["abc", "def"]),
        ("日本語テキスト", 3, ["日本語", "テキス", "ト"]),
        ("ae\u0301a", 2, ["a", "e\u0301", "a"]),
        ("👩‍👩‍👧👩‍👩‍👧", 7, ["👩‍👩‍👧", "👩‍👩‍👧"]),
        ("👍🏽👍🏽", 3, ["👍🏽", "👍🏽"]),
        ("🇩🇪🇫🇷🇮🇹", 5, ["🇩🇪🇫🇷", "🇮🇹"]),
        ("e\u0301", 1, ["e", "\u0301"]),
    ],
)
def test_borders(text: str, limit: int, expected: list[str]) -> None:
    """Texts are cut between words; where those are too long, between what people take for characters; else anywhere."""
    assert expected == parts(text, limit)


def test_parts_are_full() -> None:
    """All parts but the last come near to the limit."""
    made = list(cut("The cat sat on the mat, and a kitten on the rug. " * 500, 512, COUNTER.count))

    assert [part.tokens for part in made[:-1] if part.tokens < 0.9 * 512] == []


def test_no_room() -> None:
    """Where not one character fits, nothing can be cut."""
    with pytest.raises(NoRoom):
        list(cut("ab", 1, lambda part: 2 * len(part)))


def blanks_are_free(text: str) -> int:
    return sum(not unicodedata.category(character).startswith("Z") for character in text)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 40_000,
        "x" * 200_000,
        "日本語" * 60_000,
        " " * 200_000 + "x",
        ("dense " * 500 + " " * 20_000) * 10,
        "x" * 1_000 + " " * 200_000,
    ],
    ids=["words", "one word", "no blanks", "blanks", "both", "blank end"],
)
@pytest.mark.parametrize("count", [COUNTER.count, characters, blanks_are_free])
def test_work_is_bounded(text: str, count: object) -> None:
    """Whatever the text, a small multiple of its characters is counted."""
    counted = 0

    def counting(part: str) -> int:
        nonlocal counted
        counted += len(part)
        return count(part)  # type: ignore[no-any-return, operator]

    list(cut(text, 512, counting))

    assert counted <= 12 * len(text)


def test_first_part_is_cheap() -> None:
    """Who wants the first part alone pays for no other."""
    counted = 0

    def counting(part: str) -> int:
        nonlocal counted
        counted += len(part)
        return len(part)

    next(cut("word " * 1_000_000, 512, counting))

    assert counted < 10_000
