"""Inputs become batches that respect every limit of one target. It does no I/O and keeps no state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from providers import codec
from providers.base import Input, Limits

_BESIDES: Final = 1_024
"""Bytes of a body that are neither an input nor written by its client or its configuration: no wire has as many."""
_AROUND: Final = 200
"""Bytes around one input, besides the model's name, on the wire that puts most there, which is Gemini's."""
_MARKS: Final = 3
"""Tokens that a tokenizer may put around a text."""


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


def pack(
    inputs: Sequence[Input],
    sizes: Sequence[int] | None,
    wanted: Sequence[int],
    limits: Limits,
    frame: Frame = BARE,
) -> list[Sequence[int]]:
    """Splits the positions `wanted`, in order, into the fewest runs that respect every limit of one upstream call.

    `sizes` are the inputs' tokens or an upper bound of them; None where the target counts in tokens of its own, and
    bytes have to stand for them. An input that alone is over a limit gets a batch of its own: whether it fits is then
    the upstream's to say.
    """
    if _fit_together(sizes, wanted, limits):
        return [wanted]
    batches: list[Sequence[int]] = []
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
