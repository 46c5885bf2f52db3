"""What all processes know of their cache through the state: which epoch it is, and how each of them is doing.

An epoch is a random text that goes into every key, so that another one clears the cache, in Redis and in every memory:
what was being embedded meanwhile is kept under a key that nobody asks for any more.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.store import ValueStore
from providers import codec

_FAMILY: Final = "cache"
_EPOCH: Final = "epoch"
_PROCESSES: Final = "cache-processes"
_PROCESS_SECONDS: Final = 15.0
"""How long a process is remembered that says nothing."""

Sums = Mapping[str, tuple[int, int]]
"""Hits and misses by model."""


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Of one process since its start; `bytes` and `limit` are of its memory."""

    entries: int
    bytes: int
    limit: int
    evictions: int
    models: Sums


async def epoch(state: ValueStore) -> str:
    """Whoever asks first makes it. Raises StateUnavailable."""
    known = await state.value(_FAMILY, _EPOCH)
    if known is None:  # the first process of all, or the state has lost it: either way nothing may be found
        await state.put_value(_FAMILY, _EPOCH, uuid.uuid4().hex.encode(), only_if_absent=True)
        known = await state.value(_FAMILY, _EPOCH) or b""
    return known.decode()


async def clear(state: ValueStore) -> None:
    """Every process learns it within a second. Raises StateUnavailable."""
    await state.put_value(_FAMILY, _EPOCH, uuid.uuid4().hex.encode())


async def tell(state: ValueStore, process: str, statistics: CacheStatistics) -> None:
    """Has to be told again within some seconds. Raises StateUnavailable."""
    told = codec.write_json(dataclasses.asdict(statistics))
    await state.put_value(_PROCESSES, process, told, _PROCESS_SECONDS)


async def untell(state: ValueStore, process: str) -> None:
    """The process ends. Raises StateUnavailable."""
    await state.drop_value(_PROCESSES, process)


async def told(state: ValueStore) -> Sequence[CacheStatistics]:
    """Of every process that runs. Raises StateUnavailable."""
    found = [codec.parse_json(each) for each in (await state.values(_PROCESSES)).values()]
    return [
        CacheStatistics(**{**each, "models": {model: tuple(sums) for model, sums in each["models"].items()}})
        for each in found
    ]


def sum_of(processes: Sequence[CacheStatistics]) -> CacheStatistics:
    models: dict[str, tuple[int, int]] = {}
    for process in processes:
        for model, (hits, misses) in process.models.items():
            before = models.get(model, (0, 0))
            models[model] = (before[0] + hits, before[1] + misses)
    return CacheStatistics(
        entries=sum(process.entries for process in processes),
        bytes=sum(process.bytes for process in processes),
        limit=sum(process.limit for process in processes),
        evictions=sum(process.evictions for process in processes),
        models=dict(sorted(models.items())),
    )
