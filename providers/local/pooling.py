"""Embeds a text as the mean of its tokens' vectors, in microseconds; refuses to answer with zeros, and to cut.

A text's vector depends on nothing but the text: not on its neighbours, nor on who asks at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from providers.base import Embeddings, Fault, FaultKind
from providers.codec import FLOAT32, Matrix, rows, unit_length
from providers.local.vocabulary import Vocabulary

CHUNK: Final = 2_048
"""Tokens whose vectors are gathered at a time: a megabyte of text can have a million."""


class StaticEngine:
    """A table of token vectors and the vocabulary that indexes it.

    The vector of token t is `table[mapping[t]] * weights[t]`.
    Each text is pooled by itself, by the same operations in the same order: its neighbours cannot change a bit of it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        table: Matrix,
        *,
        mapping: npt.NDArray[np.intp] | None = None,
        weights: npt.NDArray[np.float32] | None = None,
        keep_unknown: bool,
        unit: bool,
    ) -> None:
        self.dimensions: int = table.shape[1]
        self._encode = vocabulary.encode
        self._unknown = -1 if vocabulary.unknown is None else vocabulary.unknown  # no token has the id -1
        self._keep_unknown = keep_unknown
        self._table = table
        self._mapping = mapping
        self._weights = weights
        self._unit = unit
        self._zero = bytes(FLOAT32.itemsize * self.dimensions)

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        sums: Matrix = np.empty((len(texts), self.dimensions), np.float32)
        counts: list[int] = []
        for position, text in enumerate(texts):
            try:
                ids = self._encode(text)
            except ValueError:
                return _rejected(position, "the model's tokenizer cannot take it")
            unknown = ids.count(self._unknown)
            if unknown == len(ids):
                return _rejected(position, "it has no token that the model knows")
            if unknown and not self._keep_unknown:
                ids = [token for token in ids if token != self._unknown]
            self._add_up(np.array(ids, np.intp), sums[position])
            counts.append(len(ids))
        means: Matrix = sums / np.array(counts, np.float32)[:, np.newaxis]
        vectors = rows(unit_length(means) if self._unit else means)
        if self._zero in vectors:
            return _rejected(vectors.index(self._zero), "the vectors of its tokens add up to zero")
        return Embeddings(vectors, prompt_tokens=sum(counts))

    def _add_up(self, ids: npt.NDArray[np.intp], into: Matrix) -> None:
        if len(ids) <= CHUNK:
            np.add.reduce(self._vectors(ids), axis=0, out=into, initial=0.0)  # from 0.0: no sum becomes -0.0
            return
        # Chunks are added in float64: a float32 sum loses digits with every thousand rows.
        total = np.zeros(self.dimensions)
        for start in range(0, len(ids), CHUNK):
            total += np.add.reduce(self._vectors(ids[start : start + CHUNK]), axis=0)
        into[:] = total

    def _vectors(self, ids: npt.NDArray[np.intp]) -> Matrix:
        vectors = self._table.take(ids if self._mapping is None else self._mapping.take(ids), axis=0)
        if self._weights is not None:
            vectors *= self._weights.take(ids)[:, np.newaxis]
        return vectors


def _rejected(position: int, reason: str) -> Fault:
    message = f"Input {position} has no vector in this model: {reason}. Leave it out, or change it."
    return Fault(FaultKind.REJECTED, message, item=position)
