"""Finding the record of a key: those of the routing file first, then those of the store, remembered briefly."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, Literal

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.store import KeyStore

REMEMBERED: Final = 10_000
REMEMBER_SECONDS: Final = 2.0
"""How long a record is believed: a revocation is seen within that time."""

BELIEVE_SECONDS: Final = 3600.0
"""How long it is believed while the state cannot be asked again, under `on_state_loss: allow`."""

LookUp = Callable[[str], Awaitable[KeyRecord | None]]


class Shelf:
    """Records by one of their names; `clock` is in seconds since the epoch.

    While the state cannot be reached, a record that was found before goes on counting for a while if `outlasts_loss`.
    """

    def __init__(
        self,
        fixed: Iterable[tuple[str, KeyRecord]],
        look_up: LookUp,
        clock: Callable[[], float],
        outlasts_loss: bool,
    ) -> None:
        self._fixed = dict(fixed)
        self._look_up = look_up
        self._clock = clock
        self._outlasts_loss = outlasts_loss
        self._recent: OrderedDict[str, tuple[KeyRecord, float]] = OrderedDict()

    def listing(self, fixed: Iterable[tuple[str, KeyRecord]]) -> Shelf:
        """The same with other fixed records; what was found in the store is remembered by both."""
        other = copy.copy(self)
        other._fixed = dict(fixed)
        return other

    def knows(self, name: str) -> bool:
        """Whether this record was there before, so that looking for it is no guess."""
        return name in self._fixed or name in self._recent

    def at_once(self, name: str) -> KeyRecord | None:
        """The record, where nobody has to be asked for it; that there is none is not said."""
        fixed = self._fixed.get(name)
        if fixed is not None:
            return fixed
        known, since = self._recent.get(name, (None, 0.0))
        # a clock set back makes it forget
        return known if known is not None and 0 <= self._clock() - since < REMEMBER_SECONDS else None

    async def find(self, name: str) -> KeyRecord | None:
        """Raises StateUnavailable."""
        found = self.at_once(name)
        if found is not None:
            return found
        now = self._clock()
        known, since = self._recent.get(name, (None, 0.0))
        try:
            record = await self._look_up(name)
        except StateUnavailable:
            if known is None or not (self._outlasts_loss and 0 <= now - since < BELIEVE_SECONDS):
                raise
            return known
        if record is None:
            self._recent.pop(name, None)
        else:  # an unknown key is not remembered: guesses must not push out the keys in use
            self._recent[name] = (record, now)
            self._recent.move_to_end(name)
            while len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        return record


class KnownKeys:
    """`by_hash` has records by the SHA-256 of their keys, `by_id` by their ids."""

    def __init__(
        self,
        records: Iterable[KeyRecord],
        store: KeyStore,
        clock: Callable[[], float],
        on_loss: Literal["allow", "deny"] = "allow",
        teams: Collection[str] = (),
    ) -> None:
        self._teams = teams
        self._clock = clock
        fixed = tuple(records)
        outlasts_loss = on_loss == "allow"
        self.by_hash = Shelf(((record.sha256, record) for record in fixed), store.find_key, clock, outlasts_loss)
        self.by_id = Shelf(((record.id, record) for record in fixed), store.find_key_by_id, clock, outlasts_loss)

    def listing(self, records: Collection[KeyRecord], teams: Collection[str]) -> KnownKeys:
        """The same with the keys and teams of another routing file."""
        other = copy.copy(self)
        other._teams = teams
        other.by_hash = self.by_hash.listing((record.sha256, record) for record in records)
        other.by_id = self.by_id.listing((record.id, record) for record in records)
        return other

    def usable(self, record: KeyRecord) -> bool:
        """A key of a team that the routing file no longer has would slip from the team's limits and budget."""
        return record.usable_at(self._clock()) and (record.team is None or record.team in self._teams)
