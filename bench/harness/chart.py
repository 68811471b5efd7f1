"""Lines over logarithmic axes, as SVG that can be read on light and on dark paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

#: Of one panel, without what stands around it.
_WIDTH, _HEIGHT = 380, 260
_LEFT, _RIGHT, _TOP, _GAP, _BOTTOM = 56, 28, 30, 76, 44
_LEGEND_LINE = 18
#: Told apart by readers who see few colours, on white and on black.
_COLOURS = ("#2f81d6", "#e08a00", "#2a9d5c", "#c2478f")
_STYLE = """
    text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #4d5560; }
    .title { font-weight: 600; fill: #24292f; }
    .grid { stroke: #8b949e; stroke-opacity: .28; stroke-width: 1; }
    .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
    @media (prefers-color-scheme: dark) { text { fill: #a9b3bf; } .title { fill: #e6edf3; } }
"""


@dataclass(frozen=True)
class Line:
    """Points that belong together, in the order of their x."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """A pair of axes."""

    title: str
    x_title: str
    lines: Sequence[Line]


def write(path: Path, panels: Sequence[Panel]) -> None:
    """Draws the panels side by side, each over the names of its lines."""
    legend = max(math.ceil(len(panel.lines) / 2) for panel in panels) * _LEGEND_LINE
    width = _LEFT + len(panels) * _WIDTH + (len(panels) - 1) * _GAP + _RIGHT
    height = _TOP + _HEIGHT + _BOTTOM + legend + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, _LEFT + number * (_WIDTH + _GAP))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]))


def _panel(panel: Panel, left: int) -> list[str]:
    points = [point for line in panel.lines for point in line.points]
    across = _Axis([x for x, _ in points], left, left + _WIDTH)
    up = _Axis([y for _, y in points], _TOP + _HEIGHT, _TOP)
    bottom = _TOP + _HEIGHT
    parts = [f'<text class="title" x="{left}" y="{_TOP - 12}">{escape(panel.title)}</text>']
    for value in across.ticks():
        x = across.place(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{_number(value)}</text>')
    for value in up.ticks():
        y = up.place(value)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{left + _WIDTH}"/>')
        parts.append(f'<text x="{left - 7}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    middle = left + _WIDTH / 2
    parts.append(f'<text x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(panel.x_title)}</text>')
    for number, line in enumerate(panel.lines):
        parts += _line(line, across, up)
        parts += _legend(line, left + number % 2 * _WIDTH // 2, bottom + _BOTTOM + 12 + number // 2 * _LEGEND_LINE)
    return parts


def _line(line: Line, across: _Axis, up: _Axis) -> list[str]:
    places = [(across.place(x), up.place(y)) for x, y in line.points]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_COLOURS[line.colour]}"/>' for x, y in places]
    return [f'<path class="line" {_stroke(line)} d="M{path}"/>', *marks] if places else []


def _legend(line: Line, x: float, y: float) -> list[str]:
    return [
        f'<path class="line" {_stroke(line)} d="M{x} {y - 4}h26"/>',
        f'<text x="{x + 33}" y="{y}">{escape(line.name)}</text>',
    ]


def _stroke(line: Line) -> str:
    return f'stroke="{_COLOURS[line.colour]}"' + (' stroke-dasharray="6 4"' if line.dashed else "")


class _Axis:
    """Where values stand: as far from one another as their ratio is large."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        positive = [value for value in values if value > 0] or [1.0]
        self._low, self._high = _floor(min(positive)), _ceil(max(positive))
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        part = math.log(max(value, self._low) / self._low) / math.log(self._high / self._low)
        return self._begin + part * (self._end - self._begin)

    def ticks(self) -> list[float]:
        decades = range(math.floor(math.log10(self._low) + 1e-9), math.ceil(math.log10(self._high) - 1e-9) + 1)
        steps = (1, 2, 5) if len(decades) <= 3 else (1,)
        values = [step * 10.0**decade for decade in decades for step in steps]
        return [value for value in values if self._low * 0.999 <= value <= self._high * 1.001]


def _floor(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten that is no larger."""
    decade = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return max(step for step in (1, 2, 5) if step * decade <= value * 1.001) * decade


def _ceil(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return min(step for step in (1, 2, 5, 10, 20) if step * decade > value * 1.001) * decade


def _number(value: float) -> str:
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
