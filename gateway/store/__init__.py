"""Where state lives between requests and restarts: one Protocol, and the homes that keep its promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable, retry_headers
from gateway.gates import Gate, Standing

RETRY_SECONDS: Final = 1.0
"""How long a caller is told to wait while the state is away."""


class StoreError(Exception):
    """The state cannot be opened; the message says which, and why."""


def unavailable() -> StateUnavailable:
    """What a client is told when the state fails in flight; the cause that an operator wants is given beside it."""
    return StateUnavailable(
        "The gateway cannot reach its state right now; try again shortly.", headers=retry_headers(RETRY_SECONDS)
    )


class UsageKey(NamedTuple):
    """What usage is summed by. `day` is a date of UTC, like 2026-11-21."""

    day: str
    key_id: str
    key_name: str
    team: str
    model: str


@dataclass(slots=True)
class Usage:
    """Sums. Tokens are what upstreams reported, what was counted or estimated here, and what the cache saved.

    `nanos` is the cost in billionths of a dollar of those tokens whose price is known, `unpriced` are the others.
    """

    requests: int = 0
    errors: int = 0
    inputs: int = 0
    reported: int = 0
    counted: int = 0
    estimated: int = 0
    cached: int = 0
    nanos: int = 0
    unpriced: int = 0

    def add(self, other: Usage) -> None:
        self.requests += other.requests
        self.errors += other.errors
        self.inputs += other.inputs
        self.reported += other.reported
        self.counted += other.counted
        self.estimated += other.estimated
        self.cached += other.cached
        self.nanos += other.nanos
        self.unpriced += other.unpriced


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Which usage is asked for; days are dates of UTC, both included. None asks for all."""

    first_day: str | None = None
    last_day: str | None = None
    key_id: str | None = None
    team: str | None = None
    model: str | None = None


class KeyStore(Protocol):
    """Keys by the SHA-256 of their text. Times are seconds since the epoch."""

    async def find_key(self, sha256: str) -> KeyRecord | None: ...

    async def find_key_by_id(self, key_id: str) -> KeyRecord | None: ...

    async def list_keys(self, name: str | None = None) -> Sequence[KeyRecord]:
        """Every key that was ever made, or every one of this name, oldest first."""
        ...

    async def add_key(self, record: KeyRecord) -> None: ...

    async def change_key(self, record: KeyRecord) -> bool:
        """Puts a record in the place of the one with its id, whose hash and earlier end stay; False without one."""
        ...

    async def revoke_key(self, key_id: str, at: float) -> None:
        """Ends a key at a time; an earlier end that it already has stays."""
        ...


class AtOnce(Protocol):
    """Limits for which nobody has to wait."""

    def take(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]: ...

    def give_back(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None: ...


class LimitStore(Protocol):
    """Buckets and budgets. Each method is one atomic step over all gates, of which a request takes an amount each."""

    @property
    def at_once(self) -> AtOnce | None:
        """The same two steps where they need no waiting, now; they do not fail then, either."""
        ...

    async def reserve(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], lease: float
    ) -> Sequence[Standing]:
        """Takes every gate's amount, or, if a gate that is no shadow refuses, nothing at all.

        A shadow gate that does not fit gives nothing. What is not settled within `lease` seconds ends by itself: a
        `concurrent` gate's amount comes back, a budget's stays spent.
        """
        ...

    async def settle(
        self, reservation: str, gates: Sequence[Gate], amounts: Sequence[int], spent: Sequence[int]
    ) -> None:
        """Ends a reservation: `spent` of each gate's amount, which may be more, stays taken; `concurrent` ends.

        Of `concurrent` gates and budgets once: what is settled already, or ended by itself, stays as it is.
        """
        ...


class UsageStore(Protocol):
    async def add_usage(self, batch: str, usage: Mapping[UsageKey, Usage]) -> None:
        """Adds to the sums. The same batch, told by its name, is added once, however often it is sent."""
        ...

    async def usage(self, query: UsageQuery) -> Sequence[tuple[UsageKey, Usage]]:
        """The sums in the order of day, key and model."""
        ...

    async def save(self) -> None:
        """Writes down what the home has in this process's memory alone."""
        ...


class ValueStore(Protocol):
    """Small values that every process shares: a lock, a mark, what one has found out for all.

    They are told apart by family and name. A family can be read whole, and is looked through at each writing: none
    should hold more than some hundred.
    """

    async def value(self, family: str, name: str) -> bytes | None: ...

    async def values(self, family: str) -> Mapping[str, bytes]:
        """Those that have not ended, by name."""
        ...

    async def put_value(
        self, family: str, name: str, value: bytes, seconds: float | None = None, *, only_if_absent: bool = False
    ) -> bool:
        """Keeps a value for so many seconds of the home's clock, or for good, in place of what was there.

        False, with nothing done, only where it was wanted absent and is not.
        """
        ...

    async def drop_value(self, family: str, name: str) -> None: ...


class Store(KeyStore, LimitStore, UsageStore, ValueStore, Protocol):
    """Every method raises `errors.StateUnavailable` when the state fails in flight."""

    name: str
    """Where it is, for an operator to read."""

    async def ping(self) -> None:
        """Returns when the state can be used."""
        ...

    async def close(self) -> None: ...
