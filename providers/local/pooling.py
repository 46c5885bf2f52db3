"""Embeds a text as the mean of its tokens' vectors, in microseconds; refuses to answer with zeros, and to cut.

A text's vector depends on nothing but the text: not on its neighbours, nor on who asks at the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from typing import Final

import numpy as np
import numpy.typing as npt

from providers.base import Embeddings, Fault, FaultKind
from providers.codec import FLOAT32, Matrix, rows, unit_length
from providers.local.table import Table, Tokens
from providers.local.vocabulary import Vocabulary

CHUNK: Final = 2_048
"""Tokens of one text whose vectors are gathered at a time: a megabyte of text can have a million."""
BLOCK: Final = 512
"""Tokens of several texts of one length that are added up together: half a megabyte, which stays in a cache."""


class StaticEngine:
    """A table of token vectors and the vocabulary that indexes it.

    The vector of token t is row `mapping[t]` of the table, times `weights[t]`.
    Each text is added up by itself, in the order of its tokens: its neighbours cannot change a bit of it.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        table: Table,
        *,
        mapping: npt.NDArray[np.intp] | None = None,
        weights: npt.NDArray[np.float32] | None = None,
        keep_unknown: bool,
        unit: bool,
    ) -> None:
        self.dimensions = table.dimensions
        self._encode = vocabulary.encode
        self._unknown = -1 if vocabulary.unknown is None else vocabulary.unknown  # no token has the id -1
        self._keep_unknown = keep_unknown
        self._table = table
        self._mapping = mapping
        self._weights = weights
        self._unit = unit
        self._zero = bytes(FLOAT32.itemsize * self.dimensions)

    def embed(self, texts: Sequence[str]) -> Embeddings | Fault:
        tokens: list[Sequence[int]] = []
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
            tokens.append(ids)
        counts = list(map(len, tokens))
        means = self._means(tokens, counts)
        vectors = rows(unit_length(means) if self._unit else means)
        if self._zero in vectors:
            return _rejected(vectors.index(self._zero), "the vectors of its tokens add up to zero")
        return Embeddings(vectors, prompt_tokens=sum(counts))

    def _means(self, tokens: Sequence[Sequence[int]], counts: Sequence[int]) -> Matrix:
        """Texts of one length are added up together: for short ones, numpy's calls cost more than what they do."""
        means: Matrix = np.empty((len(counts), self.dimensions), np.float32)
        if len(counts) == 1:
            self._add_up(np.array(tokens[0], np.intp), counts[0], means)
            means /= counts[0]
            return means
        order = sorted(range(len(counts)), key=counts.__getitem__)
        ids = np.array(list(chain.from_iterable(map(tokens.__getitem__, order))), np.intp)
        sums, first, start = np.empty_like(means), 0, 0
        for count, group in groupby(map(counts.__getitem__, order)):
            left = len(list(group))
            while left:
                some = min(left, max(1, BLOCK // count))
                self._add_up(ids[start : start + some * count], count, sums[first : first + some])
                left, first, start = left - some, first + some, start + some * count
        means[order] = sums
        means /= np.array(counts, np.float32)[:, np.newaxis]
        return means

    def _add_up(self, ids: Tokens, count: int, into: Matrix) -> None:
        """Texts of `count` tokens each, which follow one another: each by itself, one token after the other."""
        if count <= CHUNK:
            vectors = self._vectors(ids).reshape(-1, count, self.dimensions)
            np.add.reduce(vectors, axis=1, out=into, initial=0.0)  # from 0.0: no sum becomes -0.0
            return
        # Chunks are added in float64: a float32 sum loses digits with every thousand rows.
        total = np.zeros(self.dimensions)
        for start in range(0, count, CHUNK):
            total += np.add.reduce(self._vectors(ids[start : start + CHUNK]), axis=0)
        into[:] = total

    def _vectors(self, ids: Tokens) -> Matrix:
        vectors = self._table.rows(ids if self._mapping is None else self._mapping.take(ids))
        if self._weights is not None:
            vectors *= self._weights.take(ids)[:, np.newaxis]
        return vectors


def _rejected(position: int, reason: str) -> Fault:
    return Fault(FaultKind.REJECTED, f"{reason}. Leave it out, or change it.", item=position)
