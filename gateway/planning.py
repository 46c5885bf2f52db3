"""Inputs become what goes upstream, each different one once, and its vectors become theirs.

It does no I/O and keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import field
from itertools import accumulate, pairwise
from typing import Final

from providers.base import Input
from providers.values import frozen

_SINGLY: Final = tuple((position,) for position in range(2_048))
"""What plain plans use, as far as one request goes."""

Mean = Callable[[Sequence[bytes], Sequence[int]], bytes]
"""Of vectors, by weights."""


@frozen
class Plan:
    """What has to be embedded for a request: `inputs`, of which no two are equal.

    `sizes` are their tokens, or an upper bound. `uses` has for each input of the request the positions in `inputs` of
    what makes its vector: one, or several parts. `origins` has for each of `inputs` the first input of the request
    that needs it.
    """

    inputs: Sequence[Input] = field(repr=False)
    sizes: Sequence[int]
    uses: Sequence[Sequence[int]]
    origins: Sequence[int]
    overhead: int = 0
    """Of the size of a part, the tokens that are not its own text's."""
    plain: bool = False
    """Whether it is known that each input of the request is one of `inputs`, in their order: mostly it is so."""

    def merged(self, vectors: Sequence[bytes], mean: Mean) -> list[bytes]:
        """The vectors of the request's inputs, from those of `inputs`; several parts' is their mean by length."""
        if self.plain:
            return list(vectors)
        return [vectors[parts[0]] if len(parts) == 1 else self._mean(vectors, parts, mean) for parts in self.uses]

    def _mean(self, vectors: Sequence[bytes], parts: Sequence[int], mean: Mean) -> bytes:
        return mean([vectors[part] for part in parts], [max(1, self.sizes[part] - self.overhead) for part in parts])

    def only(self, positions: Sequence[int]) -> Plan:
        """For these of `inputs` alone; of `uses` what is left of each."""
        if self.plain:
            inputs, sizes, origins = self.inputs, self.sizes, self.origins
            return Plan(
                [inputs[position] for position in positions],
                [sizes[position] for position in positions],
                _SINGLY[: len(positions)],
                [origins[position] for position in positions],
                self.overhead,
                plain=True,
            )
        place = {position: at for at, position in enumerate(positions)}
        return Plan(
            [self.inputs[position] for position in positions],
            [self.sizes[position] for position in positions],
            [left for parts in self.uses if (left := [place[part] for part in parts if part in place])],
            [self.origins[position] for position in positions],
            self.overhead,
        )

    @property
    def averages(self) -> list[int]:
        """The inputs of the request whose vectors are means."""
        if self.plain:
            return []
        return [item for item, parts in enumerate(self.uses) if len(parts) > 1]

    @property
    def repeats(self) -> list[int]:
        """How many times the request holds each of `inputs`."""
        if self.plain:
            return [1] * len(self.inputs)
        times = [0] * len(self.inputs)
        for parts in self.uses:
            for part in parts:
                times[part] += 1
        return times


def plan(inputs: Sequence[Input], sizes: Sequence[int], items: Sequence[int], overhead: int = 0) -> Plan:
    """`items` tells of each input which item of the request it is, or is a part of, in rising order without gaps."""
    count = len(inputs)
    if (
        count <= len(_SINGLY)
        and items == range(count)
        and set(map(type, inputs)) == {str}
        and len(set(inputs)) == count
    ):
        return Plan(inputs, sizes, _SINGLY[:count], items, overhead, plain=True)
    places: dict[Hashable, int] = {}
    different: list[Input] = []
    least: list[int] = []  # of an input's sizes the smallest is exact, if any is: the others are upper bounds
    uses: list[list[int]] = []
    origins: list[int] = []
    for what, size, item in zip(inputs, sizes, items, strict=True):
        place = places.setdefault(what if isinstance(what, str) else tuple(what), len(different))
        if place == len(different):
            different.append(what)
            least.append(size)
            origins.append(item)
        least[place] = min(least[place], size)
        if item == len(uses):
            uses.append([])
        uses[item].append(place)
    return Plan(different, least, uses, origins, overhead)


def shared_out(reported: int, counts: Sequence[int]) -> list[int]:
    """Whole numbers whose sum is `reported`, as near to the proportions of `counts` as such can be."""
    weights = counts if any(counts) else [1] * len(counts)
    sums = list(accumulate(weights, initial=0))
    return [after - before for before, after in pairwise(reported * part // sums[-1] for part in sums)]
