"""What happens is told here, and counted: each verb is one thing that happened, or one that is so now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from gateway import exposition
from gateway.allowances import NANOS
from gateway.exposition import Families
from gateway.gates import Gate, Standing
from gateway.record import Record
from gateway.series import Series
from providers.base import FaultKind, Limits

OPERATION: Final = "embeddings"


class Asked(Protocol):
    """The target of a call."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def limits(self) -> Limits: ...


class TargetNow(NamedTuple):
    """How a target stands when somebody looks. What runs and waits are calls, of a local model texts."""

    model: str
    target: str
    state: str
    running: int
    interactive: int
    bulk: int


class Metrics:
    """One process's numbers. `model` is always a route's alias."""

    def __init__(self) -> None:
        self._series = Series()
        self._warned: set[tuple[str, str]] = set()
        self._targets: Callable[[], Iterable[TargetNow]] = tuple

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, record: Record, status: int) -> None:
        """A request for embeddings has ended."""
        to, model, team, seconds = self._series, record.route, record.team, record.elapsed
        to.requests(model, team, f"{status // 100}xx").inc()
        error = (record.error or "").partition(" ")[0] or ("" if status < 400 else str(status))
        to.durations(OPERATION, model, error).observe(seconds)
        if record.lane is not None:
            to.queue(model, record.lane).observe(record.timings.get("queue", 0.0))
        if status < 400:
            to.overhead(model).observe(max(0.0, seconds - record.away.seconds))
        used = record.used
        if used is None:
            return
        to.inputs(model, team).inc(used.inputs)
        for source, tokens in (
            ("reported", used.reported),
            ("counted", used.counted),
            ("estimated", used.estimated),
        ):
            if tokens:
                to.tokens(model, team, source).inc(tokens)
        if used.nanos:
            to.cost(model, team).inc(used.nanos / NANOS)

    # ── calls to targets ──────────────────────────────────────────────────────────────────────────────────────────

    def called(self, model: str, target: Asked, seconds: float, inputs: int, error: str, tokens: int | None) -> None:
        """A call of so many inputs has ended, with a kind of fault or "", and so many tokens if the target said it."""
        to, call, whose = self._series, (OPERATION, target.provider, target.model), (model, target.name)
        to.calls(*call, error, *whose).observe(seconds)
        if target.limits.inputs is not None:
            to.fill(*whose).observe(inputs / target.limits.inputs)
        if tokens is not None:
            to.usage(*call, "input", *whose).observe(tokens)
        if error == FaultKind.MALFORMED:
            to.breaches(*whose).inc()

    def retried(self, model: str, target: str) -> None:
        self._series.retries(model, target).inc()

    def fell_back(self, model: str, target: str) -> None:
        self._series.fallbacks(model, target).inc()

    def hedged(self, model: str, target: str, *, won: bool) -> None:
        self._series.hedges(model, target, str(won).lower()).inc()

    def coalesced(self, model: str, target: str) -> None:
        self._series.coalesced(model, target).inc()

    # ── targets ───────────────────────────────────────────────────────────────────────────────────────────────────

    def canaries(self, found: Sequence[tuple[str, str, float, bool]]) -> None:
        """Alias, target, cosine, and whether that is drift, of every target that was asked; no others are told."""
        self._series.cosine.clear()
        self._series.drift.clear()
        for model, target, cosine, drifted in found:
            self._series.cosine.labels(model, target).set(cosine)
            self._series.drift.labels(model, target).set(drifted)

    def watch(self, targets: Callable[[], Iterable[TargetNow]]) -> None:
        """From whom to learn how the targets stand whenever the numbers are read; replaces the one before."""
        self._targets = targets

    # ── the cache ─────────────────────────────────────────────────────────────────────────────────────────────────

    def cached(self, model: str, hits: int, misses: int) -> None:
        """What a request's different inputs came to when they were looked up."""
        self._series.cached(model, "hit").inc(hits)
        self._series.cached(model, "miss").inc(misses)

    def cache_size(self, octets: int, entries: int, evicted: int) -> None:
        """`evicted` is how many more left since the last time."""
        self._series.cache_bytes.set(octets)
        self._series.cache_entries.set(entries)
        self._series.cache_evictions().inc(evicted)

    # ── limits and the state ──────────────────────────────────────────────────────────────────────────────────────

    def gates(self, gates: Sequence[Gate], standings: Sequence[Standing]) -> None:
        """One request's gates as the store found them."""
        for gate, standing in zip(gates, standings, strict=True):
            if standing.wait is not None:
                whose = gate.subject.partition(":")[0]
                self._series.refusals(gate.kind, whose, str(gate.shadow).lower()).inc()
            if gate.soft is not None:
                used = (gate.limit - standing.remaining) / gate.limit
                self._budget(gate.kind, gate.subject.rpartition(":")[0], used, gate.soft)

    def _budget(self, kind: str, subject: str, used: float, soft: float) -> None:
        """Once a budget has warned it is told for good, so that its next period is seen to begin."""
        if used >= soft or (kind, subject) in self._warned:
            self._warned.add((kind, subject))
            self._series.used.labels(kind, subject).set(used)

    def state(self, *, up: bool) -> None:
        self._series.state.set(up)

    def counted_locally(self) -> None:
        self._series.counted_locally().inc()

    # ── read ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def families(self) -> Families:
        """All numbers as they are now."""
        to = self._series
        for gauge in (to.target_state, to.running, to.waiting):
            gauge.clear()
        for target in self._targets():
            whose = target.model, target.target
            to.target_state.labels(*whose, target.state).set(1)
            to.running.labels(*whose).set(target.running)
            to.waiting.labels(*whose, "interactive").set(target.interactive)
            to.waiting.labels(*whose, "bulk").set(target.bulk)
        return exposition.families(to.registry)

    def text(self) -> bytes:
        """This process's alone."""
        return exposition.text(self.families())
