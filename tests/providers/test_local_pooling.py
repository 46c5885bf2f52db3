import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import Embeddings, Fault, FaultKind
from providers.codec import matrix
from providers.local.pooling import BLOCK, CHUNK, StaticEngine
from providers.local.table import Table
from providers.local.vocabulary import Vocabulary

TABLE = np.array([[1, 0, 2], [0, 3, 4], [5, 5, -5], [-1, 0, -2], [0, 0, 0], [-0.0, -0.0, -0.0]], np.float32)
RANDOM = np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32)


def encode(text: str) -> list[int]:
    """A text is its ids, written as numbers; anything else raises ValueError."""
    return [int(number) for number in text.split()]


def engine(table: npt.NDArray[np.floating[Any]] = TABLE, unknown: int | None = None, **settings: Any) -> StaticEngine:
    vocabulary = Vocabulary(encode, 1000, unknown)
    return StaticEngine(vocabulary, Table(table), **{"keep_unknown": True, "unit": False} | settings)


def vectors(answer: Embeddings | Fault) -> Any:
    assert isinstance(answer, Embeddings)
    return matrix(answer.vectors).tolist()


def rejection(answer: Embeddings | Fault) -> tuple[FaultKind, int | None]:
    assert isinstance(answer, Fault)
    return answer.kind, answer.item


def test_mean() -> None:
    """A vector is the mean of the token vectors, a token counted as often as it occurs."""
    actual = vectors(engine().embed(["0 1", "0 0 1 2"]))

    assert [[0.5, 1.5, 3], [1.75, 2, 0.75]] == actual


def test_dimensions() -> None:
    """The engine says how long its vectors are."""
    assert 3 == engine().dimensions


def test_order_is_the_rule() -> None:
    """Vectors come in the order of the texts, so there are no indexes."""
    answer = engine().embed(["2", "0", "1"])

    assert isinstance(answer, Embeddings)
    assert answer.indexes is None
    assert TABLE[[2, 0, 1]].tolist() == vectors(answer)


def test_tokens_are_counted() -> None:
    """The usage is the number of tokens that were pooled."""
    answer = engine(unknown=2, keep_unknown=False).embed(["0 1 2", "2 1 2", "0"])

    assert isinstance(answer, Embeddings)
    assert 4 == answer.prompt_tokens


def test_no_texts() -> None:
    """No texts have no vectors."""
    assert Embeddings([], prompt_tokens=0) == engine(unit=True).embed([])


def test_mapping_and_weights() -> None:
    """The vector of a token is the row that it maps to, times the token's own weight."""
    mapping, weights = np.array([2, 0, 0]), np.array([1, 10, 0.5], np.float32)

    actual = vectors(engine(mapping=mapping, weights=weights).embed(["0", "1", "2", "1 2"]))

    assert [[5, 5, -5], [10, 0, 20], [0.5, 0, 1], [5.25, 0, 10.5]] == actual


def test_the_table_is_never_changed() -> None:
    """Weights are applied to a copy."""
    table = TABLE.copy()
    engine(table, weights=np.full(6, 3, np.float32)).embed(["0 1", "2"])

    np.testing.assert_array_equal(TABLE, table)


def test_unit_length() -> None:
    """A normalising model's vectors have length one."""
    [vector] = vectors(engine(unit=True).embed(["0 1 2"]))

    assert pytest.approx(1) == np.linalg.norm(vector)


def test_unknown_tokens_are_left_out() -> None:
    """Where unknown tokens do not count, the mean is that of the others."""
    assert [[1, 0, 2]] == vectors(engine(unknown=1, keep_unknown=False).embed(["1 0 1"]))


def test_unknown_tokens_are_kept() -> None:
    """Where unknown tokens have a vector, it takes part."""
    assert [[0.5, 1.5, 3]] == vectors(engine(unknown=1, keep_unknown=True).embed(["1 0"]))


@pytest.mark.parametrize("keep_unknown", [True, False])
@pytest.mark.parametrize("text", ["", "  ", "1", "1 1 1"])
def test_no_known_token(text: str, keep_unknown: bool) -> None:
    """A text without any known token is rejected by its position, even where unknown tokens have a vector."""
    answer = engine(unknown=1, keep_unknown=keep_unknown).embed(["0", "2", text, "0"])

    assert (FaultKind.REJECTED, 2) == rejection(answer)


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("text", ["4", "5", "5 5 5", "0 3", "4 5"])
def test_sum_of_zero(text: str, unit: bool) -> None:
    """A text whose token vectors cancel out, or are zero of either sign, is rejected by its position."""
    assert (FaultKind.REJECTED, 1) == rejection(engine(unit=unit).embed(["0", text, "1"]))


