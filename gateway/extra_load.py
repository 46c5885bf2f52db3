"""How much more than first tries a target may be asked: a bucket that these fill and further ones empty.

It decides and never acts. Finagle's `RetryBudget` is the model: a share of the load, and a little for quiet times.
https://twitter.github.io/finagle/guide/Clients.html#retries
"""

from __future__ import annotations

from typing import Final

RETRY_SHARE: Final = 0.2
"""Calls that may be made again, of those that were made: a sick upstream is not beaten."""
RETRY_RESERVE: Final = 30.0
"""Calls: finding one bad item among 2048 takes 22 at most, and some are left for who else comes."""
RETRY_REFILL: Final = 0.2
"""Calls a second that come back by themselves: where little is asked, a failure may still be mended."""
HEDGE_SHARE: Final = 0.05
"""Tokens that may be sent twice, of those that were sent."""
HEDGE_MOST: Final = 20_000.0
"""Tokens saved up at most: what a busy hour earned is not spent in one bad second."""


class ExtraLoad:
    """`share` of what is earned may be taken, with up to `most` saved up; it begins with `reserve`.

    `refill` is what comes back each second of itself.
    """

    def __init__(self, share: float, most: float, reserve: float = 0.0, refill: float = 0.0) -> None:
        self._share = share
        self._most = most
        self._refill = refill
        self._left = reserve
        self._at: float | None = None

    def earn(self, amount: float = 1.0) -> None:
        self._left = min(self._most, self._left + self._share * amount)

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Whether so much more may be asked now; then it is taken. `now` is in seconds on the caller's clock."""
        if self.left(now) < amount:
            return False
        self._left -= amount
        return True

    def left(self, now: float) -> float:
        if self._at is not None and now > self._at:
            self._left = min(self._most, self._left + self._refill * (now - self._at))
        self._at = now
        return self._left


def of_retries() -> ExtraLoad:
    """In calls."""
    return ExtraLoad(RETRY_SHARE, RETRY_RESERVE, RETRY_RESERVE, RETRY_REFILL)


def of_hedges() -> ExtraLoad:
    """In tokens; nothing is lent, so that never more than the share was sent twice."""
    return ExtraLoad(HEDGE_SHARE, HEDGE_MOST)
