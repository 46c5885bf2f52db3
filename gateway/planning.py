"""Inputs become what goes upstream: each different one once, in batches that respect every limit of one target.

It does no I/O and keeps no state.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
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


@dataclass(frozen=True, slots=True)
class Weight:
    """What something takes of the limits of one call: inputs, tokens, and bytes of a body; 0 of what has no limit."""

    inputs: int = 0
    tokens: int = 0
    body: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(self.inputs + other.inputs, self.tokens + other.tokens, self.body + other.body)

    def within(self, limits: Limits) -> bool:
        return _fits(limits, self.inputs, self.tokens, self.body)


def weigh(inputs: Sequence[Input], sizes: Sequence[int] | None, limits: Limits, frame: Frame = BARE) -> Weight:
    """Of inputs as a call of their own, by the limits of its target; `sizes` are None as in `pack`."""
    alone: Sequence[int | None] = [None] * len(inputs) if sizes is None else sizes
    return Weight(
        len(inputs),
        sum(_tokens_of(item, size, limits) for item, size in zip(inputs, alone, strict=True)),
        frame.once + sum(_bytes_of(item, limits, frame) for item in inputs),
    )


def shared_out(reported: int, counts: Sequence[int]) -> list[int]:
    """Whole numbers whose sum is `reported`, as near to the proportions of `counts` as such can be."""
    weights = counts if any(counts) else [1] * len(counts)
    sums = list(accumulate(weights, initial=0))
    return [after - before for before, after in pairwise(reported * part // sums[-1] for part in sums)]


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
        item_tokens = _tokens_of(item, None if sizes is None else sizes[position], limits)
        item_weight = _bytes_of(item, limits, frame)
        if batch and not _fits(limits, len(batch) + 1, tokens + item_tokens, frame.once + weight + item_weight):
            batches.append(batch)
            batch, tokens, weight = [], 0, 0
        batch.append(position)
        tokens += item_tokens
        weight += item_weight
    if batch:
        batches.append(batch)
    return batches


def _fits(limits: Limits, inputs: int, tokens: int, body: int) -> bool:
    return not (
        _over(inputs, limits.inputs) or _over(tokens, limits.request_tokens) or _over(body, limits.request_bytes)
    )


def _fit_together(sizes: Sequence[int] | None, wanted: Sequence[int], limits: Limits) -> bool:
    """Whether surely all fit in one call, as most do: false where more would have to be known."""
    if not wanted or limits.request_bytes is not None or _over(len(wanted), limits.inputs):
        return False
    if limits.request_tokens is None:
        return True
    return sizes is not None and sum(map(sizes.__getitem__, wanted)) <= limits.request_tokens


def _over(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


def _tokens_of(item: Input, size: int | None, limits: Limits) -> int:
    return 0 if limits.request_tokens is None else _most_tokens(item) if size is None else size


def _bytes_of(item: Input, limits: Limits, frame: Frame) -> int:
    return 0 if limits.request_bytes is None else _body_bytes(item) + frame.each


def _most_tokens(item: Input) -> int:
    """Tokens in whatever vocabulary: a token covers at least one byte; ids are sent only where each is one."""
    if isinstance(item, str):
        return (len(item) if item.isascii() else len(item.encode())) + _MARKS
    return len(item) + _MARKS


def _body_bytes(item: Input) -> int:
    """An input in a JSON body: its quotes or brackets, every escape, and the comma behind it."""
    return len(codec.write_json(item)) + len(",")
