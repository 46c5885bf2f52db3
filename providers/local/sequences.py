"""Texts as the sequences of tokens that a transformer reads, special tokens included; refuses to cut and to guess.

A text that is too long, or has no token that the model knows, is a fault and never a vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from providers.base import Fault, FaultKind
from providers.local.vocabulary import LONG_TEXT, TokenizerFile, read_tokenizer, tokenizer_of

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer


class Sequences:
    """A tokenizer as its file describes it, but for the file's own truncation and padding, which are off.

    Threads may share it.
    """

    def __init__(self, file: TokenizerFile, longest: int) -> None:
        self._tokenizer = file.tokenizer
        self._unknown = file.unknown
        self._longest = longest

    @classmethod
    def read(cls, path: Path, longest: int) -> Sequences:
        """Of a tokenizer.json; `longest` is how many tokens the model reads of one text."""
        return cls(read_tokenizer(path), longest)

    @classmethod
    def like(cls, tokenizer: Tokenizer, path: Path, longest: int) -> Sequences:
        """Of a copy of a tokenizer that a library has loaded from `path`, and may change while it works."""
        return cls(tokenizer_of(tokenizer.to_str().encode(), path), longest)

    def encode(self, text: str) -> Encoding:
        """Raises whatever the tokenizer raises for a text that it cannot take."""
        # Only the batch call lets other threads work meanwhile, and only a long text is worth it.
        if len(text) < LONG_TEXT:
            return self._tokenizer.encode(text)
        return self._tokenizer.encode_batch_fast([text])[0]

    def lengths(self, texts: Sequence[str]) -> list[int] | Fault:
        """The tokens of each text, or the fault of the first that has no vector."""
        lengths: list[int] = []
        for item, text in enumerate(texts):
            try:
                encoding = self.encode(text)
            except Exception:  # noqa: BLE001 (the library's own errors are bare `Exception`s)
                return _rejected(item, "the model's tokenizer cannot take it. Leave it out, or change it")
            if len(encoding) > self._longest:
                return _rejected(
                    item,
                    f"it has {len(encoding)} tokens as this model counts, which reads at most {self._longest} "
                    "in one input. Split it into shorter ones",
                )
            if not self._is_known(encoding):
                return _rejected(item, "it has no token that the model knows. Leave it out, or change it")
            lengths.append(len(encoding))
        return lengths

    def _is_known(self, encoding: Encoding) -> bool:
        """Whether any token stands for a part of the text itself, and is not the unknown one."""
        return any(
            token != self._unknown and not special
            for token, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        )


def _rejected(item: int, reason: str) -> Fault:
    return Fault(FaultKind.REJECTED, f"{reason}.", item=item)
