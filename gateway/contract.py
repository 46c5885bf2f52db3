"""The output contract: N inputs, N right vectors, for every provider alike; a breach is a failed attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from providers import codec
from providers.base import Embeddings, Fault, FaultKind


def check(answer: Embeddings, inputs: int, dimensions: int, kept: int | None = None) -> list[bytes] | Fault:
    """The vectors in the order of the inputs, or the first promise that they break.

    Exactly `inputs` vectors; their indexes a permutation; each of `dimensions` float32 values, all finite,
    not all zero, nor in the first `kept`, if they are going to be cut to those. What is wrong with one vector's values
    may be one input's doing, so that smaller batches may fare better.
    """
    if len(answer.vectors) != inputs:
        return _breach(f"{len(answer.vectors)} vectors came back for {inputs} inputs")
    vectors = _in_order(answer)
    if isinstance(vectors, Fault):
        return vectors
    octets = dimensions * codec.FLOAT32.itemsize
    if set(map(len, vectors)) != {octets}:
        item = next(item for item, vector in enumerate(vectors) if len(vector) != octets)
        length = len(vectors[item]) / codec.FLOAT32.itemsize
        return _breach(f"the vector has {length:g} values where this model's have {dimensions}", item)
    if codec.plainly_right(vectors, kept):
        return vectors
    values = codec.matrix(vectors)
    finite = np.isfinite(values)
    if not finite.all():
        return _breach("the vector holds NaN or infinity", int(np.argmin(finite.all(axis=1))), divisible=True)
    any_value = values[:, :kept].any(axis=1)
    if not any_value.all():
        return _breach("the vector is all zeros", int(np.argmin(any_value)), divisible=True)
    return vectors


MOST_TOKENS: Final = 10**9
"""No call has as many: a larger number is a mistake, and no usage."""


def billed(answer: Embeddings) -> int | None:
    """What the upstream billed, None where it does not say, or says what cannot be."""
    tokens = answer.prompt_tokens
    return tokens if tokens is not None and 0 <= tokens <= MOST_TOKENS else None


def _in_order(answer: Embeddings) -> list[bytes] | Fault:
    places = list(range(len(answer.vectors)))
    if answer.indexes is None or answer.indexes == places:
        return list(answer.vectors)
    if sorted(answer.indexes) != places:
        return _breach("the indexes of the vectors are not those of the inputs, each once")
    ordered = list(answer.vectors)
    for index, vector in zip(answer.indexes, answer.vectors, strict=True):
        ordered[index] = vector
    return ordered


def shortened(vectors: Sequence[bytes], dimensions: int) -> list[bytes]:
    """Each vector's first `dimensions` values, made unit length."""
    return codec.rows(codec.unit_length(codec.matrix(vectors)[:, :dimensions]))


def unit_length(vectors: Sequence[bytes]) -> list[bytes]:
    return codec.rows(codec.unit_length(codec.matrix(vectors)))


def mean(vectors: Sequence[bytes], weights: Sequence[int]) -> bytes:
    """The weighted mean of vectors made unit length, itself made unit length; zeros if they cancel each other out."""
    parts = codec.unit_length(codec.matrix(vectors))
    return codec.rows(codec.unit_length(np.average(parts, axis=0, weights=weights, keepdims=True)))[0]


def _breach(message: str, item: int | None = None, *, divisible: bool = False) -> Fault:
    return Fault(FaultKind.MALFORMED, message, item=item, divisible=divisible)
