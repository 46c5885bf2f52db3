"""An answer tells the tokens of every input of the request, and where that number comes from."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import usage
from gateway.dimensions import Dimensions
from gateway.planning import plan
from gateway.routing import Route
from tests.fakes.counters import LetterCounter, NoCounter


async def total(reported: int | None, texts: Sequence[str], *, known: bool = True, exact: bool = True) -> object:
    route = Route("small", "our/space", Dimensions(8), [], tokenizer_known=known)
    made = plan(texts, [0] * len(texts), range(len(texts)))
    return await usage.total(reported, made, route, LetterCounter(exact=exact))


@pytest.mark.parametrize(("texts", "expected"), [(["ab", "c"], 9), (["ab"] * 3, 27), (["ab", "c"] * 2, 18)], ids=str)
async def test_reported(texts: list[str], expected: int) -> None:
    """Where each input is there equally often, the whole is a multiple of what was reported, and nothing is counted."""
    route = Route("small", "our/space", Dimensions(8), [])
    made = plan(texts, [0] * len(texts), range(len(texts)))

    assert (expected, "reported") == await usage.total(9, made, route, NoCounter())


@pytest.mark.parametrize(
    ("known", "exact", "source"), [(True, True, "counted"), (False, True, "estimated"), (True, False, "estimated")]
)
async def test_shared_out(known: bool, exact: bool, source: str) -> None:
    """Where some are repeated, the report is shared out by counts, which make the sum counted or estimated."""
    assert (25, source) == await total(15, ["aa", "bbbb", "aa", "aa"], known=known, exact=exact)


@pytest.mark.parametrize(
    ("known", "exact", "source"), [(True, True, "counted"), (False, True, "estimated"), (True, False, "estimated")]
)
async def test_not_reported(known: bool, exact: bool, source: str) -> None:
    """Where nothing was reported, every input is counted, repeated ones each time."""
    assert (10, source) == await total(None, ["aa", "bbbb", "aa", "aa"], known=known, exact=exact)


async def test_nothing_to_count() -> None:
    """Where the counts are all nothing, the report is shared out evenly."""
    assert (9, "counted") == await total(6, ["  ", " ", " "])


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=8))
async def test_as_if_each_was_sent(texts: list[str]) -> None:
    """What was reported in the counter's own tokens comes to what sending every input would have been."""
    reported = sum(map(len, set(texts)))
    tokens, _ = await usage.total(
        reported,
        plan(texts, [0] * len(texts), range(len(texts))),
        Route("small", "our/space", Dimensions(8), []),
        LetterCounter(),
    )

    assert sum(map(len, texts)) == tokens
