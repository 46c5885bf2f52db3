from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import tokens
from gateway.tokens import FileCounter, TiktokenCounter, counter, counts
from gateway.vocabulary import cl100k

# Characters at which cl100k's pattern decides, their near misses, and some of several bytes.
TRICKY = st.text(alphabet=" \t\n\r\v\f\x1c\x85\xa0\u180e\u2003\u200b\u2028\u3000ab'sS19!.-é漢😀", max_size=60)
TEXTS = TRICKY | st.text()
RUNS = st.lists(st.builds(str.__mul__, st.sampled_from("   \t\n\r\x1c\u3000a1!"), st.integers(1, 7))).map("".join)


@pytest.fixture(scope="module", name="encoding")
def _encoding() -> tiktoken.Encoding:
    return cl100k()


@pytest.fixture(scope="module", name="tokenizer_file")
def _tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Words are tokens, two special ones go around them, and the file asks for truncation to 4 and padding to 16."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "hello": 3, "world": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=16)
    path = tmp_path_factory.mktemp("tokens") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module", name="file_counter")
def _file_counter(tokenizer_file: Path) -> FileCounter:
    return FileCounter(tokenizer_file)


def test_longest_token(encoding: tiktoken.Encoding) -> None:
    """No token is longer than the lower bound takes for granted."""
    longest = max(map(len, encoding.token_byte_values()))

    assert longest == tokens.LONGEST_TOKEN


@given(TEXTS)
def test_count_is_bounded(encoding: tiktoken.Encoding, text: str) -> None:
    """A count lies between the two cheap bounds."""
    counter = TiktokenCounter(encoding)

    assert counter.least(text) <= counter.count(text) <= counter.most(text)


@pytest.mark.parametrize(
    ("text", "most", "least"), [("", 0, 0), ("a" * 128, 128, 1), ("a" * 129, 129, 2), ("漢", 3, 1)]
)
def test_bounds(encoding: tiktoken.Encoding, text: str, most: int, least: int) -> None:
    """The bounds are the UTF-8 length and its 128th part, rounded up."""
    counter = TiktokenCounter(encoding)

    assert (most, least) == (counter.most(text), counter.least(text))


def test_special_tokens_are_text(encoding: tiktoken.Encoding) -> None:
    """What looks like a special token is counted as the text that it is."""
    assert len(encoding.encode_ordinary("<|endoftext|>")) == TiktokenCounter(encoding).count("<|endoftext|>") == 7


@given(RUNS | TRICKY, st.integers(1, 5))
@settings(max_examples=500)
def test_pieces_count_as_the_whole(encoding: tiktoken.Encoding, text: str, long: int) -> None:
    """The pieces' tokens, one after the other, are the whole text's."""
    parts = list(tokens.pieces(text, long))

    assert encoding.encode_ordinary(text) == [id_ for part in parts for id_ in encoding.encode_ordinary(part)]


def test_blanks() -> None:
    """The blanks are what tiktoken's regex takes for white space, but for carriage return and newline."""
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    bytewise = {bytes([byte]): byte for byte in range(256)}
    regex = tiktoken.Encoding("blanks", pat_str=r"[^\S\r\n]", mergeable_ranks=bytewise, special_tokens={})

    assert regex.decode(regex.encode_ordinary(every)) == tokens.BLANKS


@given(RUNS | TRICKY, st.integers(1, 5))
def test_pieces_hold_no_long_run(text: str, long: int) -> None:
    """No piece has a newline-free run of more than `long` blanks in front of something else."""
    for part in tokens.pieces(text, long):
        runs = tokens.SOME_BLANKS.finditer(part)

        assert not [
            run for run in runs if len(run[0]) > long and part[run.end() : run.end() + 1] not in ("", "\r", "\n")
        ]


@given(TRICKY)
def test_long_text_counts_as_short(encoding: tiktoken.Encoding, text: str) -> None:
    """Long texts are counted by another call of tiktoken, with the same result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "LONG", 0)
        long = TiktokenCounter(encoding).count(text)

    assert len(encoding.encode_ordinary(text)) == long


@pytest.mark.parametrize("blank", [" ", "\t", "\u3000"])
def test_a_million_blanks(encoding: tiktoken.Encoding, blank: str) -> None:
    """A run of blanks at which tiktoken's regex gives up is counted."""
    counter = TiktokenCounter(encoding)
    run = blank * 1_000_000

    assert 1 + counter.count("\n" + run[1:]) + counter.count(blank + "x") == counter.count("a\n" + run + "x")


@pytest.mark.parametrize(("text", "count"), [("", 2), ("hello world", 4), ("hello big wide world !", 7)])
def test_file_counter(file_counter: FileCounter, text: str, count: int) -> None:
    """A tokenizer file counts with its special tokens, and neither cuts nor pads."""
    assert count == file_counter.count(text)


@given(text=TEXTS)
def test_file_counter_is_bounded(file_counter: FileCounter, text: str) -> None:
    """A file's count is never under its lower bound."""
    assert file_counter.least(text) <= file_counter.count(text)


def test_file_is_no_tokenizer(tmp_path: Path) -> None:
    """A file that is no tokenizer is refused by its path."""
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")

    with pytest.raises(ValueError, match=r"tokenizer\.json` is no tokenizer\.json"):
        FileCounter(path)


def facts(found: tokens.Counter) -> tuple[str, bool, int]:
    return found.name, found.exact, found.count("hello world")


def test_counter_of_cl100k() -> None:
    """cl100k_base is counted exactly."""
    expected = ("cl100k_base", True, 2)

    assert expected == facts(counter("cl100k_base"))


@pytest.mark.parametrize("name", ["o200k_base", "missing/tokenizer.json", "BAAI/bge-m3", ""])
def test_counter_of_unknown(name: str) -> None:
    """Any other name is estimated by cl100k_base."""
    expected = ("cl100k_base", False, 2)

    assert expected == facts(counter(name))


def test_counter_of_file(tokenizer_file: Path) -> None:
    """The path of a tokenizer.json is counted by that file, exactly; clients are not told its folder."""
    expected = ("tokenizer.json", True, 4)

    assert expected == facts(counter(str(tokenizer_file)))


@pytest.mark.parametrize(
    "texts",
    [[], ["hello world", "", "hello"], ["hello" * tokens.INLINE, "hello world"], ["hello"] * tokens.INLINE],
    ids=["none", "little", "one long", "many short"],
)
async def test_counts(encoding: tiktoken.Encoding, texts: list[str]) -> None:
    """Counts come in the order of the texts, however much text there is."""
    assert [len(encoding.encode_ordinary(text)) for text in texts] == await counts(TiktokenCounter(encoding), texts)


class Witness:
    """A counter that notes which thread it counts in."""

    name = "witness"
    exact = True

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def count(self, text: str) -> int:
        self.threads.add(threading.get_ident())
        return len(text)

    def bounds(self, texts: Sequence[str]) -> list[int]:
        return list(map(self.count, texts))

    most = least = count


@pytest.mark.parametrize(
    ("texts", "inline"),
    [
        (["a" * (tokens.INLINE - 100)], True),
        (["a" * (tokens.INLINE + 1)], False),
        (["a"] * (tokens.INLINE // 2), False),
    ],
    ids=["little", "one long", "many short"],
)
async def test_counts_thread(texts: list[str], inline: bool) -> None:
    """Little text is counted at once, much text in another thread."""
    witness = Witness()
    await counts(witness, texts)

    assert inline == (witness.threads == {threading.get_ident()})
