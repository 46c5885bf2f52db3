"""What happens is told here, and counted: each verb is one thing that happened, or one that is so now."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from gateway import exposition
from gateway.allowances import NANOS, Priority
from gateway.exposition import Families
from gateway.gates import Gates, Standings
from gateway.record import Record
from gateway.series import Series
from gateway.store import Usage
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


class _Answered:
    """Where requests of one kind are counted; `queue` and `overhead` only where they say something."""

    __slots__ = ("durations", "overhead", "queue", "requests")

    def __init__(
        self, to: Series, model: str, team: str, lane: Priority | None, status: int, error: str | None
    ) -> None:
        kind = (error or "").partition(" ")[0] or ("" if status < 400 else str(status))
        self.requests = to.requests(model, team, f"{status // 100}xx")
        self.durations = to.durations(OPERATION, model, kind)
        self.queue = None if lane is None else to.queue(model, lane)
        self.overhead = to.overhead(model) if status < 400 else None


class _Charged:
    """Where the requests of one team to one model are charged."""

    __slots__ = ("cost", "inputs", "tokens")

    def __init__(self, to: Series, model: str, team: str) -> None:
        self.inputs = to.inputs(model, team)
        self.tokens = functools.partial(to.tokens, model, team)
        self.cost = functools.partial(to.cost, model, team)


class _Called:
    """Where calls of one kind to one target are counted."""

    __slots__ = ("breaches", "durations")

    def __init__(self, to: Series, model: str, target: str, provider: str, upstream: str, error: str) -> None:
        self.durations = to.calls(OPERATION, provider, upstream, error, model, target)
        self.breaches = to.breaches(model, target) if error == FaultKind.MALFORMED else None


class Metrics:
    """One process's numbers. `model` is always a route's alias.

    What every request counts in is looked up once, and not label by label.
    """

    def __init__(self) -> None:
        self._series = Series()
        self._warned: set[tuple[str, str]] = set()
        self._targets: Callable[[], Iterable[TargetNow]] = tuple
        self._settle: Callable[[], None] = lambda: None
        self._answered: dict[tuple[str, str, str | None, int, str | None], _Answered] = {}
        self._charged: dict[tuple[str, str], _Charged] = {}
        self._called: dict[tuple[str, str, str, str, str], _Called] = {}

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answered(self, record: Record, status: int) -> None:
        """A request for embeddings has ended."""
        seconds = record.elapsed
        labels = (record.route, record.team, record.lane, status, record.error)
        to = self._answered.get(labels)
        if to is None:
            to = self._answered[labels] = _Answered(self._series, *labels)
        to.requests.value += 1
        to.durations.observe(seconds)
        if to.queue is not None:
            to.queue.observe(record.waited)
        if to.overhead is not None:
            to.overhead.observe(max(0.0, seconds - record.seconds_away))
        if record.used is not None:
            self._used(record.route, record.team, record.used)

    def _used(self, model: str, team: str, used: Usage) -> None:
        to = self._charged.get((model, team))
        if to is None:
            to = self._charged[model, team] = _Charged(self._series, model, team)
        to.inputs.value += used.inputs
        if used.reported:
            to.tokens("reported").value += used.reported
        if used.counted:
            to.tokens("counted").value += used.counted
        if used.estimated:
            to.tokens("estimated").value += used.estimated
        if used.nanos:
            to.cost().value += used.nanos / NANOS

    # ── calls to targets ──────────────────────────────────────────────────────────────────────────────────────────

    def called(self, model: str, target: Asked, seconds: float, inputs: int, error: str, tokens: int | None) -> None:
        """A call of so many inputs has ended, with a kind of fault or "", and so many tokens if the target said it."""
        labels = (model, target.name, target.provider, target.model, error)
        to = self._called.get(labels)
        if to is None:
            to = self._called[labels] = _Called(self._series, *labels)
        to.durations.observe(seconds)
        most = target.limits.inputs
        if most is not None:
            self._series.fill(model, target.name).observe(inputs / most)
        if tokens is not None:
            self._series.usage(OPERATION, target.provider, target.model, "input", model, target.name).observe(tokens)
        if to.breaches is not None:
            to.breaches.value += 1

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

    def first(self, settle: Callable[[], None]) -> None:
        """What has to be done before the numbers are read; replaces what had to be."""
        self._settle = settle

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

    def budgets(self, gates: Gates, standings: Standings) -> None:
        """How much of its budgets a request has found spent."""
        for place, gate in gates.budgets:
            used = (gate.limit - standings.lefts[place]) / gate.limit
            if used >= (gate.soft or 0.0) or self._warned:
                self._budget(gate.kind, gate.subject.rpartition(":")[0], used, gate.soft or 0.0)

    def refusals(self, gates: Gates, standings: Standings) -> None:
        """Of a request that some gate had no room for, be it a shadow."""
        for gate, standing in zip(gates.each, standings.each, strict=True):
            if standing.wait is not None:
                whose = gate.subject.partition(":")[0]
                self._series.refusals(gate.kind, whose, str(gate.shadow).lower()).inc()

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
        self._settle()
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
