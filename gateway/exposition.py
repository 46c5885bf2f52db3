"""What processes have counted becomes one text for Prometheus: sums, and for few gauges the worst of all.

Workers of one parent share a port, so that whoever is asked has to answer for all. Counting costs a worker nothing
more for it: each hands on its own numbers when somebody asks.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
WORST: Final[Mapping[str, Callable[[float, float], float]]] = {
    "gateway_state_up": min,
    "gateway_budget_used_ratio": max,
    "gateway_canary_cosine": min,
    "gateway_canary_drift": max,
}
"""Gauges that every process finds out for itself; all else adds up."""
_LASTING: Final = frozenset({"counter", "histogram"})

Families = Sequence[Metric]
"""Metrics with their samples; they can be sent from process to process."""


class _Told(Collector):
    """Families that stand as they are."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def families(registry: CollectorRegistry) -> Families:
    return merged([list(registry.collect())])


def merged(of: Iterable[Families]) -> Families:
    """Several processes' numbers as one's."""
    found: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in chain.from_iterable(of):
        name = family.name
        found.setdefault(name, family)
        known, both = values.setdefault(name, {}), WORST.get(name, _sum)
        for sample in family.samples:
            key = sample.name, tuple(sample.labels.items())
            known[key] = both(known[key], sample.value) if key in known else sample.value
    return [_family(found[name], values[name]) for name in found]


def lasting(families: Families) -> Families:
    """What stays true of a process that has ended: what it counted, and not what it was doing."""
    return [family for family in families if family.type in _LASTING]


def text(families: Families) -> bytes:
    return generate_latest(_Told(families))


def _sum(one: float, other: float) -> float:
    return one + other


def _family(like: Metric, values: Mapping[tuple[str, tuple[tuple[str, str], ...]], float]) -> Metric:
    family = Metric(like.name, like.documentation, like.type)
    # When each of them was made is nobody's question, and nothing that adds up.
    family.samples = [
        Sample(name, dict(labels), value) for (name, labels), value in values.items() if not name.endswith("_created")
    ]
    return family
