"""How an upstream behaves for a while, as a value that can be sent to it: its faults, its pace, whether it is there."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds before an answer: log-normal around a median, and for a share of the answers a spike on top."""

    median: float = 0.003
    sigma: float = 0.0
    """0: always the median; 1: one answer in a hundred takes ten times as long."""
    spike: float = 0.0
    share: float = 0.0

    def draw(self, fate: random.Random) -> float:
        usual = self.median * math.exp(fate.gauss(0, self.sigma)) if self.sigma else self.median
        return usual + (self.spike if fate.random() < self.share else 0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """`faults` are names of `faults.FAULTS`, which take turns; `share` is how many of the requests meet one."""

    faults: Sequence[str] = ()
    share: float = 1.0
    latency: Latency = Latency()
    rate: float | None = None
    """Requests a second; more are refused with a 429 that says truly when the next one will be taken."""
    listening: bool = True
    """False: its port refuses connections, and those that were open break."""
    expired: bool = False
    """Whether its certificate is a day too old, where it speaks TLS."""

    def packed(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def unpacked(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "latency": Latency(**values["latency"])})


WELL = Plan()


class Fates:
    """What chance has in store for each request: it depends on the seed, on the body, and on how often that came.

    So a run can be repeated although its requests arrive in another order, and a second try has a fate of its own.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._seen: dict[bytes, int] = {}

    def of(self, body: bytes) -> random.Random:
        digest = hashlib.sha256(body).digest()[:16]
        self._seen[digest] = times = self._seen.get(digest, 0) + 1
        return random.Random(f"{self._seed} {digest.hex()} {times}")  # noqa: S311 (it has to be repeatable)
