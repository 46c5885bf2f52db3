"""Numbers that only grow, counted on the way of every request, and told in Prometheus' terms when somebody asks.

prometheus_client's own take a lock, and look labels up, at each step: 9 µs a request with its six histograms and five
counters, where these take 2. They are of one process and one event loop; whoever reads them in another thread gets a
number that is a moment old.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1.0) -> None:
        self.value += amount


class Spread:
    """A histogram: how many values were at most as large as each of `bounds`, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


_CellT = TypeVar("_CellT")


class Cells(Collector, Generic[_CellT]):
    """One metric's: a cell for each of its labels' values, there from its first use on; without labels at once."""

    def __init__(
        self, make: Callable[[], _CellT], family: Callable[[list[_Cell[_CellT]]], Metric], labelled: bool
    ) -> None:
        self._make = make
        self._family = family
        self._cells: dict[tuple[str, ...], _CellT] = {}
        if not labelled:
            self()

    def __call__(self, *values: str) -> _CellT:
        """The cell of these values, in the order of the labels."""
        cell = self._cells.get(values)
        if cell is None:
            cell = self._cells[values] = self._make()
        return cell

    def collect(self) -> Iterator[Metric]:
        yield self._family(list(self._cells.items()))  # in one step: others may be made meanwhile


_Cell = tuple[tuple[str, ...], _CellT]


def counts(name: str, about: str, labels: Sequence[str]) -> Cells[Count]:
    def family(cells: list[_Cell[Count]]) -> Metric:
        found = CounterMetricFamily(name, about, labels=labels)
        for values, cell in cells:
            found.add_metric(values, cell.value)
        return found

    return Cells(Count, family, bool(labels))


def spreads(name: str, about: str, bounds: Sequence[float], labels: Sequence[str]) -> Cells[Spread]:
    told = [*map(floatToGoString, bounds), "+Inf"]

    def family(cells: list[_Cell[Spread]]) -> Metric:
        found = HistogramMetricFamily(name, about, labels=labels)
        for values, cell in cells:
            found.add_metric(values, list(zip(told, map(float, accumulate(cell.counts)), strict=True)), cell.sum)
        return found

    return Cells(lambda: Spread(bounds), family, bool(labels))