def test_negative_weights_of_zero() -> None:
    """A zero row stays zero under a negative weight."""
    answer = engine(weights=np.full(6, -1, np.float32)).embed(["4 4"])

    assert (FaultKind.REJECTED, 0) == rejection(answer)


def test_text_that_the_tokenizer_refuses() -> None:
    """A text that the tokenizer cannot take is rejected by its position."""
    assert (FaultKind.REJECTED, 1) == rejection(engine().embed(["0", "no numbers"]))


def test_the_message_does_not_quote_the_text() -> None:
    """A rejection says what is wrong in our own words, and the text is not among them."""
    answer = engine().embed(["0", "secret"])

    assert isinstance(answer, Fault)
    assert "the model's tokenizer cannot take it. Leave it out, or change it." == answer.message


def texts_of(ids: Sequence[Sequence[int]]) -> list[str]:
    return [" ".join(map(str, text)) for text in ids]


@given(
    ids=st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=40), min_size=1, max_size=12),
    width=st.integers(1, 7),
    weighted=st.booleans(),
    unit=st.booleans(),
)
def test_neighbours_change_nothing(ids: list[list[int]], width: int, weighted: bool, unit: bool) -> None:
    """The vector of a text is the same to the last bit, alone or among any others."""
    table = np.ascontiguousarray(RANDOM[:, :width])
    one = engine(table, unit=unit, weights=RANDOM[:, 6].copy() if weighted else None)
    texts = texts_of(ids)
    together = one.embed(texts)
    alone = [one.embed([text]) for text in texts]

    assert isinstance(together, Embeddings)
    assert [
        vector for answer in alone if isinstance(answer, Embeddings) for vector in answer.vectors
    ] == together.vectors


@given(
    lengths=st.lists(
        st.integers(1, 60) | st.sampled_from([BLOCK // 2, BLOCK, BLOCK + 1, CHUNK]), min_size=1, max_size=20
    ),
    width=st.integers(1, 7),
    dtype=st.sampled_from([np.float16, np.float32]),
)
def test_as_each_by_itself(lengths: list[int], width: int, dtype: Any) -> None:
    """Together, texts have to the last bit the vectors that numpy's plain sum of each one's rows gives."""
    table = np.ascontiguousarray(RANDOM[:, :width]).astype(dtype)
    ids = [[(7 * number + length) % 50 for number in range(length)] for length in lengths]
    sums = [np.add.reduce(table[text].astype(np.float32), axis=0, initial=0.0) for text in ids]
    answer = engine(table).embed(texts_of(ids))

    assert isinstance(answer, Embeddings)
    assert [(total / np.float32(len(text))).tobytes() for total, text in zip(sums, ids, strict=True)] == answer.vectors


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 3])
@pytest.mark.parametrize("unit", [True, False])
def test_neighbours_change_nothing_for_long_texts(count: int, unit: bool) -> None:
    """A text of several chunks has the same vector alone and among others."""
    one = engine(RANDOM, unit=unit)
    long = " ".join(str(number % 50) for number in range(count))
    together, alone = one.embed(["1 2", long, "3"]), one.embed([long])

    assert isinstance(together, Embeddings)
    assert isinstance(alone, Embeddings)
    assert alone.vectors[0] == together.vectors[1]


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 1, 100_000])
def test_long_texts_are_pooled_whole(count: int) -> None:
    """The mean is over all tokens, and as exact for a hundred thousand of them as for one."""
    ids = np.random.default_rng(2).integers(0, 50, count)
    [actual] = vectors(engine(RANDOM).embed(texts_of([ids.tolist()])))

    np.testing.assert_allclose(actual, RANDOM[ids].astype(np.float64).mean(axis=0), rtol=1e-4, atol=1e-7)


def test_long_texts_need_little_memory() -> None:
    """The vectors of a long text's tokens are never in memory all at once."""
    table = np.ones((2, 256), np.float32)
    ids = [0, 1] * 50_000  # 100 MB of vectors
    one = StaticEngine(Vocabulary(lambda _: ids, 2, None), Table(table), keep_unknown=True, unit=False)
    tracemalloc.start()
    try:
        one.embed(["a"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 10_000_000


def test_threads() -> None:
    """Threads that share an engine get what each would get alone."""
    one = engine(RANDOM, unit=True)
    calls = [texts_of([[call, 3, 5], [7, call, call]]) for call in range(50)]
    expected = [one.embed(texts) for texts in calls]

    with ThreadPoolExecutor(4) as pool:
        assert expected * 4 == list(pool.map(one.embed, calls * 4))
