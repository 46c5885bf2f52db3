"""Numbers become the geometry of a chart, which a template draws as SVG; it knows no colours and no words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 120
_GAP: Final = 0.2
"""Part of a bar's place that stays free."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column; `kind` is its place among the parts, from the ground up."""

    x: float
    y: float
    width: float
    height: float
    kind: int


@dataclass(frozen=True, slots=True)
class Chart:
    """`top` is what the whole height stands for."""

    top: float
    bars: Sequence[Bar] = ()
    lines: Sequence[str] = ()
    """Each as the `d` of a path."""

    @property
    def is_empty(self) -> bool:
        return not self.bars and not any(self.lines)


def columns(values: Sequence[Sequence[float]]) -> Chart:
    """One column for each of the values, whose parts stand on each other."""
    top = max(map(sum, values), default=0.0)
    if top <= 0:
        return Chart(0.0)
    place = WIDTH / len(values)
    bars = []
    for column, parts in enumerate(values):
        ground = float(HEIGHT)
        for kind, part in enumerate(parts):
            if part > 0:
                height = HEIGHT * part / top
                ground -= height
                x = place * (column + _GAP / 2)
                bars.append(Bar(round(x, 2), round(ground, 2), round(place * (1 - _GAP), 2), round(height, 2), kind))
    return Chart(top, bars)


def lines(series: Sequence[Sequence[float | None]]) -> Chart:
    """A line for each series, interrupted where it has no value; a value without neighbours is a short dash."""
    top = max((value for values in series for value in values if value is not None), default=0.0)
    if top <= 0:
        return Chart(0.0)
    return Chart(top, lines=[_path(values, top) for values in series])


def _path(values: Sequence[float | None], top: float) -> str:
    place = WIDTH / max(1, len(values))
    steps, before = [], False
    for column, value in enumerate(values):
        if value is not None:
            y = round(HEIGHT * (1 - value / top), 2)
            start = f"M{place * column:.2f} {y}H{place * (column + 1):.2f}"
            steps.append(f"L{place * (column + 0.5):.2f} {y}" if before else start)
        before = value is not None
    return "".join(steps)
