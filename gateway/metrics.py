"""What is counted for Prometheus: limits that refuse, budgets that run low, how targets do, a state that is away.

The only prometheus_client. Each process counts for itself. https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from gateway.gates import Gate, Standing

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Labels are kinds of limits, subjects of budgets, models and their targets: as few as the operator makes them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._refusals = Counter(
            "gateway_limit_refusals_total",
            "Requests that a limit refused, or would have refused if it were no shadow.",
            ["kind", "whose", "shadow"],
            registry=self._registry,
        )
        self._used = Gauge(
            "gateway_budget_used_ratio",
            "Spent and reserved part of each budget whose soft threshold was reached; 1 is all of it.",
            ["kind", "subject"],
            registry=self._registry,
        )
        self._warned: set[tuple[str, str]] = set()
        self._state = Gauge("gateway_state_up", "Whether the state can be reached.", registry=self._registry)
        self._cosine = Gauge(
            "gateway_canary_cosine",
            "Least cosine of a target's vectors of the golden texts to its space's reference.",
            ["alias", "target"],
            registry=self._registry,
        )
        self._drift = Gauge(
            "gateway_canary_drift",
            "Whether a target has drifted out of its space.",
            ["alias", "target"],
            registry=self._registry,
        )
        self._cached = Counter(
            "gateway_cache_inputs_total",
            "Different inputs of requests that were looked up in the cache.",
            ["model", "outcome"],
            registry=self._registry,
        )
        self._cache_bytes = Gauge("gateway_cache_bytes", "Memory that the cache takes.", registry=self._registry)
        self._cache_entries = Gauge("gateway_cache_entries", "Vectors in the cache's memory.", registry=self._registry)
        self._cache_evictions = Counter(
            "gateway_cache_evictions_total",
            "Vectors that left the cache's memory because it was full.",
            registry=self._registry,
        )
        self._local = Counter(
            "gateway_requests_counted_locally_total",
            "Requests whose limits were counted in this process alone, because the state was lost.",
            registry=self._registry,
        )

        self._retries = Counter(
            "gateway_retries_total",
            "Calls to a target that were made again.",
            ["model", "target"],
            registry=self._registry,
        )
        self._fallbacks = Counter(
            "gateway_fallbacks_total",
            "Requests of which this target left something to the next one.",
            ["model", "target"],
            registry=self._registry,
        )
        self._hedges = Counter(
            "gateway_hedges_total",
            "Second copies of slow calls to this target, and whether they came first.",
            ["model", "target", "won"],
            registry=self._registry,
        )
        self._coalesced = Counter(
            "gateway_coalesced_total",
            "Calls to this target that travelled with others as one.",
            ["model", "target"],
            registry=self._registry,
        )
        self._target_state = Gauge(
            "gateway_target_state",
            "1 for the state that a target is in: closed is well, the others say why it is not asked.",
            ["model", "target", "state"],
            registry=self._registry,
        )
        self._targets: Callable[[], Iterable[tuple[str, str, str]]] = tuple

    def canaries(self, found: Sequence[tuple[str, str, float, bool]]) -> None:
        """Alias, target, cosine, and whether that is drift, of every target that was asked; no others are told."""
        self._cosine.clear()
        self._drift.clear()
        for alias, target, cosine, drifted in found:
            self._cosine.labels(alias, target).set(cosine)
            self._drift.labels(alias, target).set(drifted)

    def retried(self, model: str, target: str) -> None:
        self._retries.labels(model, target).inc()

    def fell_back(self, model: str, target: str) -> None:
        self._fallbacks.labels(model, target).inc()

    def hedged(self, model: str, target: str, *, won: bool) -> None:
        self._hedges.labels(model, target, str(won).lower()).inc()

    def coalesced(self, model: str, target: str) -> None:
        self._coalesced.labels(model, target).inc()

    def watch(self, targets: Callable[[], Iterable[tuple[str, str, str]]]) -> None:
        """From whom to learn each target's model, name and state whenever the text is read; replaces the one before."""
        self._targets = targets

    def gates(self, gates: Sequence[Gate], standings: Sequence[Standing]) -> None:
        """One request's gates as the store found them."""
        for gate, standing in zip(gates, standings, strict=True):
            if standing.wait is not None:
                whose = gate.subject.partition(":")[0]
                self._refusals.labels(gate.kind, whose, str(gate.shadow).lower()).inc()
            if gate.soft is not None:
                used = (gate.limit - standing.remaining) / gate.limit
                self._budget(gate.kind, gate.subject.rpartition(":")[0], used, gate.soft)

    def _budget(self, kind: str, subject: str, used: float, soft: float) -> None:
        """Once a budget has warned it is told for good, so that its next period is seen to begin."""
        if used >= soft or (kind, subject) in self._warned:
            self._warned.add((kind, subject))
            self._used.labels(kind, subject).set(used)

    def state(self, *, up: bool) -> None:
        self._state.set(up)

    def counted_locally(self) -> None:
        self._local.inc()

    def cached(self, model: str, hits: int, misses: int) -> None:
        """`model` is a route's alias: there are as many as the operator names."""
        self._cached.labels(model, "hit").inc(hits)
        self._cached.labels(model, "miss").inc(misses)

    def cache_size(self, octets: int, entries: int, evicted: int) -> None:
        """`evicted` is how many more left since the last time."""
        self._cache_bytes.set(octets)
        self._cache_entries.set(entries)
        self._cache_evictions.inc(evicted)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        self._target_state.clear()
        for labels in self._targets():
            self._target_state.labels(*labels).set(1)
        return generate_latest(self._registry)
