"""Inputs and limits become batches for one target. It does no I/O and keeps no state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from providers.base import Input, Limits

_TOKEN_ID_BYTES: Final = 7
"""A token id with its comma in JSON: at most six digits in the vocabularies that take ids."""


def pack(
    inputs: Sequence[Input], sizes: Sequence[int] | None, wanted: Sequence[int], limits: Limits
) -> list[list[int]]:
    """Splits the positions `wanted`, in order, into the fewest runs that respect every limit of one upstream call.

    `sizes` are the inputs' tokens or an upper bound of them; None where the target counts in tokens of its own, and
    bytes have to stand for them. An input that alone is over a limit gets a batch of
    its own: whether it fits is then the upstream's to say.
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    tokens = weight = 0
    for position in wanted:
        item_weight = _body_bytes(inputs[position])
        item_tokens = item_weight if sizes is None else sizes[position]
        full = (
            _over(len(batch) + 1, limits.inputs)
            or _over(tokens + item_tokens, limits.request_tokens)
            or _over(weight + item_weight, limits.request_bytes)
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


def _over(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


def _body_bytes(item: Input) -> int:
    """How many bytes an input takes in a JSON body, quotes and comma included; escaped characters may add to it."""
    if isinstance(item, str):
        return len(item.encode()) + 3
    return _TOKEN_ID_BYTES * len(item) + 3
