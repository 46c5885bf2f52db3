"""Counts the tokens of texts, exactly or as an estimate that says so; it never downloads a tokenizer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from gateway import vocabulary
from gateway.portions import portions
from gateway.vocabulary import cl100k

LONGEST_TOKEN: Final = 128  # bytes

# What the pattern's \s matches, but for \r and \n. Python's own \s has \x1c to \x1f as well.
BLANKS: Final = "\t\v\f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
SOME_BLANKS: Final = re.compile(f"[{BLANKS}]+")

LONG: Final = 100_000
"""Characters. From here on blanks are looked at; tiktoken gives up on 999,999 of them."""

INLINE: Final = 16_000
"""Characters that may be counted on the event loop: 0.7 ms of English, 3 ms of the worst (one long run of blanks)."""

TEXT_OVERHEAD: Final = 40  # what starting on a text costs, in characters


class Counter(Protocol):
    """Counts tokens of texts, which are valid Unicode: the JSON parser has refused lone surrogates."""

    @property
    def name(self) -> str:
        """The tokenizer that counts, as clients may be told: an encoding's name, or a file's without its folder."""

    @property
    def exact(self) -> bool:
        """False when another tokenizer stands in for the model's own, so that no count may refuse a text."""

    @property
    def is_loaded(self) -> bool:
        """False before the first count of all, which then takes a tenth of a second."""

    def count(self, text: str) -> int: ...

    def most(self, text: str) -> int | None:
        """Cheap, and at least what `count` gives; None where the tokenizer has no such bound."""

    def bounds(self, texts: Sequence[str]) -> list[int] | None:
        """What `most` gives of each; None where there is no such bound."""

    def least(self, text: str) -> int:
        """At most what `count` gives; always cheap."""


class TiktokenCounter:
    """Counts with cl100k_base, which is loaded when there is something to count: with upstreams that report what they
    used, and without a limit in tokens, the bounds are all that is asked for. Special tokens in a text are plain text.
    """

    name = "cl100k_base"

    def __init__(self, exact: bool = True) -> None:
        self.exact = exact

    @property
    def is_loaded(self) -> bool:
        return vocabulary.is_loaded()

    def count(self, text: str) -> int:
        if len(text) < LONG:
            return len(cl100k().encode_ordinary(text))
        # A list of a million ids is made under the GIL, and stalls the event loop for 10 ms even from a thread;
        # a buffer of them does not. This call raises ValueError where `encode_ordinary` panics.
        ids = (cl100k().encode_to_numpy(piece, disallowed_special=()) for piece in pieces(text))
        return sum(map(len, ids))

    def most(self, text: str) -> int:
        """The UTF-8 length: a token covers at least one byte."""
        return len(text) if text.isascii() else len(text.encode())

    def bounds(self, texts: Sequence[str]) -> list[int]:
        return list(map(len, texts)) if "".join(texts).isascii() else list(map(self.most, texts))

    def least(self, text: str) -> int:
        return -(-self.most(text) // LONGEST_TOKEN)


class FileCounter:
    """Counts with a Hugging Face tokenizer.json, special tokens included as the file's post-processor adds them.

    Raises ValueError when the file is no tokenizer, ImportError without the package's extra `local`.
    """

    exact = True
    is_loaded = True

    def __init__(self, path: str | Path) -> None:
        from tokenizers import Tokenizer  # only few configurations need it, and it is an extra

        self.name = Path(path).name
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise ValueError(f"`{path}` is no tokenizer.json ({error}).") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def count(self, text: str) -> int:
        # The call for one text holds the GIL all the while, and is slower than this one.
        return len(self._tokenizer.encode_batch_fast([text])[0])

    def most(self, text: str) -> None:
        """There is no bound: normalising may lengthen a text, and special tokens come on top."""

    def bounds(self, texts: Sequence[str]) -> None:
        """Neither is there one of several."""

    def least(self, text: str) -> int:
        return 0


def counter(name: str) -> Counter:
    """The counter of `cl100k_base`, or of a tokenizer.json by its path; for any other name an estimate by cl100k.

    tiktoken's other encodings are estimated too: it would download them, and no embedding model that counts uses one.
    """
    if name.endswith(".json") and Path(name).is_file():
        return FileCounter(name)
    vocabulary.check()
    return TiktokenCounter(exact=name == TiktokenCounter.name)


async def counts(counter: Counter, texts: Sequence[str]) -> list[int]:
    """Each text's count, in order. Of much text a portion is counted at a time, and in a thread what takes long."""
    if counter.is_loaded and sum(map(len, texts)) + TEXT_OVERHEAD * len(texts) <= INLINE:
        return list(map(counter.count, texts))
    found: list[int] = []
    for portion in portions(texts, INLINE, TEXT_OVERHEAD):
        if not counter.is_loaded or (len(portion) == 1 and len(portion[0]) > INLINE):
            found += await asyncio.to_thread(list, map(counter.count, portion))
            continue
        if found:
            await asyncio.sleep(0)
        found += map(counter.count, portion)
    return found


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
