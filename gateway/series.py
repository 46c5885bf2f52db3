"""Every metric that there is: its name, its labels, and what it says.

Labels are what the operator's file names: models, targets, teams. None is a client's word, a key or an address, so that
there are no more series than a routing file has lines for. Names and labels that begin with `gen_ai` are those of
https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ in the spelling of
https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Gauge

from gateway import cells
from gateway.cells import Cells, Count, Spread

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = tuple(4**power for power in range(14))
"""Both as OpenTelemetry wants them."""
SHORT: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
PARTS: Final = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

_WHOSE: Final = ("model", "team")
_TARGET: Final = ("model", "target")
_CALL: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class Declared(NamedTuple):
    name: str
    kind: str
    labels: Sequence[str]
    about: str


class Series:
    """Of one process. `declared` is what there is, for documents and for tests."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.declared: list[Declared] = []

        def counter(name: str, about: str, *labels: str) -> Cells[Count]:
            self.declared.append(Declared(name, "counter", labels, about))
            metric = cells.counts(name, about, labels)
            registry.register(metric)
            return metric

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            self.declared.append(Declared(name, "gauge", labels, about))
            return Gauge(name, about, labels, registry=registry)

        def histogram(name: str, about: str, buckets: Sequence[float], *labels: str) -> Cells[Spread]:
            self.declared.append(Declared(name, "histogram", labels, about))
            metric = cells.spreads(name, about, buckets, labels)
            registry.register(metric)
            return metric

        # ── requests for embeddings ──
        self.requests = counter(
            "gateway_requests_total",
            "Requests for embeddings by the class of their status; without a model where none was found.",
            *("model", "team", "status"),
        )
        self.inputs = counter("gateway_inputs_total", "Inputs of requests that a model was found for.", *_WHOSE)
        self.tokens = counter(
            "gateway_tokens_total",
            "Tokens that requests are charged with: reported by the upstream, counted, or estimated.",
            *("model", "team", "source"),
        )
        self.cost = counter("gateway_cost_usd_total", "What those tokens cost, where the price is known.", *_WHOSE)
        self.durations = histogram(
            "gen_ai_server_request_duration_seconds",
            "How long requests took, from their arrival to the end of their answer.",
            SECONDS,
            *("gen_ai_operation_name", "gen_ai_request_model", "error_type"),
        )
        self.overhead = histogram(
            "gateway_overhead_seconds",
            "Time of successful requests in which none of their calls waited for a target or was there.",
            SHORT,
            "model",
        )
        self.queue = histogram(
            "gateway_queue_wait_seconds",
            "Longest wait of a request's calls for a free slot.",
            SHORT,
            *("model", "lane"),
        )

        # ── calls to targets ──
        self.calls = histogram(
            "gen_ai_client_operation_duration_seconds",
            "How long each call to a target took, its wait for a slot included.",
            SECONDS,
            *(*_CALL, "error_type", *_TARGET),
        )
        self.usage = histogram(
            "gen_ai_client_token_usage",
            "Tokens that a target has reported for one call.",
            TOKENS,
            *(*_CALL, "gen_ai_token_type", *_TARGET),
        )
        self.fill = histogram(
            "gateway_batch_fill_ratio",
            "Inputs of one call, as a part of the most that the target takes.",
            PARTS,
            *_TARGET,
        )
        self.breaches = counter(
            "gateway_contract_breaches_total",
            "Answers of a target that said 2xx, and were not the right vectors.",
            *_TARGET,
        )
        self.retries = counter("gateway_retries_total", "Calls to a target that were made again.", *_TARGET)
        self.fallbacks = counter(
            "gateway_fallbacks_total", "Requests of which this target left something to the next one.", *_TARGET
        )
        self.hedges = counter(
            "gateway_hedges_total",
            "Second copies of slow calls to this target, and whether they came first.",
            *(*_TARGET, "won"),
        )
        self.coalesced = counter("gateway_coalesced_total", "Calls to this target that went with others.", *_TARGET)

        # ── targets ──
        self.target_state = gauge(
            "gateway_target_state",
            "How many processes have the target in this state; closed is well, the others say why it is not asked.",
            *(*_TARGET, "state"),
        )
        self.running = gauge("gateway_target_running", "Calls that a target has now; of a local model texts.", *_TARGET)
        self.waiting = gauge(
            "gateway_target_waiting", "Calls that wait for a target now; of a local model texts.", *(*_TARGET, "lane")
        )
        self.cosine = gauge(
            "gateway_canary_cosine",
            "Least cosine of a target's vectors of the golden texts to its space's reference.",
            *_TARGET,
        )
        self.drift = gauge("gateway_canary_drift", "Whether a target has drifted out of its space.", *_TARGET)

        # ── the cache ──
        self.cached = counter(
            "gateway_cache_inputs_total",
            "Different inputs of requests that were looked up in the cache.",
            *("model", "outcome"),
        )
        self.cache_bytes = gauge("gateway_cache_bytes", "Memory that the cache takes.")
        self.cache_entries = gauge("gateway_cache_entries", "Vectors in the cache's memory.")
        self.cache_evictions = counter(
            "gateway_cache_evictions_total", "Vectors that left the cache's memory because it was full."
        )

        # ── limits and the state ──
        self.refusals = counter(
            "gateway_limit_refusals_total",
            "Requests that a limit refused, or would have refused if it were no shadow.",
            *("kind", "whose", "shadow"),
        )
        self.used = gauge(
            "gateway_budget_used_ratio",
            "Spent and reserved part of each budget whose soft threshold was reached; 1 is all of it.",
            *("kind", "subject"),
        )
        self.state = gauge("gateway_state_up", "Whether the state can be reached.")
        self.counted_locally = counter(
            "gateway_requests_counted_locally_total",
            "Requests whose limits were counted in one process alone, because the state was lost.",
        )
        gauge("gateway_processes", "Processes that this answer is from.").set(1)
