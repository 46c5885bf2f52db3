"""Whether a target that failed lately is asked at all: closed, open for a while, then half-open for one trial.

It decides and never acts. Times are seconds on the caller's clock. The pattern, its three states and the generations
that keep late outcomes out are those of https://github.com/sony/gobreaker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal

BreakerState = Literal["closed", "open", "half-open"]

CONSECUTIVE: Final = 5
"""Failures in a row that open it: one more than a request with its retries makes of a single hiccup."""
RATIO: Final = 0.5
"""Failed part of the recent calls that opens it: then a retry at the same place is as likely to fail as not."""
LEAST_CALLS: Final = 20
"""Fewer recent calls say nothing about a ratio."""
BUCKET_SECONDS: Final = 5.0
BUCKETS: Final = 6
"""Recent are the last 25 to 30 seconds: an upstream's deployment or a lost node is seen, yesterday's is not."""
FIRST_OPEN: Final = 5.0
LONGEST_OPEN: Final = 120.0
"""Seconds: a failed trial doubles the first up to the longest, so that what has recovered waits two minutes at most."""
JITTER: Final = 0.2
"""Part of the open time that chance takes off, so that replicas do not try all at once."""
LAST_CALLS: Final = 20
LEAST_WELL: Final = 0.2
"""Part of the last calls that succeeded: with fewer, who has no other choice is better told at once to come back."""
TRIAL_WAIT: Final = 1.0
"""Seconds after which to ask again, while a trial is under way: nobody knows how long it takes."""


LAST_RESORT: Final = -1
"""The ticket of a call that goes although it is open: it tells how well the target is, and changes no state."""


class Breaker:
    """A call begins with a ticket and ends in one of three ways; what began in an earlier state does not change it."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.consecutive = 0
        """Failures since the last success."""
        self._buckets: deque[list[float]] = deque(maxlen=BUCKETS)  # each: its number, calls, failures
        self._last: deque[bool] = deque(maxlen=LAST_CALLS)  # whether they succeeded
        self._until: float | None = None  # when the open time ends; None: closed
        self._openings = 0  # in a row
        self._generation = 0
        self._trial = False

    @property
    def is_closed(self) -> bool:
        return self._until is None

    def state(self, now: float) -> BreakerState:
        if self._until is None:
            return "closed"
        return "open" if now < self._until else "half-open"

    def wait(self, now: float) -> float:
        """Seconds until a call may go; 0 if one may go now."""
        if self._until is None:
            return 0.0
        if now < self._until:
            return self._until - now
        return TRIAL_WAIT if self._trial else 0.0

    @property
    def partly_well(self) -> bool:
        """Whether it answers now and then: where every target fails now and then, some answers are better than none."""
        return any(self._last) and sum(self._last) >= LEAST_WELL * len(self._last)

    def begin(self, now: float) -> int | None:
        """A ticket for one call, or None if it may not go. Each ticket is given back by one of the three below."""
        if self.wait(now) > 0:
            return None
        if self._until is not None:
            self._trial = True
            self._generation += 1
        return self._generation

    def succeeded(self, ticket: int, now: float) -> None:
        self._last.append(True)
        if ticket != self._generation:
            return
        if self._trial:
            self._trial, self._until, self._openings = False, None, 0
            self._buckets.clear()
        self.consecutive = 0
        self._count(now, failed=False)

    def failed(self, ticket: int, now: float) -> None:
        self._last.append(False)
        if ticket != self._generation:
            return
        self.consecutive += 1
        self._count(now, failed=True)
        if self._trial or self.consecutive >= CONSECUTIVE or self._mostly_failed(now):
            self._open(now)

    def abandoned(self, ticket: int) -> None:
        """It was cut off, or says nothing of the target: it counts neither way, and a trial is free again."""
        if ticket == self._generation:
            self._trial = False

    def _open(self, now: float) -> None:
        seconds = min(LONGEST_OPEN, FIRST_OPEN * 2.0 ** min(self._openings, 10))
        self._until = now + seconds * (1 - JITTER * self._random())
        self._openings += 1
        self._trial = False
        self._generation += 1

    def _count(self, now: float, *, failed: bool) -> None:
        number, buckets = now // BUCKET_SECONDS, self._buckets
        if not buckets or buckets[-1][0] != number:
            buckets.append([number, 0, 0])
        bucket = buckets[-1]
        bucket[1] += 1
        if failed:
            bucket[2] += 1

    def _mostly_failed(self, now: float) -> bool:
        oldest = now // BUCKET_SECONDS - BUCKETS
        recent = [bucket for bucket in self._buckets if bucket[0] > oldest]
        calls, failures = sum(bucket[1] for bucket in recent), sum(bucket[2] for bucket in recent)
        return calls >= LEAST_CALLS and failures >= RATIO * calls
