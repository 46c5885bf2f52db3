"""Counts the tokens of texts and turns token ids back into text, the only room with tiktoken; it never downloads.

https://github.com/openai/tiktoken: cl100k_base ships inside this package, packed by `scripts/pack-vocabulary`.
"""

from __future__ import annotations

import asyncio
import binascii
import codecs
import functools
import hashlib
import lzma
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, Protocol

import tiktoken

VOCABULARY: Final = Path(__file__).parent / "vocabulary" / "cl100k_base.xz"
PUBLISHED_SHA256: Final = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
"""Of cl100k_base.tiktoken, as tiktoken_ext/openai_public.py has it."""

# From tiktoken_ext/openai_public.py, as are the special tokens below.
PATTERN: Final = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
SPECIAL_TOKENS: Final = {
    "<|endoftext|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
LONGEST_TOKEN: Final = 128  # bytes

# What the pattern's \s matches, but for \r and \n. Python's own \s has \x1c to \x1f as well.
BLANKS: Final = "\t\v\f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
SOME_BLANKS: Final = re.compile(f"[{BLANKS}]+")
CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))

LONG: Final = 100_000
"""Characters. From here on blanks are looked at; tiktoken gives up on 999,999 of them."""

INLINE: Final = 16_000
"""Characters that may be counted on the event loop: 0.7 ms of English, 3 ms of the worst (one long run of blanks)."""

TEXT_OVERHEAD: Final = 40  # what starting on a text costs, in characters


# ── the vocabulary ────────────────────────────────────────────────────────────────────────────────────────────────


@functools.cache
def cl100k() -> tiktoken.Encoding:
    """tiktoken's own cl100k_base, out of the packed file: about 0.1 s and 40 MB, once.

    Raises RuntimeError when the file is damaged.
    """
    ranks = unpack(VOCABULARY.read_bytes())
    return tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS)


def unpack(packed: bytes) -> dict[bytes, int]:
    """Each token's rank, in order. Raises RuntimeError unless they are exactly the published ones."""
    try:
        raw = lzma.decompress(packed)
    except lzma.LZMAError as error:
        raise RuntimeError(f"{VOCABULARY.name} is damaged ({error}); install the package again.") from error
    lengths, _, _ = raw.partition(b"\0")  # no token is empty
    borders = pairwise(accumulate(lengths, initial=len(lengths) + 1))
    ranks = {raw[start:end]: rank for rank, (start, end) in enumerate(borders)}
    base64 = binascii.b2a_base64
    published_form = b"".join([b"%b %d\n" % (base64(token, newline=False), rank) for token, rank in ranks.items()])
    found = hashlib.sha256(published_form).hexdigest()
    if found != PUBLISHED_SHA256:
        raise RuntimeError(
            f"{VOCABULARY.name} is not the published vocabulary (sha256 {found}, should be {PUBLISHED_SHA256}); "
            "install the package again."
        )
    return ranks


# ── counting ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Counter(Protocol):
    """Counts tokens of texts, which are valid Unicode: the JSON parser has refused lone surrogates."""

    @property
    def name(self) -> str:
        """The tokenizer that counts: an encoding's name, or a file's path."""

    @property
    def exact(self) -> bool:
        """False when another tokenizer stands in for the model's own, so that no count may refuse a text."""

    def count(self, text: str) -> int: ...

    def most(self, text: str) -> int:
        """At least what `count` gives; cheap where the tokenizer has a cheap bound."""

    def least(self, text: str) -> int:
        """At most what `count` gives; always cheap."""


