"""A store of keys in memory that counts how often it is asked, and fails or waits when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable


class FakeKeyStore:
    def __init__(self, *records: KeyRecord) -> None:
        self.records = {record.id: record for record in records}
        self.asked: list[str] = []
        self.is_lost = False
        self.at_once = 0
        """The most look-ups that ran at the same time."""
        self.open = asyncio.Event()
        self.open.set()
        self._running = 0

    async def find_key(self, sha256: str) -> KeyRecord | None:
        await self._answer(sha256)
        return next((record for record in self.records.values() if record.sha256 == sha256), None)

    async def find_key_by_id(self, key_id: str) -> KeyRecord | None:
        await self._answer(key_id)
        return self.records.get(key_id)

    async def _answer(self, name: str) -> None:
        self.asked.append(name)
        if self.is_lost:
            raise StateUnavailable("The state is gone.")
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self._running -= 1

    async def list_keys(self, name: str | None = None) -> Sequence[KeyRecord]:
        return [record for record in self.records.values() if name in (None, record.name)]

    async def add_key(self, record: KeyRecord) -> None:
        self.records[record.id] = record

    async def change_key(self, record: KeyRecord) -> bool:
        known = record.id in self.records
        self.records[record.id] = record
        return known

    async def revoke_key(self, key_id: str, at: float) -> None:
        self.records[key_id] = replace(self.records[key_id], revoked=at)
