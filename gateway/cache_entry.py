"""What the cache keeps of one input: its vector and its tokens, under a key that says all that decides the vector.

It does no I/O. A key is the SHA-256 of what a vector depends on, each part told apart from the next: equal keys mean
equal vectors, so that no text can ever get another's. An entry's checksum covers its key: one that has got under the
key of another is as broken as one that has lost a byte.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from gateway.answers import UsageSource
from providers import codec
from providers.base import Input, InputType
from providers.values import frozen

_FORMAT: Final = 1
"""Of keys and entries: with another number here, everything that was kept before is unknown."""
_SOURCES: Final[tuple[UsageSource, ...]] = get_args(UsageSource)
_CHECKSUM: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<BBdI")
"""Format, source of the tokens, when it was made, tokens."""
_ENTRY: Final = struct.Struct("<IBBdI")
"""The checksum of all that follows and of the key before it, the head; the vector follows."""
_TEXT: Final = b"t"
_TOKEN_IDS: Final = b"i"


@frozen
class Kept:
    """One input's vector as float32 bytes, right by the output contract, and its tokens.

    `made` is in seconds since the epoch.
    """

    vector: bytes = field(repr=False)
    tokens: int
    source: UsageSource
    made: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides the vectors of a request's inputs, besides the inputs themselves.

    `epoch` is another after each time the cache was cleared, `generation` after each time the space's vectors were
    found to have changed. `made_by` is what else of the route's configuration decides. `upstream` is the length of the
    vectors as they are kept, `final` as the client gets them. `owner` is the key that alone may find them, if any.
    """

    epoch: str
    space: str
    generation: int
    made_by: str
    upstream: int
    final: int
    sent: int | None
    input_type: InputType | None
    normalize: bool
    extra: Mapping[str, Any] = field(repr=False)
    owner: str | None = None

    def keys(self, inputs: Sequence[Input]) -> list[bytes]:
        """Of each input as it is sent, after prompt and cut; 32 bytes each."""
        extra = json.dumps(self.extra, sort_keys=True) if self.extra else ""
        recipe = _digest(
            *(_FORMAT, self.epoch, self.space, self.generation, self.made_by, self.upstream, self.final, self.sent),
            *(self.input_type, self.normalize, extra, self.owner),
        )
        text, ids = recipe + _TEXT, recipe + _TOKEN_IDS
        sha256 = hashlib.sha256
        return [
            sha256(
                text + item.encode("utf-8", "surrogatepass") if isinstance(item, str) else ids + _four_bytes(item)
            ).digest()
            for item in inputs
        ]


@functools.lru_cache(maxsize=1000, typed=True)
def _digest(*told: str | int | None) -> bytes:
    """Most requests to a route are alike in all but their inputs."""
    return hashlib.sha256(json.dumps(told).encode()).digest()


def _four_bytes(ids: Sequence[int]) -> bytes:
    return array("I", ids).tobytes()


def pack(key: bytes, kept: Kept) -> bytes:
    head = _HEAD.pack(_FORMAT, _SOURCES.index(kept.source), kept.made, kept.tokens)
    return _CHECKSUM.pack(zlib.crc32(kept.vector, zlib.crc32(key + head))) + head + kept.vector


def unpack(keys: Sequence[bytes], entries: Sequence[bytes | None], dimensions: int) -> list[Kept | None]:
    """None for whatever is not, bit for bit, an entry of its key with a vector of this length."""
    begin, crc32, read = _ENTRY.size, zlib.crc32, _ENTRY.unpack_from
    size = begin + dimensions * codec.FLOAT32.itemsize
    found: list[Kept | None] = []
    for key, entry in zip(keys, entries, strict=True):
        kept = None
        if entry is not None and len(entry) == size:
            vector = entry[begin:]
            checksum, form, source, made, tokens = read(entry)
            told = key + entry[_CHECKSUM.size : begin]
            if checksum == crc32(vector, crc32(told)) and form == _FORMAT and source < len(_SOURCES):
                kept = Kept(vector, tokens, _SOURCES[source], made)
        found.append(kept)
    return found
