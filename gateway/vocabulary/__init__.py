"""cl100k_base as an encoding, out of a file inside this package: nothing is ever downloaded.

https://github.com/openai/tiktoken; `scripts/pack-vocabulary` packed the file, LICENSE beside it is tiktoken's.
"""

from __future__ import annotations

import binascii
import functools
import hashlib
import lzma
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final

import tiktoken

VOCABULARY: Final = Path(__file__).with_name("cl100k_base.xz")
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


@functools.cache
def cl100k() -> tiktoken.Encoding:
    """tiktoken's own cl100k_base, out of the packed file: about 0.1 s and 25 MB, once.

    Raises RuntimeError when the file is damaged.
    """
    ranks = unpack(VOCABULARY.read_bytes())
    encoding = tiktoken.Encoding("cl100k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS)
    encoding._mergeable_ranks = {}  # 12 MB that only pickling would read: what encodes and decodes has its own
    return encoding


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
