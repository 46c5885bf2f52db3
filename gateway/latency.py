"""How long calls of one size take at one target: a mean that forgets, and the time that 19 of 20 keep within."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from typing import Final

SIZES: Final = (1, 8, 64)
"""Largest number of inputs of each class but the last: one text, a hedgeable few, an interactive many, bulk."""
WEIGHT: Final = 0.2
"""Of a new sample in the mean: about the last ten decide."""
HALF_LIFE: Final = 10.0
"""Seconds in which a mean that nobody renews counts for half: what was slow is tried again in the end."""
SAMPLES: Final = 100
LEAST_SAMPLES: Final = 40
"""Before so many nobody knows what one in twenty is: the two slowest are beyond it."""


def size_class(items: int) -> int:
    return bisect_left(SIZES, items)


class Latency:
    """In seconds; `now` is on the caller's clock."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._at = -math.inf
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def add(self, seconds: float, now: float) -> None:
        self._mean = seconds if self._mean is None else self._mean + WEIGHT * (seconds - self._mean)
        self._at = now
        self._samples.append(seconds)

    def cut_off(self, seconds: float, now: float) -> None:
        """It would have taken longer than this, which is news only where this is long already.

        Left out, the slow calls that a hedge cuts off would make the target look fast.
        """
        if self._mean is not None and seconds > self._mean:
            self.add(seconds, now)

    def recent(self, now: float) -> float | None:
        """The mean, the less of it the longer ago its last sample; None without any."""
        if self._mean is None:
            return None
        return self._mean * math.exp2(-max(0.0, now - self._at) / HALF_LIFE)

    @property
    def mean(self) -> float | None:
        return self._mean

    @property
    def p95(self) -> float | None:
        """None before there are enough samples."""
        if len(self._samples) < LEAST_SAMPLES:
            return None
        return sorted(self._samples)[math.ceil(0.95 * len(self._samples)) - 1]
