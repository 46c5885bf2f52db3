"""Where state lives between requests and restarts: one Protocol, and the homes that keep its promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.auth import KeyRecord


class StoreError(Exception):
    """The state cannot be opened; the message says which file and why."""


class Store(Protocol):
    """Keys by the SHA-256 of their text. Times are seconds since the epoch.

    Every method raises `errors.StateUnavailable` when the state fails in flight.
    """

    async def find_key(self, sha256: str) -> KeyRecord | None: ...

    async def list_keys(self) -> Sequence[KeyRecord]:
        """Every key that was ever made, oldest first."""
        ...

    async def add_key(self, record: KeyRecord) -> None: ...

    async def revoke_key(self, key_id: str, at: float) -> None:
        """Ends a key at a time; an earlier end that it already has stays."""
        ...

    async def close(self) -> None: ...
