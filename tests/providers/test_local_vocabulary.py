import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from providers.engine import EngineError
from providers.local import vocabulary
from providers.local.vocabulary import LONG_TEXT, ByWords, Vocabulary, read_vocabulary


def wordlevel(*words: str) -> Tokenizer:
    ids = {word: position for position, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def sentencepiece(*more: str) -> Tokenizer:
    """Llama's kind of tokenizer, small: the words `cat`, `at`, runs of spaces, and single letters."""
    tokens = ["<unk>", "▁", "c", "a", "t", "s", "at", "▁c", "▁cat", "▁▁", "cat", *more]
    merges = [("a", "t"), ("▁", "c"), ("▁c", "at"), ("▁", "▁"), ("c", "at")]
    if "s▁" in more:
        merges.insert(0, ("s", "▁"))
    ids = {token: position for position, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(ids, merges, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens(["<unk>"])
    return tokenizer


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Tokenizer], Vocabulary]:
    def saved(tokenizer: Tokenizer) -> Vocabulary:
        path = tmp_path / "tokenizer.json"
        tokenizer.save(str(path))
        return read_vocabulary(path)

    return saved


Read = Callable[[Tokenizer], Vocabulary]


def wordllama_file() -> Path:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0], "tokenizers/l2_supercat_tokenizer_config.json")


@pytest.fixture(scope="module")
def library() -> Tokenizer:
    """The tokenizer of wordllama as the library itself reads it."""
    return Tokenizer.from_file(str(wordllama_file()))


@pytest.fixture(scope="module")
def wordllama() -> Vocabulary:
    return read_vocabulary(wordllama_file())


def test_ids(read: Read) -> None:
    """A text becomes the ids of its tokens."""
    assert [1, 2, 1] == list(read(wordlevel("[UNK]", "a", "b")).encode("a b a"))


def test_nothing_is_added(read: Read) -> None:
    """The special tokens of a tokenizer's template stay out."""
    tokenizer = wordlevel("[UNK]", "a", "[CLS]")
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=[("[CLS]", 2)])

    assert [1] == list(read(tokenizer).encode("a"))


def test_nothing_is_cut_or_padded(read: Read) -> None:
    """The truncation and the padding that a tokenizer file asks for do not happen."""
    tokenizer = wordlevel("[UNK]", "a")
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=7)
    encode = read(tokenizer).encode

    assert [1] * 2 == list(encode("a a"))
    assert [1] * 5000 == list(encode("a " * 5000))


@pytest.mark.parametrize("length", [LONG_TEXT - 1, LONG_TEXT, LONG_TEXT + 1])
def test_length_changes_nothing(library: Tokenizer, wordllama: Vocabulary, length: int) -> None:
    """Texts on either side of the length from which the lock is freed get the library's ids."""
    text = ("naïve日本😀" * 200)[:length]

    assert library.encode(text, add_special_tokens=False).ids == list(wordllama.encode(text))


def test_size_counts_to_the_largest_id(read: Read) -> None:
    """The size covers added tokens and gaps between the ids."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 7}, unk_token="[UNK]"))
    tokenizer.add_tokens(["b"])

    assert max(tokenizer.get_vocab().values()) + 1 == read(tokenizer).size
    assert 8 <= read(tokenizer).size


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"), 1),
        (models.WordPiece({"a": 0, "?": 1}, unk_token="?"), 1),
        (models.BPE({"a": 0, "b": 1}, [], unk_token="b"), 1),
        (models.BPE({"a": 0, "b": 1}, []), None),
        (models.WordLevel({"a": 0}, unk_token="[UNK]"), None),
        (models.Unigram([("a", -1.0), ("<unk>", -2.0)], 1, False), 1),
        (models.Unigram([("a", -1.0)], None, False), None),
    ],
)
def test_unknown_token(read: Read, model: Any, expected: int | None) -> None:
    """The unknown token is known for every kind of model, Unigram's by its id."""
    assert expected == read(Tokenizer(model)).unknown


@pytest.mark.parametrize("text", ["a\ud800", "\udfff" * LONG_TEXT])
def test_half_a_character(wordllama: Vocabulary, text: str) -> None:
    """A lone surrogate, which is no text, raises ValueError, in short texts and long."""
    with pytest.raises(ValueError, match="the tokenizer cannot take this text"):
        wordllama.encode(text)


def test_words_without_an_unknown_token(read: Read) -> None:
    """A text with a token for which the model has not even an unknown one raises ValueError."""
    with pytest.raises(ValueError, match="the tokenizer cannot take this text"):
        read(wordlevel("a")).encode("b")


def test_dropout(read: Read) -> None:
    """A tokenizer that tosses coins is refused: equal texts must have equal vectors."""
    with pytest.raises(EngineError, match=r"tokenizer.json`: its `dropout`"):
        read(Tokenizer(models.BPE({"a": 0}, [], dropout=0.1)))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"model": {"type": "Other"}}'])
