"""The part of the cache in this process's memory: bounded in bytes, the longest unused goes first."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Final

from gateway.cache_entry import Kept

BESIDES: Final = 400
"""Bytes of an entry besides its vector: the key, three objects, and its place in an ordered dictionary."""


class Memory:
    """`limit` is in bytes, all that an entry takes included."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0
        self.evictions = 0
        self._entries: OrderedDict[bytes, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> Kept | None:
        kept = self._entries.get(key)
        if kept is not None:
            self._entries.move_to_end(key)
        return kept

    def put(self, key: bytes, kept: Kept) -> None:
        if _size(kept) > self.limit:
            return
        self.drop(key)
        self._entries[key] = kept
        self.bytes += _size(kept)
        while self.bytes > self.limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= _size(oldest)
            self.evictions += 1

    def drop(self, key: bytes) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self.bytes -= _size(kept)

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0


def _size(kept: Kept) -> int:
    return sys.getsizeof(kept.vector) + BESIDES