class TiktokenCounter:
    """Counts with an encoding that splits blanks as cl100k_base does. Special tokens in a text are plain text."""

    def __init__(self, encoding: tiktoken.Encoding, exact: bool = True) -> None:
        self.name = encoding.name
        self.exact = exact
        self._encoding = encoding

    def count(self, text: str) -> int:
        if len(text) < LONG:
            return len(self._encoding.encode_ordinary(text))
        # A list of a million ids is made under the GIL, and stalls the event loop for 10 ms even from a thread;
        # a buffer of them does not. This call raises ValueError where `encode_ordinary` panics.
        ids = (self._encoding.encode_to_numpy(piece, disallowed_special=()) for piece in pieces(text))
        return sum(map(len, ids))

    def most(self, text: str) -> int:
        """The UTF-8 length: a token covers at least one byte."""
        return len(text) if text.isascii() else len(text.encode())

    def least(self, text: str) -> int:
        return -(-self.most(text) // LONGEST_TOKEN)


class FileCounter:
    """Counts with a Hugging Face tokenizer.json, special tokens included as the file's post-processor adds them.

    Raises ValueError when the file is no tokenizer, ImportError without the package's extra `local`.
    """

    exact = True

    def __init__(self, path: str | Path) -> None:
        from tokenizers import Tokenizer  # only few configurations need it, and it is an extra

        self.name = str(path)
        try:
            self._tokenizer = Tokenizer.from_file(self.name)
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(f"`{path}` is no tokenizer.json ({error}).") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        # The call for one text holds the GIL all the while, and is slower than this one.
        return len(self._tokenizer.encode_batch_fast([text])[0])

    def most(self, text: str) -> int:
        """The count itself: normalising may lengthen a text, and special tokens come on top."""
        return self.count(text)

    def least(self, text: str) -> int:
        return 0


def counter(name: str) -> Counter:
    """The counter of `cl100k_base`, or of a tokenizer.json by its path; for any other name an estimate by cl100k.

    tiktoken's other encodings are estimated too: it would download them, and no embedding model that counts uses one.
    """
    if name.endswith(".json") and Path(name).is_file():
        return FileCounter(name)
    return TiktokenCounter(cl100k(), exact=name == "cl100k_base")


async def counts(counter: Counter, texts: Sequence[str]) -> list[int]:
    """Each text's count, in order. Much text is counted in a thread, so that the event loop goes on."""

    def count_all() -> list[int]:
        return [counter.count(text) for text in texts]

    if sum(map(len, texts)) + TEXT_OVERHEAD * len(texts) <= INLINE:
        return count_all()
    return await asyncio.to_thread(count_all)


def pieces(text: str, long: int = LONG) -> Iterator[str]:
    r"""Parts of a text whose tokens, in order, are the whole's, and in which tiktoken's regex does not fail.

    It fails on `\s+(?!\S)`, which takes a newline-free run of blanks up to the last before a non-blank, and needs a
    place on a stack of a million for each. The pattern cuts before such a run and before its last blank anyway, and
    a run that ends the text costs it nothing. Only runs that hold one of every `long` characters are looked for, so
    that other texts cost nothing either.
    """
    start = seen = 0
    for place in range(0, len(text), long):
        run = SOME_BLANKS.match(text, place) if place >= seen else None
        if run is None:
            continue
        seen = run.end()
        before = text[max(0, place - long) : place]  # a longer run would hold the place before
        first = place - len(before) + len(before.rstrip(BLANKS))
        if text[seen : seen + 1] not in ("", "\r", "\n"):
            yield text[start:first]
            yield text[first : seen - 1]
            start = seen - 1
    yield text[start:]


# ── decoding ──────────────────────────────────────────────────────────────────────────────────────────────────────


class BadTokenIds(ValueError):
    """Token ids that are no text. `position` is the index of the id at fault, where there is one."""

    def __init__(self, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of token ids; `trimmed` when half a character was dropped at an edge."""

    text: str = field(repr=False)
    trimmed: bool


def check_ids(encoding: tiktoken.Encoding, ids: Sequence[int]) -> None:
    """Raises BadTokenIds for the first id outside the vocabulary; 300,000 ids take 11 ms."""
    _bytes_of(encoding, ids)


def decode(encoding: tiktoken.Encoding, ids: Sequence[int]) -> Decoded:
    """The text of token ids, without half a character at either edge: frameworks cut at token borders.

    Raises BadTokenIds for an id outside the vocabulary, for bytes that are not UTF-8, and when no text is left.
    """
    raw = _bytes_of(encoding, ids)
    head = raw[:3]
    start = len(head) - len(head.lstrip(CONTINUATION_BYTES))
    try:
        text, used = codecs.utf_8_decode(raw[start:], "strict", False)
    except UnicodeDecodeError as error:
        raise _not_text(encoding, ids, start + error.start) from None
    end = start + used
    if raw[end : end + 1] == b"\xed" and raw[end + 1 :] >= b"\xa0":
        raise _not_text(encoding, ids, end)  # half a surrogate, which Python takes for half a character
    if not text:
        raise BadTokenIds("The token ids hold no whole character.")
    return Decoded(text, trimmed=start > 0 or end < len(raw))


def _bytes_of(encoding: tiktoken.Encoding, ids: Sequence[int]) -> bytes:
    try:
        return encoding.decode_bytes(ids)
    except (KeyError, OverflowError):
        position = next(n for n, token_id in enumerate(ids) if not _is_known(encoding, token_id))
        # The id is not quoted: it may have thousands of digits.
        message = f"The token id at position {position} is not in the vocabulary of `{encoding.name}`."
        raise BadTokenIds(message, position) from None


def _is_known(encoding: tiktoken.Encoding, token_id: int) -> bool:
    try:
        encoding.decode_single_token_bytes(token_id)
    except (KeyError, OverflowError):
        return False
    return True


def _not_text(encoding: tiktoken.Encoding, ids: Sequence[int], offset: int) -> BadTokenIds:
    ends = list(accumulate(map(len, encoding.decode_tokens_bytes(ids))))
    position = bisect_right(ends, offset)
    return BadTokenIds(
        f"The token ids are no text in `{encoding.name}`: what the one at position {position} adds is not UTF-8.",
        position,
    )
