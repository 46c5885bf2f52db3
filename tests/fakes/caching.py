"""Homes of a cache without a socket: a state of values, and a shared part whose entries can be seen and spoilt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.store import unavailable


class FakeState:
    """A `ValueStore` without an end to its values; while it is `away`, nobody reaches it."""

    def __init__(self) -> None:
        self.away = False
        self.families: dict[str, dict[str, bytes]] = {}

    async def value(self, family: str, name: str) -> bytes | None:
        return (await self.values(family)).get(name)

    async def values(self, family: str) -> Mapping[str, bytes]:
        self._reach()
        return dict(self.families.get(family, {}))

    async def put_value(
        self, family: str, name: str, value: bytes, seconds: float | None = None, *, only_if_absent: bool = False
    ) -> bool:
        self._reach()
        values = self.families.setdefault(family, {})
        if only_if_absent and name in values:
            return False
        values[name] = value
        return True

    async def drop_value(self, family: str, name: str) -> None:
        self._reach()
        self.families.get(family, {}).pop(name, None)

    def _reach(self) -> None:
        if self.away:
            raise unavailable()


class FakeShared:
    """Entries by key; while it is `away`, nothing is found or written."""

    def __init__(self) -> None:
        self.away = False
        self.entries: dict[bytes, bytes] = {}
        self.looked_up: list[list[bytes]] = []

    async def look_up(self, keys: Sequence[bytes]) -> Sequence[bytes | None] | None:
        self.looked_up.append(list(keys))
        return None if self.away else [self.entries.get(key) for key in keys]

    def write(self, entries: Mapping[bytes, bytes]) -> None:
        if not self.away:
            self.entries.update(entries)

    async def close(self) -> None:
        self.away = True
