"""How often an address has failed to show who it is: so many failures a minute, and then it is told to wait."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from gateway import addresses
from gateway.addresses import Network, Source

A_MINUTE: Final = 30
"""More than a client with an old key makes by mistake, and nothing to somebody who guesses."""
REMEMBERED: Final = 10_000


class Failures:
    """A bucket of failures for each address, refilled by `A_MINUTE` a minute; the longest unused are forgotten.

    A bucket is kept as the time at which it is whole again, on the monotonic `clock`, in seconds.
    """

    def __init__(self, trusted: Sequence[Network], clock: Callable[[], float]) -> None:
        self._trusted = trusted
        self._clock = clock
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def behind(self, trusted: Sequence[Network]) -> Failures:
        """The same buckets, with other balancers in front."""
        other = copy.copy(self)
        other._trusted = trusted
        return other

    def wait(self, source: Source) -> float:
        """How many seconds until another failure is let pass; 0 while there may be one now."""
        return self._wait(addresses.client(source, self._trusted))

    def add(self, source: Source) -> float:
        """Counts a failure, and says how long to wait; 0 for one that was still let pass."""
        client = addresses.client(source, self._trusted)
        wait = self._wait(client)
        if wait == 0:
            now = self._clock()
            self._whole_at[client] = max(self._whole_at.get(client, now), now) + 60 / A_MINUTE
            self._whole_at.move_to_end(client)
            while len(self._whole_at) > REMEMBERED:
                self._whole_at.popitem(last=False)
        return wait

    def _wait(self, client: str) -> float:
        missing = self._whole_at.get(client, 0.0) - self._clock()
        return max(0.0, missing - 60 * (A_MINUTE - 1) / A_MINUTE)
