"""State on one machine: a SQLite file that several processes may share. The only sqlite3."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pathlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.store import StoreError

_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  models TEXT NOT NULL,
  created REAL NOT NULL,
  expires REAL,
  revoked REAL
);
COMMIT;
"""
"""Immediate, because SQLite waits for another process's lock only at the beginning of a transaction."""
_FIND: Final = "SELECT id, name, sha256, models, created, expires, revoked FROM keys WHERE sha256 = ?"
_LIST: Final = "SELECT id, name, sha256, models, created, expires, revoked FROM keys ORDER BY created, id"
_ADD: Final = "INSERT INTO keys (id, name, sha256, models, created, expires, revoked) VALUES (?, ?, ?, ?, ?, ?, ?)"
_BUSY_SECONDS: Final = 5.0
_BUSY_PAUSE: Final = 0.01

_T = TypeVar("_T")


class EmbeddedStore:
    """`Store` over one SQLite file in WAL mode: readers never wait, a crash loses nothing that was confirmed."""

    def __init__(self, file: pathlib.Path, sleep: Callable[[float], None] = time.sleep) -> None:
        """Opens or makes the file, readable by its owner alone; raises StoreError when that cannot be done."""
        # A thread of its own: a key must be found, however many threads are counting tokens.
        self._thread = ThreadPoolExecutor(1, "state")
        try:
            _make_private(file)
            self._connection = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, ValueError, sqlite3.Error) as error:  # ValueError: a path that no file can have
            raise StoreError(f"The state file {file} cannot be opened: {_reason(error)}.") from None
        try:
            _enter_wal_mode(self._connection, sleep)
            self._connection.execute(f"PRAGMA busy_timeout={_BUSY_SECONDS * 1000:.0f}")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"The state file {file} cannot be used: {_reason(error)}.") from None

    async def find_key(self, sha256: str) -> KeyRecord | None:
        rows = await self._run(_FIND, (sha256,))
        return _record(rows[0]) if rows else None

    async def list_keys(self) -> Sequence[KeyRecord]:
        rows = await self._run(_LIST, ())
        return [_record(row) for row in rows]

    async def add_key(self, record: KeyRecord) -> None:
        await self._run(
            _ADD,
            (
                record.id,
                record.name,
                record.sha256,
                json.dumps(record.models),
                record.created,
                record.expires,
                record.revoked,
            ),
        )

    async def revoke_key(self, key_id: str, at: float) -> None:
        await self._run("UPDATE keys SET revoked = min(coalesce(revoked, ?), ?) WHERE id = ?", (at, at, key_id))

    async def close(self) -> None:
        await self._in_thread(self._connection.close)
        self._thread.shutdown()

    async def _run(self, statement: str, values: Sequence[object]) -> list[Any]:
        return await self._in_thread(lambda: self._connection.execute(statement, values).fetchall())

    async def _in_thread(self, action: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action)
        except (sqlite3.Error, RuntimeError) as error:  # RuntimeError: it is closed already
            raise StateUnavailable("The gateway cannot reach its state right now; try again shortly.") from error


def _make_private(file: pathlib.Path) -> None:
    """Makes a file that is not there, so that it is its owner's alone before SQLite opens it.

    One that is there is not opened: closing it again would drop the locks that SQLite holds on it in this process.
    https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(file, os.R_OK | os.W_OK):  # SQLite would open it to read, and fail at the first new key
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None


def _enter_wal_mode(connection: sqlite3.Connection, sleep: Callable[[float], None]) -> None:
    """Waits for other processes that do the same to a new file: SQLite itself would not, whatever its timeout."""
    for left in reversed(range(round(_BUSY_SECONDS / _BUSY_PAUSE))):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or left == 0:
                raise
        sleep(_BUSY_PAUSE)


def _record(row: Sequence[Any]) -> KeyRecord:
    key_id, name, sha256, models, created, expires, revoked = row
    return KeyRecord(key_id, name, sha256, tuple(json.loads(models)), created, expires, revoked)


def _reason(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
        return "it must be a file that this user may read and write"
    return error.strerror or "unknown" if isinstance(error, OSError) else str(error)
