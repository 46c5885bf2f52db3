"""State on one machine: a SQLite file for what must last, this process's memory for the limits."""

from __future__ import annotations

import asyncio
import json
import pathlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from gateway.auth import KeyRecord
from gateway.gates import Gate, Standing
from gateway.store import Usage, UsageKey, UsageQuery, grants
from gateway.store.memory import MemoryLimits
from gateway.store.sqlite_file import SqliteFile
from gateway.store.sqlite_values import SqliteValues

_COLUMNS: Final = "id, name, sha256, models, created, expires, revoked, granted"
_FIND: Final = f"SELECT {_COLUMNS} FROM keys WHERE sha256 = ?"  # noqa: S608 (the columns are ours)
_FIND_BY_ID: Final = f"SELECT {_COLUMNS} FROM keys WHERE id = ?"  # noqa: S608
_LIST: Final = f"SELECT {_COLUMNS} FROM keys WHERE ?1 IS NULL OR name = ?1 ORDER BY created, id"  # noqa: S608
_ADD: Final = f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_CHANGE: Final = "UPDATE keys SET name = ?, models = ?, expires = ?, granted = ? WHERE id = ? RETURNING id"
_REVOKE: Final = "UPDATE keys SET revoked = min(coalesce(revoked, ?), ?) WHERE id = ?"
_SUMS: Final = Usage.__slots__
_BY: Final = ("day", "key_id", "key_name", "team", "model")
_ADD_USAGE: Final = (
    f"INSERT INTO usage ({', '.join((*_BY, *_SUMS))}) VALUES ({', '.join('?' * (len(_BY) + len(_SUMS)))}) "  # noqa: S608
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)}"
)
_USAGE: Final = f"SELECT {', '.join((*_BY, *_SUMS))} FROM usage"  # noqa: S608
_IN_ORDER: Final = " ORDER BY day, key_name, key_id, model, team"
_BUDGETS: Final = "SELECT id, spent, ends FROM budgets"
_ADD_SPENT: Final = (
    "INSERT INTO budgets (id, spent, ends) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spent = spent + excluded.spent"
)
_BATCH_SECONDS: Final = 86_400.0
"""How long a batch's name is remembered: nobody sends one again so late."""

_T = TypeVar("_T")


