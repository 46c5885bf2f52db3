"""What was measured, and the goals that it is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bench.loads import GATEWAY, LITELLM, NGINX, REDIS, TWO, TWO_REDIS
from bench.wrk import Sample

PROTOTYPE_NGINX: Final = 5000.0
"""Requests a second of nginx with 100 inputs where the prototype's 1,676 of the goals for the cache were measured."""


@dataclass(frozen=True, slots=True)
class Results:
    """Medians by load and server; `idle` is a worker's memory in bytes before all loads, `after` after them."""

    samples: dict[tuple[str, str], Sample]
    idle: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    def ratio(self, load: str, over: str, under: str) -> float | None:
        """Of requests a second; None where one of the two was not measured."""
        return _quotient(self.rate(load, over), self.rate(load, under))

    def rate(self, load: str, server: str) -> float | None:
        sample = self.samples.get((load, server))
        return None if sample is None else sample.rate

    def added(self, load: str, percentile: str) -> float | None:
        """Seconds of the gateway's over nginx's."""
        gateway, nginx = self.samples.get((load, GATEWAY)), self.samples.get((load, NGINX))
        if gateway is None or nginx is None:
            return None
        return float(getattr(gateway, percentile)) - float(getattr(nginx, percentile))


@dataclass(frozen=True, slots=True)
class Goal:
    """`shown` is how a value is written. `most` where a value must not be larger, instead of not smaller."""

    name: str
    bound: float
    value: Callable[[Results], float | None]
    shown: Callable[[float], str]
    most: bool = False

    def reached(self, value: float) -> bool:
        return value <= self.bound if self.most else value >= self.bound


def _quotient(over: float | None, under: float | None) -> float | None:
    return None if over is None or not under else over / under


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _times(value: float) -> str:
    return f"{value:.2f} ×"


def _microseconds(value: float) -> str:
    return f"{value * 1e6:.0f} µs"


def _each_second(value: float) -> str:
    return f"{value:,.0f} a second"


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"


def _share(load: str, bound: float) -> Goal:
    return Goal(f"{load}: of nginx's requests/s", bound, lambda results: results.ratio(load, GATEWAY, NGINX), _percent)


def _scaled(load: str, server: str, bound: float) -> Goal:
    """As it would be where nginx is as fast as it was with the prototype."""

    def value(results: Results) -> float | None:
        share = _quotient(results.rate(load, server), results.rate("100 × base64 @16", NGINX))
        return None if share is None else share * PROTOTYPE_NGINX

    name = f"{load}, {'Redis' if server == REDIS else 'memory'}: requests/s, scaled to an nginx of 5,000"
    return Goal(name, bound, value, _each_second)


def _workers(load: str, two: str, one: str) -> Goal:
    return Goal(f"{load}: {two} over {one}", 1.7, lambda results: results.ratio(load, two, one), _times)


def _added(percentile: str, bound: float) -> Goal:
    load = "1 × base64 @1"
    return Goal(
        f"{load}: {percentile} over nginx's",
        bound,
        lambda results: results.added(load, percentile),
        _microseconds,
        most=True,
    )


def _memory(name: str, bound: float, found: Callable[[Results], dict[str, int]]) -> Goal:
    return Goal(name, bound, lambda results: max(found(results).values(), default=None), _megabytes, most=True)


def _texts(load: str, each: int, bound: float) -> Goal:
    def value(results: Results) -> float | None:
        rate = results.rate(load, GATEWAY)
        return None if rate is None else rate * each

    return Goal(f"{load}: {'texts' if each > 1 else 'requests'}", bound, value, _each_second)


GOALS: Final[tuple[Goal, ...]] = (
    _share("1 × base64 @64", 0.20),
    Goal("1 × base64 @64: over LiteLLM", 60, lambda found: found.ratio("1 × base64 @64", GATEWAY, LITELLM), _times),
    _share("1 × base64, TLS upstream @64", 0.15),
    _share("1 × float @64", 0.15),
    _share("1 × float from float @64", 0.10),
    _share("100 × base64 @16", 0.30),
    _share("100 × float @16", 0.25),
    _share("100 × float from float @16", 0.12),
    _added("p50", 150e-6),
    _added("p99", 400e-6),
    _share("1 × base64, upstream takes 50 ms @64", 0.97),
    _share("1 × base64, upstream takes 50 ms @1000", 0.40),
    _scaled("100 × base64, all cached @16", GATEWAY, 1500),
    _scaled("100 × base64, all cached @16", REDIS, 1000),
    _texts("1 × base64, local model @64", 1, 8000),
    _texts("256 × base64, local model @16", 256, 40_000),
    _workers("1 × base64 @64", TWO, GATEWAY),
    _workers("1 × base64 @64", TWO_REDIS, REDIS),
    _workers("1 × base64, local model @64", TWO, GATEWAY),
    _memory("Memory of a worker, idle", 110e6, lambda found: found.idle),
    _memory("Memory of a worker after all loads", 170e6, lambda found: found.after),
)
