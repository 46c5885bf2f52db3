"""Inputs become what goes upstream: each different one once, in batches that respect every limit of one target.

It does no I/O and keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from providers import codec
from providers.base import Input, Limits

_BESIDES: Final = 1_024
"""Bytes of a body that are neither an input nor written by its client or its configuration: no wire has as many."""
_AROUND: Final = 200
"""Bytes around one input, besides the model's name, on the wire that puts most there, which is Gemini's."""
_MARKS: Final = 3
"""Tokens that a tokenizer may put around a text."""

_SINGLY: Final = tuple((position,) for position in range(2_048))
"""What plain plans use, as far as one request goes."""

Mean = Callable[[Sequence[bytes], Sequence[int]], bytes]
"""Of vectors, by weights."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Frame:
    """The most bytes that a body has besides its inputs: once, and again for each of them."""

    once: int = 0
    each: int = 0


BARE: Final = Frame()


def frame(model: str, *fields: Mapping[str, Any] | str | None) -> Frame:
    """`fields` are what the client and the configuration add to the body."""
    name = len(codec.write_json(model))
    return Frame(_BESIDES + name + sum(len(codec.write_json(each)) for each in fields), _AROUND + name)


def pack(
    inputs: Sequence[Input],
    sizes: Sequence[int] | None,
    wanted: Sequence[int],
    limits: Limits,
    frame: Frame = BARE,
) -> list[list[int]]:
    """Splits the positions `wanted`, in order, into the fewest runs that respect every limit of one upstream call.

    `sizes` are the inputs' tokens or an upper bound of them; None where the target counts in tokens of its own, and
    bytes have to stand for them. An input that alone is over a limit gets a batch of its own: whether it fits is then
    the upstream's to say.
    """
    if _fit_together(sizes, wanted, limits):
        return [list(wanted)]
    batches: list[list[int]] = []
    batch: list[int] = []
    tokens = weight = 0
    for position in wanted:
        item = inputs[position]
        item_tokens = 0 if limits.request_tokens is None else _most_tokens(item) if sizes is None else sizes[position]
        item_weight = 0 if limits.request_bytes is None else _body_bytes(item) + frame.each
        full = (
            _over(len(batch) + 1, limits.inputs)
            or _over(tokens + item_tokens, limits.request_tokens)
            or _over(frame.once + weight + item_weight, limits.request_bytes)
        )
        if batch and full:
            batches.append(batch)
            batch, tokens, weight = [], 0, 0
        batch.append(position)
        tokens += item_tokens
        weight += item_weight
    if batch:
        batches.append(batch)
    return batches


def _fit_together(sizes: Sequence[int] | None, wanted: Sequence[int], limits: Limits) -> bool:
    """Whether surely all fit in one call, as most do: false where more would have to be known."""
    if not wanted or limits.request_bytes is not None or _over(len(wanted), limits.inputs):
        return False
    if limits.request_tokens is None:
        return True
    return sizes is not None and sum(map(sizes.__getitem__, wanted)) <= limits.request_tokens


def _over(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


def _most_tokens(item: Input) -> int:
    """Tokens in whatever vocabulary: a token covers at least one byte; ids are sent only where each is one."""
    if isinstance(item, str):
        return (len(item) if item.isascii() else len(item.encode())) + _MARKS
    return len(item) + _MARKS


def _body_bytes(item: Input) -> int:
    """An input in a JSON body: its quotes or brackets, every escape, and the comma behind it."""
    return len(codec.write_json(item)) + len(",")
