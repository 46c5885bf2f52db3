"""A route as an entry of `GET /v1/models`: OpenAI's fields, and what an embedding application needs to know.

`stats` has Infinity's four names. What they count depends on what serves the route:

| | a service | a local model with a queue | a static model | Infinity |
|---|---|---|---|---|
| `queue_absolute` | calls that wait for a slot | texts that wait for a forward pass | calls that wait | its own |
| `queue_fraction` | those per slot (`max_concurrency`) | those per place in the queue | those per slot | its own |
| `results_pending` | calls that are being answered | texts in the forward pass that runs | calls | its own |
| `batch_size` | most inputs in one call | most texts in one forward pass | most inputs in one call | its own |

Infinity's own are read from it when the list is asked for, at most every two seconds; where it does not answer within a
second, they are those of a service. Of several targets, what waits and what runs is added up, the fraction is that of
the fullest, and the batch size that of the first.

`targets` in `stats` counts a route's targets by state: closed, open, half-open, cooling, ejected, drained.
`available` is false while none of a route's targets takes calls: taken out, left alone after failures, or throttled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gateway.routing import Route, Target
from gateway.wire import INPUT_TYPES
from providers.base import Statistics


async def entries(
    named: Sequence[tuple[str, Route]], *, created: int, now: float, show_targets: bool
) -> list[dict[str, Any]]:
    """Of routes by the names to list them under; `created` is in seconds since the epoch, `now` on the loop's clock.

    All servers that tell their own statistics are asked at once.
    """
    targets = {id(target): target for _, route in named for target in route.targets}
    told = dict(zip(targets, await asyncio.gather(*map(_statistics, targets.values())), strict=True))
    return [
        _entry(name, route, [told[id(target)] for target in route.targets], created, now, show_targets=show_targets)
        for name, route in named
    ]


def _entry(
    name: str, route: Route, statistics: Sequence[Statistics], created: int, now: float, *, show_targets: bool
) -> dict[str, Any]:
    """`statistics` are the targets', in order."""
    lengths = route.dimensions
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "gateway",
        "backend": route.targets[0].provider if show_targets else "gateway",
        "capabilities": ["embed"],
        "stats": {**_stats(statistics, route), "targets": _states(route, now)},
        "available": route.available(now),
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


async def _statistics(target: Target) -> Statistics:
    """What a target tells of itself, where it does, or else what the gateway sees of it."""
    told = None if target.told is None else await target.told()
    if told is not None:
        return told
    load = target.backend.load
    return Statistics(load.waiting / load.slots, load.waiting, load.running, load.batch_size or target.limits.inputs)


def _states(route: Route, now: float) -> dict[str, int]:
    """How many targets are in each state: closed is what takes calls."""
    return dict(Counter(target.health.state(now) for target in route.targets))


def _stats(statistics: Sequence[Statistics], route: Route) -> dict[str, float | int | None]:
    return {
        "queue_fraction": max(one.queue_fraction for one in statistics),
        "queue_absolute": sum(one.queue_absolute for one in statistics),
        "results_pending": sum(one.results_pending for one in statistics),
        "batch_size": min(filter(None, (statistics[0].batch_size, route.limits.inputs)), default=None),
    }
