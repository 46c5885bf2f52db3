"""Turns a text into token ids as a `tokenizer.json` says: the only `tokenizers`; refuses to cut, to pad and to guess.

The file's own truncation and padding are switched off, and no special tokens are added.
https://huggingface.co/docs/tokenizers/api/tokenizer
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from providers.engine import EngineError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Encode = Callable[[str], Sequence[int]]
"""Raises ValueError for a text that the tokenizer cannot take."""

LONG_TEXT: Final = 1_000
"""Characters from which on the tokenizer works without Python's lock: about 0.3 ms."""

KNOWN_WORDS: Final = 32_768
LONGEST_WORD: Final = 32

SPACE: Final = "▁"
WORD: Final = re.compile(f"{SPACE}({SPACE}*[^{SPACE}]*)")
ACROSS: Final = re.compile(f"[^{SPACE}]{SPACE}")
SENTENCEPIECE: Final = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": SPACE},
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
    ],
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """`size` is the largest token id + 1; `unknown` the id that stands for whatever the vocabulary lacks."""

    encode: Encode = field(repr=False)
    size: int
    unknown: int | None


@dataclass(frozen=True, slots=True)
class TokenizerFile:
    """A tokenizer that neither cuts nor pads, and what its file says."""

    tokenizer: Tokenizer = field(repr=False)
    description: Mapping[str, Any] = field(repr=False)

    @property
    def unknown(self) -> int | None:
        # Unigram models name their unknown token by id, all others by its text.
        model = self.description["model"]
        id_: int | None = model.get("unk_id")
        return self.tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else id_


def read_tokenizer(path: Path) -> TokenizerFile:
    try:
        return tokenizer_of(path.read_bytes(), path)
    except OSError as error:
        raise EngineError(f"`{path}` cannot be read: {error.strerror}") from error


def tokenizer_of(raw: bytes, path: Path) -> TokenizerFile:
    """The tokenizer that `raw` describes, a file's content; `path` is for messages."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise EngineError(
            f'`{path}` needs the package `tokenizers`: run `scripts/setup`, or `pip install ".[local]"` beside it'
        ) from None
    try:
        tokenizer = Tokenizer.from_buffer(raw)
        # orjson would remember 2,000 of the tokens, as keys, and with them keep the memory of all the others.
        description = json.loads(raw)
    except ValueError as error:
        raise EngineError(f"`{path}` is no tokenizer that the installed `tokenizers` can read: {error}") from error
    if description["model"].get("dropout"):
        raise EngineError(f"`{path}`: its `dropout` would give a text another vector each time; set it to null")
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return TokenizerFile(tokenizer, description)


def read_vocabulary(path: Path) -> Vocabulary:
    file = read_tokenizer(path)
    added = [token["content"] for token in file.description.get("added_tokens", [])]
    tokens = file.tokenizer.get_vocab(with_added_tokens=True)
    encode = _whole(file.tokenizer)
    if _falls_into_words(file.description, tokens, added):
        encode = ByWords(encode, tokens[SPACE], added)
    return Vocabulary(encode, max(tokens.values(), default=-1) + 1, file.unknown)


def _whole(tokenizer: Tokenizer) -> Encode:
    def encode(text: str) -> Sequence[int]:
        # Both calls give the same ids.
        # `encode` holds Python's lock: a megabyte would stop every other thread for a second.
        # The batch call frees it, but then has to win it back, and starts a pool of threads at its first use:
        # so short texts, which the event loop itself embeds, go without.
        try:
            if len(text) < LONG_TEXT:
                return tokenizer.encode(text, add_special_tokens=False).ids
            return tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        except Exception as error:  # the library's own errors are bare `Exception`s
            raise ValueError("the tokenizer cannot take this text") from error

    return encode


def _falls_into_words(description: Mapping[str, Any], tokens: dict[str, int], added: Sequence[str]) -> bool:
    """Whether a text's tokens are the tokens of its words, one after the other, whatever the text.

    So it is for Llama's kind of SentencePiece BPE, which sees a text as one piece with spaces written as `▁`:
    a merge acts on neighbours only, and where no token has a `▁` after anything else, none reaches into the next word.
    """
    model = description["model"]
    return (
        model.get("type") == "BPE"
        and description.get("normalizer") == SENTENCEPIECE
        and description.get("pre_tokenizer") is None
        and not any(model.get(key) for key in ("continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"))
        and SPACE in tokens
        and not any(ACROSS.search(token) for token in tokens)
        and not any(mark in token for token in added for mark in (" ", SPACE))
    )


class ByWords(dict[str, Sequence[int]]):
    """Remembers the tokens of short words, since words return and texts do not: four times the speed of `whole`.

    It fills up to `KNOWN_WORDS`, then forgets them all. Threads may share it: at worst a word is encoded twice.
    """

    def __init__(self, whole: Encode, space: int, added: Sequence[str]) -> None:
        super().__init__()
        self._whole = whole
        self._space = space
        self._added = added

    def __call__(self, text: str) -> Sequence[int]:
        if not text:
            return self._whole(text)
        for token in self._added:  # a generator would take as long as all the rest
            if token in text:
                return self._whole(text)  # an added token (`<s>`) splits the text before anything else does
        words = text.split(" ")
        if "" in words or SPACE in text:  # spaces side by side belong to one word, and a `▁` is a space
            words = WORD.findall(SPACE + text.replace(" ", SPACE))
        return list(chain.from_iterable(map(self.__getitem__, words)))

    def __missing__(self, word: str) -> Sequence[int]:
        # `word` is what follows its first `▁`, which the tokenizer itself puts before every text but the empty one.
        ids = self._whole(word) if word else (self._space,)
        if len(word) <= LONGEST_WORD:
            if len(self) >= KNOWN_WORDS:
                self.clear()
            self[word] = tuple(ids)
        return ids