class EmbeddedStore:
    """`Store` over one SQLite file in WAL mode, for what must last, and this process's memory, for the limits.

    Readers never wait, and a crash loses nothing that was confirmed. Budgets are written by `save`, and counted
    exactly in this process; several processes over one file learn of each other's spending when they save.
    """

    def __init__(
        self,
        file: pathlib.Path,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Opens or makes the file, readable by its owner alone; raises StoreError when that cannot be done."""
        self.name = str(file)
        self._file = SqliteFile(file, sleep)
        self._clock = clock
        self._limits = MemoryLimits(clock)
        self._values = SqliteValues(self._file, clock)
        self._restored = False
        self._one_save = asyncio.Lock()
        self._last_save: asyncio.Task[None] | None = None

    # ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def find_key(self, sha256: str) -> KeyRecord | None:
        found = await self._file.read(_FIND, (sha256,), _record)
        return found[0] if found else None

    async def find_key_by_id(self, key_id: str) -> KeyRecord | None:
        found = await self._file.read(_FIND_BY_ID, (key_id,), _record)
        return found[0] if found else None

    async def list_keys(self, name: str | None = None) -> Sequence[KeyRecord]:
        return await self._file.read(_LIST, (name,), _record)

    async def add_key(self, record: KeyRecord) -> None:
        models, granted = json.dumps(record.models), grants.write(record)
        times = (record.created, record.expires, record.revoked)
        await self._file.run(_ADD, (record.id, record.name, record.sha256, models, *times, granted))

    async def change_key(self, record: KeyRecord) -> bool:
        models, granted = json.dumps(record.models), grants.write(record)
        return bool(await self._file.run(_CHANGE, (record.name, models, record.expires, granted, record.id)))

    async def revoke_key(self, key_id: str, at: float) -> None:
        await self._file.run(_REVOKE, (at, at, key_id))

    # ── limits ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def at_once(self) -> MemoryLimits | None:
        return self._limits if self._restored else None

    async def reserve(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]:
        if not self._restored:
            await self._restore()
        return self._limits.take(reservation, gates, amounts, lease)

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        self._limits.give_back(reservation, gates, amounts, spent)

    async def _restore(self) -> None:
        """Budgets go on where the last process, or another one, left them."""
        for budget in await self._file.run(_BUDGETS):
            self._limits.restore(*budget)
        self._restored = True

    # ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def add_usage(self, batch: str, usage: Mapping[UsageKey, Usage]) -> None:
        rows = [
            (*(getattr(key, name) for name in _BY), *(getattr(sums, name) for name in _SUMS))
            for key, sums in usage.items()
        ]
        now = self._clock()

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM batches WHERE at < ?", (now - _BATCH_SECONDS,))
            if connection.execute("INSERT OR IGNORE INTO batches VALUES (?, ?)", (batch, now)).rowcount:
                connection.executemany(_ADD_USAGE, rows)

        await self._file.transaction(write)

    async def usage(self, query: UsageQuery) -> Sequence[tuple[UsageKey, Usage]]:
        asked = {
            f"{column} {sign} ?": value
            for column, sign, value in (
                ("day", ">=", query.first_day),
                ("day", "<=", query.last_day),
                ("key_id", "=", query.key_id),
                ("team", "=", query.team),
                ("model", "=", query.model),
            )
            if value is not None
        }
        where = f" WHERE {' AND '.join(asked)}" if asked else ""
        return await self._file.read(f"{_USAGE}{where}{_IN_ORDER}", list(asked.values()), _usage)

    async def save(self) -> None:
        """Goes on when its caller is cancelled; `close` waits for it."""
        self._last_save = asyncio.create_task(self._save())
        await asyncio.shield(self._last_save)

    async def _save(self) -> None:
        async with self._one_save:
            await self._write_budgets()

    async def _write_budgets(self) -> None:
        changed = self._limits.unsaved()
        if not changed:
            return
        rows = [(budget, spent, ends) for budget, (spent, ends) in changed.items()]
        now = self._clock()

        def write(connection: sqlite3.Connection) -> list[Any]:
            connection.execute("DELETE FROM budgets WHERE ends < ?", (now - _BATCH_SECONDS,))
            connection.executemany(_ADD_SPENT, rows)
            return connection.execute(_BUDGETS).fetchall()

        try:
            budgets = await self._file.transaction(write)
        except BaseException:
            self._limits.keep_unsaved(changed)
            raise
        for budget in budgets:
            self._limits.restore(*budget)

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def value(self, family: str, name: str) -> bytes | None:
        return (await self._values.find(family, name)).get(name)

    async def values(self, family: str) -> Mapping[str, bytes]:
        return await self._values.find(family, None)

    async def put_value(
        self, family: str, name: str, value: bytes, seconds: float | None = None, *, only_if_absent: bool = False
    ) -> bool:
        return await self._values.put(family, name, value, seconds, only_if_absent=only_if_absent)

    async def drop_value(self, family: str, name: str) -> None:
        await self._values.drop(family, name)

    # ── itself ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def ping(self) -> None:
        await self._file.run("SELECT 1", ())

    async def close(self) -> None:
        if self._last_save is not None:
            await asyncio.wait({self._last_save})
        await self._file.close()


def _record(row: Sequence[Any]) -> KeyRecord:
    key_id, name, sha256, models, created, expires, revoked, granted = row
    patterns = tuple(json.loads(models))
    return KeyRecord(key_id, name, sha256, patterns, created, expires, revoked, **grants.read(granted))


def _usage(row: Sequence[Any]) -> tuple[UsageKey, Usage]:
    return UsageKey(*row[: len(_BY)]), Usage(*row[len(_BY) :])
