"""The results as a bar chart in SVG: requests a second as a share of nginx's, on a scale of powers of ten."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Final

from bench.loads import NGINX, Load
from bench.results import Results

COLOURS: Final = {
    "HTTP alone": "#999999",
    "gateway": "#0072b2",
    "gateway, 2 workers": "#56b4e9",
    "gateway, Redis": "#009e73",
    "gateway, 2 workers, Redis": "#8fd3bf",
    "LiteLLM": "#d55e00",
}
LEAST: Final = 0.001
LEFT, WIDTH, ROW, TOP = 300, 560, 15, 60


def svg(results: Results, loads: Sequence[Load]) -> str:
    """One bar for each server of a load that was put on nginx, too."""
    parts: list[str] = []
    y = TOP
    for load in loads:
        found = [(server, results.ratio(load.name, server, NGINX)) for server in load.servers if server != NGINX]
        bars = [(server, ratio) for server, ratio in found if ratio is not None]
        if not bars:
            continue
        parts.append(_text(LEFT - 8, y + ROW * len(bars) / 2 + 4, load.name, "end"))
        for server, ratio in bars:
            length = _place(ratio)
            parts.append(
                f'<rect x="{LEFT}" y="{y + 2}" width="{length:.1f}" height="{ROW - 3}" fill="{COLOURS[server]}"/>'
            )
            parts.append(_text(LEFT + length + 5, y + 12, f"{ratio:.1%}"))
            y += ROW
        y += 8
    return _frame(parts, y)


def _frame(parts: Sequence[str], height: float) -> str:
    lines = []
    for power in range(-3, 1):
        x = LEFT + _place(10.0**power)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{height}" stroke="#ccc"/>')
        lines.append(_text(x, TOP - 9, f"{10.0**power:.1%}" if power < 0 else "100 %", "middle"))
    x = 10.0
    for server, colour in COLOURS.items():
        lines.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{colour}"/>')
        lines.append(_text(x + 17, 24, server))
        x += 45 + 6.6 * len(server)
    size = f'width="{LEFT + WIDTH + 70}" height="{height + 10}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *lines, *parts, "</svg>", ""])


def _place(ratio: float) -> float:
    """How far right, in pixels; all of nginx's is at the end."""
    return WIDTH * max(0.0, 1 - math.log10(max(ratio, LEAST)) / math.log10(LEAST))


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'
