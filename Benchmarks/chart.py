"""The chart of a run, as SVG: how far each figure is from its bar, and the farm beside other sandboxes."""

from __future__ import annotations

import math
from typing import Any, Dict, List
from xml.sax.saxutils import escape

from results import asked, bars, figure, margin, measured, peers

WIDTH, LABELS, FIGURES, ROW = 960, 400, 170, 20
PASS, SHORT, OTHER, INK, FAINT = "#2f7d4f", "#b4502a", "#7d8794", "#20242a", "#c9ced6"
#: Times the bar, in both directions: what is further away ends at the edge.
EDGE = 8.0


def text(x: float, y: float, words: str, anchor: str = "start", colour: str = INK, weight: str = "normal") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">{escape(words)}</text>'


def block(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{ROW - 6}" fill="{colour}"/>'


def chart(run: Dict[str, Any]) -> str:
    parts: List[str] = []
    y = against_bars(run, parts, 24)
    y = beside_peers(run, parts, y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img" '
        'font-family="sans-serif" font-size="12">\n<title>Paddock\'s figures against their bars</title>\n'
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n')
    return head + "\n".join(parts) + "\n</svg>\n"


def against_bars(run: Dict[str, Any], parts: List[str], y: int) -> int:
    """On a logarithmic scale, from the line that is the bar: to the right is better."""
    left, right = LABELS, WIDTH - FIGURES
    middle, step = (left + right) / 2, (right - left) / 2 / math.log(EDGE)
    parts.append(text(8, y, "How many times better than its bar each figure is", weight="bold"))
    y += 22
    top = y - 4
    rows = bars(run)
    for times in (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8):
        x = middle + math.log(times) * step
        strong = times == 1
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 8}" y2="{top + 12 + ROW * len(rows)}" stroke="{INK if strong else FAINT}"/>')
        parts.append(text(x, y, "bar" if strong else f"{times:g}×" if times > 1 else f"1/{1 / times:g}", "middle", INK if strong else OTHER))
    y += 12
    for row in rows:
        times, base = margin(row), y + ROW - 8
        parts.append(text(8, base, row["number"] or "", weight="bold"))
        parts.append(text(LABELS - 8, base, row["name"].strip(), "end"))
        if times is None:
            parts.append(text(right + 8, base, row["verdict"], colour=OTHER))
        else:
            reach = math.log(min(EDGE, max(1 / EDGE, times))) * step
            parts.append(block(min(middle, middle + reach), y, abs(reach), PASS if row["verdict"] == "pass" else SHORT))
            said = f"{figure(row['ratio'])}×" if row["bar"]["of"] == "ratio" else measured(row)
            parts.append(text(right + 8, base, f"{said}  ({asked(row)})"))
        y += ROW
    return y + 24


def beside_peers(run: Dict[str, Any], parts: List[str], y: int) -> int:
    """Rates as shares of the baseline's, for what was measured."""
    found = {name: rows for name, rows in peers(run).items() if any(row.get("ratio") for row in rows.values())}
    if not found:
        return y
    for what, title in (("nothing.rate", "/bin/true, 8 in flight"), ("python.rate", "python3 -c 'print(1)', 8 in flight")):
        parts.append(text(8, y, f"{title}: jobs per second ÷ posix_spawn's with two threads", weight="bold"))
        y += 10
        longest = max(1.0, *(rows[what]["ratio"] for rows in found.values()))
        for name, ratio in [("posix_spawn, no isolation", 1.0)] + [(name, rows[what]["ratio"]) for name, rows in found.items()]:
            parts.append(text(LABELS - 8, y + ROW - 8, name, "end"))
            parts.append(block(LABELS, y, ratio / longest * (WIDTH - FIGURES - LABELS), PASS if name == "paddock" else OTHER))
            parts.append(text(WIDTH - FIGURES + 8, y + ROW - 8, f"{figure(ratio)}×"))
            y += ROW
        y += 24
    return y
