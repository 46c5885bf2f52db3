"""Two lanes to what only so many can have at a time: who waits in which, and whose turn it is. It only decides.

Interactive calls go first, and have some slots to themselves. While bulk calls wait that could run, each fifth turn is
theirs, so that they are never starved. Inside a lane the first to come is the first to be served.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from gateway.allowances import Priority

BULK_ITEMS: Final = 64
"""Most inputs of a request that somebody may be sitting in front of."""
BULK_TURN: Final = 5
"""While both lanes wait, one turn in so many is bulk's."""
RESERVED: Final = 5
"""One slot in so many, but at least one of several, is kept for interactive calls."""
RECENT: Final = 0.2
"""The weight of the latest call in the time that calls are taken to need."""

Waiter = TypeVar("Waiter", bound=Hashable)


def lane_of(allowed: Priority, wish: Priority | None, items: int) -> Priority:
    """The lane of a request: a wish may only lower what its key allows, and many inputs are bulk anyway."""
    return "bulk" if "bulk" in (allowed, wish) or items > BULK_ITEMS else "interactive"


class Turns:
    """Takes turns where both lanes wait: bulk's is each fifth of those that it could have had."""

    def __init__(self) -> None:
        self._passed = 0

    def take(self, *, interactive: bool, bulk: bool) -> Priority | None:
        """Whose turn it is, of the lanes where somebody waits who could run."""
        if bulk and (not interactive or self._passed >= BULK_TURN - 1):
            self._passed = 0
            return "bulk"
        self._passed += interactive and bulk
        return "interactive" if interactive else None


class Lanes(Generic[Waiter]):
    """Who waits for, and who has, one of `limit` slots."""

    def __init__(self, limit: int) -> None:
        reserved = max(1, limit // RESERVED) if limit > 1 else 0
        self.limit = limit
        self.most: dict[Priority, int] = {"interactive": limit, "bulk": limit - reserved}
        """How many slots calls of a lane may have."""
        self.running: dict[Priority, int] = {"interactive": 0, "bulk": 0}
        self._all_running = 0
        self._waiting: dict[Priority, dict[Waiter, None]] = {"interactive": {}, "bulk": {}}
        self._turns = Turns()

    def waiting(self, lane: Priority) -> int:
        return len(self._waiting[lane])

    def take(self, lane: Priority) -> bool:
        """Takes a slot, if there is one that nobody waits for who could have it."""
        if not self._may_run(lane) or self._waiting[lane]:
            return False
        self.running[lane] += 1
        self._all_running += 1
        return True

    def join(self, waiter: Waiter, lane: Priority) -> None:
        self._waiting[lane][waiter] = None

    def leave(self, waiter: Waiter, lane: Priority) -> None:
        """Gives up waiting; who does not wait any more may say so, too."""
        self._waiting[lane].pop(waiter, None)

    @property
    def anybody_waits(self) -> bool:
        return bool(self._waiting["interactive"] or self._waiting["bulk"])

    def next(self) -> tuple[Waiter, Priority] | None:
        """Takes a slot for whoever is next; None when there is none, or nobody who could have it."""
        turn = self._turns.take(
            interactive=bool(self._waiting["interactive"]) and self._may_run("interactive"),
            bulk=bool(self._waiting["bulk"]) and self._may_run("bulk"),
        )
        if turn is None:
            return None
        waiter = next(iter(self._waiting[turn]))
        del self._waiting[turn][waiter]
        self.running[turn] += 1
        self._all_running += 1
        return waiter, turn

    def release(self, lane: Priority) -> None:
        self.running[lane] -= 1
        self._all_running -= 1

    def ahead(self, lane: Priority) -> dict[Priority, int]:
        """How many of each lane will be served before one who comes now, if nobody comes after them."""
        interactive, bulk = self.waiting("interactive"), self.waiting("bulk")
        if lane == "interactive":
            return {"interactive": interactive, "bulk": min(bulk, (interactive + 1) // (BULK_TURN - 1))}
        return {"interactive": min(interactive, (bulk + 1) * (BULK_TURN - 1)), "bulk": bulk}

    def _may_run(self, lane: Priority) -> bool:
        return self._all_running < self.limit and self.running[lane] < self.most[lane]


class Pace:
    """How long one lane's calls hold their slots, by those that have ended lately and by those that run now.

    Times are seconds on one monotonic clock.
    """

    def __init__(self) -> None:
        self._ended: float | None = None
        self._deviation = 0.0
        self._running = 0
        self._begun = 0.0
        """The sum of the times at which those that run began."""

    def begin(self, now: float) -> None:
        self._running += 1
        self._begun += now

    def end(self, began: float, now: float) -> None:
        self._running -= 1
        self._begun = self._begun - began if self._running else 0.0
        held = now - began
        if self._ended is None:
            self._ended = held
        else:
            self._deviation += RECENT * (abs(held - self._ended) - self._deviation)
            self._ended += RECENT * (held - self._ended)

    def held(self, now: float) -> float:
        """Calls that run already longer than the last ones took tell of a service that has come to a halt."""
        age = now - self._begun / self._running if self._running else 0.0
        return max(self._ended or 0.0, age)

    def needed(self, now: float) -> float:
        """Seconds within which nearly all calls end: who is left less when it gets a slot would take it in vain."""
        return self.held(now) + 2 * self._deviation