def test_malformed_file(tmp_path: Path, content: bytes) -> None:
    """A file that holds no tokenizer is an error that names it."""
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)

    with pytest.raises(EngineError, match=r"tokenizer.json` is no tokenizer"):
        read_vocabulary(path)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is an error that names it."""
    with pytest.raises(EngineError, match=r"tokenizer.json` cannot be read: No such file"):
        read_vocabulary(tmp_path / "tokenizer.json")


def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package `tokenizers` the error says what to install."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(EngineError, match=r"scripts/setup"):
        read_vocabulary(wordllama_file())


TEXTS = st.one_of(
    st.text(),
    st.lists(st.sampled_from(["the", "Cat", " ", "  ", "▁", "\n", "<s>", "</s>", "<unk>", "<", "日本", "😀", "é"])).map(
        "".join
    ),
)


@given(text=TEXTS)
@example(text="")
@example(text=" ")
@example(text="   ")
@example(text="a ")
@example(text=" a")
@example(text="▁")
@example(text="a▁ b")
@example(text="<s> a")
@example(text="a <s>b c")
def test_words_give_the_library_s_ids(library: Tokenizer, wordllama: Vocabulary, text: str) -> None:
    """The ids that are put together from remembered words are those of the text as a whole."""
    expected = library.encode(text, add_special_tokens=False).ids

    assert expected == list(wordllama.encode(text))
    assert expected == list(wordllama.encode(text))  # from memory


@given(st.text("cats ▁"))
def test_words_of_a_small_vocabulary(text: str) -> None:
    """The same holds where merges compete within every word."""
    tokenizer = sentencepiece()
    whole = tokenizer.encode(text, add_special_tokens=False).ids
    encode = ByWords(lambda word: tokenizer.encode(word, add_special_tokens=False).ids, 1, ["<unk>"])

    assert whole == list(encode(text))


def test_wordllama_is_read_by_words(read: Read, wordllama: Vocabulary) -> None:
    """Llama's kind of tokenizer, like that of wordllama, is read word by word."""
    assert isinstance(wordllama.encode, ByWords)
    assert isinstance(read(sentencepiece()).encode, ByWords)


def without_normalizer(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = None


def with_lowercase(tokenizer: Tokenizer) -> None:
    tokenizer.normalizer = normalizers.Sequence([tokenizer.normalizer, normalizers.Lowercase()])


def with_pre_tokenizer(tokenizer: Tokenizer) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()


def with_spaced_token(tokenizer: Tokenizer) -> None:
    tokenizer.add_tokens(["t c"])


def with_suffix(tokenizer: Tokenizer) -> None:
    tokenizer.model.end_of_word_suffix = "t"


@pytest.mark.parametrize(
    "change", [without_normalizer, with_lowercase, with_pre_tokenizer, with_spaced_token, with_suffix]
)
def test_other_tokenizers_are_read_whole(read: Read, change: Callable[[Tokenizer], None]) -> None:
    """Where words are not proved to be independent, a text is tokenized as a whole."""
    tokenizer = sentencepiece()
    change(tokenizer)
    encode = read(tokenizer).encode

    assert not isinstance(encode, ByWords)
    assert tokenizer.encode("cat  at scat ", add_special_tokens=False).ids == list(encode("cat  at scat "))


def test_a_token_across_words(read: Read) -> None:
    """One token that reaches over a space is enough for reading texts whole."""
    tokenizer = sentencepiece("s▁")
    encode = read(tokenizer).encode

    assert not isinstance(encode, ByWords)
    assert tokenizer.token_to_id("s▁") in encode("cats at")


def test_memory_is_bounded(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than so many words are remembered, and no long ones."""
    monkeypatch.setattr(vocabulary, "KNOWN_WORDS", 10)
    encode = read(sentencepiece()).encode
    assert isinstance(encode, ByWords)
    for count in range(60):
        encode("a" * count)

        assert len(encode) <= 10
        assert all(len(word) <= vocabulary.LONGEST_WORD for word in encode)


def test_threads_share_a_memory(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that fill and empty the memory at the same time get the right ids."""
    monkeypatch.setattr(vocabulary, "KNOWN_WORDS", 5)
    tokenizer = sentencepiece()
    encode = read(tokenizer).encode
    texts = [" ".join("cats"[start:] * count for start in range(4)) for count in range(1, 20)] * 20
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    with ThreadPoolExecutor(4) as pool:
        assert expected == [list(ids) for ids in pool.map(encode, texts)]


def test_the_real_file_is_still_llama_s(wordllama: Vocabulary) -> None:
    """The vocabulary of wordllama has 32,000 tokens, the first of which is the unknown one."""
    assert (32_000, 0) == (wordllama.size, wordllama.unknown)
