"""One SQLite file in WAL mode, used from a thread of its own: readers never wait, a crash loses nothing confirmed.

The only sqlite3.
"""

from __future__ import annotations

import asyncio
import errno
import os
import pathlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from gateway.store import StoreError, unavailable

_SCHEMA: Final = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  models TEXT NOT NULL,
  created REAL NOT NULL,
  expires REAL,
  revoked REAL,
  granted TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS budgets (id TEXT PRIMARY KEY, spent INTEGER NOT NULL, ends REAL);
CREATE TABLE IF NOT EXISTS usage (
  day TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_name TEXT NOT NULL,
  team TEXT NOT NULL,
  model TEXT NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  inputs INTEGER NOT NULL,
  reported INTEGER NOT NULL,
  counted INTEGER NOT NULL,
  estimated INTEGER NOT NULL,
  cached INTEGER NOT NULL,
  nanos INTEGER NOT NULL,
  unpriced INTEGER NOT NULL,
  PRIMARY KEY (day, key_id, key_name, team, model)
);
CREATE INDEX IF NOT EXISTS usage_of_key ON usage (key_id, day);
CREATE TABLE IF NOT EXISTS batches (name TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS shared (
  family TEXT NOT NULL,
  name TEXT NOT NULL,
  value BLOB NOT NULL,
  ends REAL,
  PRIMARY KEY (family, name)
);
COMMIT;
"""
"""Immediate, because SQLite waits for another process's lock only at the beginning of a transaction."""
_BUSY_SECONDS: Final = 5.0
_BUSY_PAUSE: Final = 0.01
_PRIMARY: Final = 0xFF
"""The bits of a result code that tell the kind: SQLITE_BUSY_RECOVERY is SQLITE_BUSY, and says besides what for.

https://www.sqlite.org/rescode.html#pve
"""

_T = TypeVar("_T")


class SqliteFile:
    def __init__(self, file: pathlib.Path, sleep: Callable[[float], None]) -> None:
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
            _add_what_is_new(self._connection)
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreError(f"The state file {file} cannot be used: {_reason(error)}.") from None

    async def run(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        """Raises StateUnavailable, as all do, when the file fails in flight."""
        return await self.read(statement, values, lambda row: row)

    async def read(self, statement: str, values: Sequence[object], row: Callable[[Any], _T]) -> list[_T]:
        """What `row` makes of each row, in the file's thread: many of them must not hold up the event loop."""
        return await self._in_thread(lambda: [row(found) for found in self._connection.execute(statement, values)])

    async def transaction(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """All of what the action does, or nothing."""

        def whole() -> _T:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = action(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            return result

        return await self._in_thread(whole)

    async def close(self) -> None:
        await self._in_thread(self._connection.close)
        self._thread.shutdown()

    async def _in_thread(self, action: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action)
        except (sqlite3.Error, RuntimeError) as error:  # RuntimeError: it is closed already
            raise unavailable() from error


def _add_what_is_new(connection: sqlite3.Connection) -> None:
    """Columns that files of earlier versions lack."""
    if "granted" not in {row[1] for row in connection.execute("PRAGMA table_info(keys)")}:
        connection.execute("ALTER TABLE keys ADD COLUMN granted TEXT NOT NULL DEFAULT '{}'")


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
            if error.sqlite_errorcode & _PRIMARY != sqlite3.SQLITE_BUSY or left == 0:
                raise
        sleep(_BUSY_PAUSE)


def _reason(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
        return "it must be a file that this user may read and write"
    return error.strerror or "unknown" if isinstance(error, OSError) else str(error)
