"""A route as an entry of `GET /v1/models`: OpenAI's fields, and what an embedding application needs to know."""

from __future__ import annotations

from typing import Any

from gateway.routing import Load, Route
from gateway.wire import INPUT_TYPES


def entry(name: str, route: Route, *, created: int, show_targets: bool) -> dict[str, Any]:
    """`created` is in seconds since the epoch; `stats` are those of all targets together, at this moment."""
    loads = [target.backend.load for target in route.targets]
    lengths = route.dimensions
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "gateway",
        "backend": route.targets[0].provider if show_targets else "gateway",
        "capabilities": ["embed"],
        "stats": _stats(loads, route),
        "dimensions": {
            "native": lengths.native,
            "min": min(lengths.supported) if lengths.supported else lengths.min,
            "supported": lengths.supported,
        },
        "max_input_tokens": route.limits.input_tokens,
        "tokenizer": route.tokenizer.rpartition("/")[2],
        "space": route.space,
        "unit_length": True if route.normalize else route.unit_length,
        "input_types": [role for role in INPUT_TYPES if role in route.input_types],
    }


def _stats(loads: list[Load], route: Route) -> dict[str, float | int | None]:
    """Infinity's four names: queue_fraction and _absolute count waiting calls, results_pending running ones."""
    waiting = sum(load.waiting for load in loads)
    return {
        "queue_fraction": waiting / sum(load.slots for load in loads),
        "queue_absolute": waiting,
        "results_pending": sum(load.running for load in loads),
        "batch_size": min(filter(None, (route.targets[0].limits.inputs, route.limits.inputs)), default=None),
    }
