"""Plots of dots on logarithmic axes, as SVG that can be read on light and on dark backgrounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

#: Mid-tones, told apart by lightness too; nothing is drawn on the background.
COLOURS = ("#8a8f98", "#d9480f", "#f08c3c", "#1c7ed6", "#2f9e44", "#ae3ec9", "#c2255c")
_TEXT = "#7d8590"
_WIDTH, _LEFT, _RIGHT, _TOP = 940, 350, 24, 64
_LANE, _GAP = 13, 14


@dataclass(frozen=True)
class Dot:
    """A figure of one of the series, and between what it varied."""

    series: int
    value: float
    least: float
    most: float


@dataclass(frozen=True)
class Row:
    """What is compared with one another."""

    label: str
    dots: Sequence[Dot]


def plot(title: str, axis: str, series: Sequence[str], rows: Sequence[Row]) -> str:
    """A row a comparison, a lane in it for each series that has a dot there; lines go from the least to the most."""
    rows = [row for row in rows if row.dots]
    values = [bound for row in rows for dot in row.dots for bound in (dot.least, dot.most)]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def x(value: float) -> float:
        return _LEFT + (math.log10(value) - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    height = _TOP + sum(_LANE * len(row.dots) + _GAP for row in rows) + 44
    parts = [_text(8, 20, title, size=15, weight="bold"), *_legend(series)]
    for power in range(low, high + 1):
        parts.append(_line(x(10**power), _TOP - 8, x(10**power), height - 40, opacity=0.5))
        parts.append(_text(x(10**power), height - 24, _short(10.0**power), anchor="middle"))
        for factor in (2, 5) if power < high else ():
            parts.append(_line(x(factor * 10**power), _TOP - 8, x(factor * 10**power), height - 40, opacity=0.18))
    parts.append(_text((_LEFT + _WIDTH) / 2, height - 6, axis, anchor="middle"))
    y = float(_TOP)
    for row in rows:
        middle = y + _LANE * len(row.dots) / 2
        parts.append(_text(_LEFT - 10, middle + 4, row.label, anchor="end"))
        for dot in row.dots:
            colour, at = COLOURS[dot.series % len(COLOURS)], y + _LANE / 2
            parts.append(_line(x(dot.least), at, x(dot.most), at, colour=colour, width=3, opacity=0.55))
            parts.append(f'<circle cx="{x(dot.value):.1f}" cy="{at:.1f}" r="4.5" fill="{colour}"/>')
            y += _LANE
        y += _GAP
        parts.append(_line(8, y - _GAP / 2, _WIDTH - _RIGHT, y - _GAP / 2, opacity=0.18))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" '
        f'font-family="system-ui, sans-serif" role="img">\n<title>{escape(title)}</title>\n{body}\n</svg>\n'
    )


def _legend(series: Sequence[str]) -> list[str]:
    parts, x = [], 12.0
    for number, name in enumerate(series):
        parts.append(f'<circle cx="{x:.0f}" cy="38" r="4.5" fill="{COLOURS[number % len(COLOURS)]}"/>')
        parts.append(_text(x + 9, 42, name))
        x += 30 + 6.7 * len(name)
    return parts


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12, weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" font-weight="{weight}" fill="{_TEXT}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _TEXT, width: float = 1, opacity: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}" stroke-opacity="{opacity}" stroke-linecap="round"/>'


def _short(number: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:g} {letter}"
    return f"{number:g}"
