"""The part of the cache in this process's memory: bounded in bytes, the longest unused goes first."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
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

    def find(self, keys: Sequence[bytes], since: float) -> list[Kept | None]:
        """What is kept under each key that was made after `since`, in seconds since the epoch."""
        get, used = self._entries.get, self._entries.move_to_end
        found: list[Kept | None] = []
        for key in keys:
            kept = get(key)
            if kept is not None:
                used(key)
                if kept.made <= since:
                    kept = None
            found.append(kept)
        return found

    def put(self, key: bytes, kept: Kept) -> None:
        size = _size(kept)
        if size > self.limit:
            return
        former = self._entries.pop(key, None)
        if former is not None:
            self.bytes -= _size(former)
        self._entries[key] = kept
        self.bytes += size
        while self.bytes > self.limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= _size(oldest)
            self.evictions += 1

    def clear(self) -> None:
        self._entries.clear()
        self.bytes = 0


def _size(kept: Kept) -> int:
    return sys.getsizeof(kept.vector) + BESIDES
