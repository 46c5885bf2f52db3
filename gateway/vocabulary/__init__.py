"""cl100k_base as an encoding, out of a file inside this package: nothing is ever downloaded.

https://github.com/openai/tiktoken; `scripts/pack-vocabulary` packed the file, LICENSE beside it is tiktoken's.
"""

from __future__ import annotations

import hashlib
import lzma
import threading
from itertools import accumulate
from pathlib import Path
from typing import Final

import tiktoken

VOCABULARY: Final = Path(__file__).with_name("cl100k_base.xz")
PACKED_SHA256: Final = "fbf4c2acac142c8180e50e31c934107d00e4d9438053779fce02f01d00379f99"
"""Of that file, which `scripts/pack-vocabulary` tells; it is packed only if it holds what tiktoken has published."""

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


_loaded: list[tiktoken.Encoding] = []
_loading = threading.Lock()


def cl100k() -> tiktoken.Encoding:
    """tiktoken's own cl100k_base, out of the packed file: about 0.1 s and 22 MB, when it is first asked for.

    Raises RuntimeError when the file is damaged.
    """
    if not _loaded:
        with _loading:
            if not _loaded:
                _loaded.append(_load())
    return _loaded[0]


def is_loaded() -> bool:
    return bool(_loaded)


def check() -> None:
    """Raises RuntimeError when the file is damaged; takes next to nothing of what loading it takes."""
    _check(VOCABULARY.read_bytes())


def _load() -> tiktoken.Encoding:
    ranks = unpack(VOCABULARY.read_bytes())
    encoding = tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS)
    encoding._mergeable_ranks = {}  # 12 MB that only pickling would read: what encodes and decodes has its own
    return encoding


def unpack(packed: bytes) -> dict[bytes, int]:
    """Each token's rank, in order. Raises RuntimeError unless it is the file that was packed."""
    _check(packed)
    raw = lzma.decompress(packed)
    lengths, _, _ = raw.partition(b"\0")  # no token is empty
    borders = list(accumulate(lengths, initial=len(lengths) + 1))
    tokens = map(raw.__getitem__, map(slice, borders, borders[1:]))
    return dict(zip(tokens, range(len(lengths)), strict=True))


def _check(packed: bytes) -> None:
    found = hashlib.sha256(packed).hexdigest()
    if found != PACKED_SHA256:
        raise RuntimeError(
            f"{VOCABULARY.name} is damaged (sha256 {found}, should be {PACKED_SHA256}); install the package again."
        )
