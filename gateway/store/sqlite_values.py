"""Shared values in the embedded home's file: rows of one table, swept once they have ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

from gateway.store.sqlite_file import SqliteFile

_FIND: Final = (
    "SELECT name, value FROM shared "
    "WHERE family = ?1 AND (?2 IS NULL OR name = ?2) AND (ends IS NULL OR ends > ?3) ORDER BY name"
)
_SWEEP: Final = "DELETE FROM shared WHERE ends <= ?"
_PUT: Final = "INSERT OR {} INTO shared (family, name, value, ends) VALUES (?, ?, ?, ?)"
_DROP: Final = "DELETE FROM shared WHERE family = ? AND name = ?"


class SqliteValues:
    """`clock` is in seconds since the epoch."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    async def find(self, family: str, name: str | None) -> Mapping[str, bytes]:
        """One value, or all of the family."""
        return dict(await self._file.run(_FIND, (family, name, self._clock())))

    async def put(self, family: str, name: str, value: bytes, seconds: float | None, *, only_if_absent: bool) -> bool:
        now = self._clock()
        statement = _PUT.format("IGNORE" if only_if_absent else "REPLACE")
        row = (family, name, value, None if seconds is None else now + seconds)

        def write(connection: sqlite3.Connection) -> bool:
            connection.execute(_SWEEP, (now,))
            return bool(connection.execute(statement, row).rowcount)

        return await self._file.transaction(write)

    async def drop(self, family: str, name: str) -> None:
        await self._file.run(_DROP, (family, name))
