"""Texts as the sequences of tokens that a transformer reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from providers.base import Fault, FaultKind
from providers.local.sequences import Sequences
from providers.local.vocabulary import LONG_TEXT
from tests.fakes.transformer import tokenizer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A tokenizer.json whose own settings cut at 8 tokens and pad to 48."""
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.fixture
def sequences(file: Path) -> Sequences:
    return Sequences.read(file, 600)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("cat", 3), ("the cats", 5), (" cat\n", 3), ("cat " * 300, 302), ("cat " * 598, 600), ("\U0001f600 cat", 4)],
    ids=["a word", "parts", "blanks", "long", "longest", "partly unknown"],
)
def test_lengths(sequences: Sequences, text: str, expected: int) -> None:
    """A text has as many tokens as it has, two special ones added; the file's truncation and padding are off."""
    assert [expected] == sequences.lengths([text])


@pytest.mark.parametrize("words", [599, LONG_TEXT])
def test_too_long(sequences: Sequences, words: int) -> None:
    """A text over the limit is refused: its position, its tokens and the limit are told, and nothing is cut."""
    fault = sequences.lengths(["cat", "cat " * words, "cat " * words])
    expected = (
        f"it has {words + 2} tokens as this model counts, which reads at most 600 in one input. "
        "Split it into shorter ones."
    )

    assert Fault(FaultKind.REJECTED, expected, item=1) == fault


@pytest.mark.parametrize("text", ["\U0001f600", "   ", "\u200b", "[UNK]", "\U0001f600 \U0001f601"])
def test_nothing_known(sequences: Sequences, text: str) -> None:
    """A text without a token that the model knows is refused: special tokens and the unknown one are none."""
    fault = sequences.lengths(["cat", text])

    assert isinstance(fault, Fault)
    assert (FaultKind.REJECTED, 1) == (fault.kind, fault.item)
    assert fault.message.startswith("it has no token that the model knows")


def test_text_that_cannot_be_read(sequences: Sequences) -> None:
    """A text that the tokenizer fails on is refused."""
    fault = sequences.lengths(["cat", "\ud800"])

    assert isinstance(fault, Fault)
    assert (FaultKind.REJECTED, 1) == (fault.kind, fault.item)


def test_short_and_long(sequences: Sequences) -> None:
    """Both ways of asking the tokenizer give the same tokens."""
    text = "the cat sat on 1 mat, "
    short, long = sequences.encode(text), sequences.encode(text * (LONG_TEXT // len(text) + 1))

    assert short.ids[1:-1] == long.ids[1 : len(short.ids) - 1]


def test_copy(file: Path) -> None:
    """A library's tokenizer is copied: what it cuts is not cut here, and it goes on cutting."""
    library = Tokenizer.from_file(str(file))
    sequences = Sequences.like(library, file, 600)

    assert ([22], 48) == (sequences.lengths(["cat " * 20]), len(library.encode("cat " * 20)))
