"""What is being embedded at this moment, so that nothing is embedded twice at the same time.

A flight belongs to nobody: it goes on while anyone waits for it, whoever began it, and is cancelled when the last one
has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Flight(Generic[_T]):
    """`waiting` is how many requests want what it brings."""

    task: asyncio.Task[_T] = field(repr=False)
    keys: Sequence[Hashable] = field(repr=False)
    waiting: int = 0


class Flights(Generic[_T]):
    """By the keys of what they bring; each key is on one flight at most."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, Flight[_T]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: Hashable) -> Flight[_T] | None:
        return self._by_key.get(key)

    def start(self, keys: Sequence[Hashable], work: Coroutine[Any, Any, _T]) -> Flight[_T]:
        """Others find it under those keys that are on no flight yet. Whoever starts it has to be aboard at once."""
        task = asyncio.create_task(work)
        flight = Flight(task, [key for key in keys if key not in self._by_key])
        self._by_key.update(dict.fromkeys(flight.keys, flight))
        task.add_done_callback(lambda _: self._landed(flight))
        return flight

    @contextmanager
    def aboard(self, flights: Collection[Flight[_T]]) -> Iterator[None]:
        """Keeps flights going until this is left."""
        for flight in flights:
            flight.waiting += 1
        try:
            yield
        finally:
            for flight in flights:
                flight.waiting -= 1
                if flight.waiting == 0 and not flight.task.done():
                    self._forget(flight)  # now: whoever comes next must not wait for what is being cancelled
                    flight.task.cancel()

    def _landed(self, flight: Flight[_T]) -> None:
        self._forget(flight)
        if not flight.task.cancelled():
            flight.task.exception()  # its waiters raise it, if any is left

    def _forget(self, flight: Flight[_T]) -> None:
        for key in flight.keys:
            if self._by_key.get(key) is flight:
                del self._by_key[key]
