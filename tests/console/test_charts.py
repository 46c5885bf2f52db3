"""The geometry of charts: everything lies within its frame, and tells as much as it should."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.charts import HEIGHT, WIDTH, columns, lines

PARTS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=80)


@given(PARTS)
def test_columns(values: list[tuple[int, int]]) -> None:
    """The highest column fills the height, each part is as high as it is large, and none leaves the frame."""
    chart = columns(values)

    assert chart.top == max(map(sum, values))
    assert len(chart.bars) == sum(part > 0 for parts in values for part in parts)
    for bar in chart.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH
        assert -0.01 <= bar.y <= bar.y + bar.height <= HEIGHT + 0.02
    if chart.top:
        assert min(bar.y for bar in chart.bars) == pytest.approx(0, abs=0.01)


@given(st.lists(st.one_of(st.none(), st.floats(0.001, 1000)), min_size=1, max_size=80))
def test_lines(values: list[float | None]) -> None:
    """A line is interrupted where nothing is known, and never leaves the frame."""
    chart = lines([values])
    drawn = "".join(chart.lines)
    runs = sum(value is not None and (not place or values[place - 1] is None) for place, value in enumerate(values))

    assert drawn.count("M") == runs
    assert all(0 <= float(x) <= WIDTH for x in re.findall(r"[MLH]([\d.]+)", drawn))
    assert all(0 <= float(y) <= HEIGHT for y in re.findall(r" ([\d.]+)", drawn))


def test_empty() -> None:
    """Nothing but zeros is an empty chart."""
    assert columns([(0, 0), (0, 0)]).is_empty
    assert lines([[None, None]]).is_empty
