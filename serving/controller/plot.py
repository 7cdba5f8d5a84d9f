"""A line chart as inline SVG, drawn by hand: the report needs no library, no script and no network."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Final, NamedTuple

WIDE, NARROW = 880, 430
HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 12, 34


class Line(NamedTuple):
    """One line and what the legend says of it."""

    label: str
    kind: str
    """CSS class: judged, control, promotion."""
    points: Sequence[tuple[float, float | None]]
    """None: not known there; the line has a gap."""
    steps: bool = False
    """Hold each value until the next point, instead of drawing straight to it."""


class Mark(NamedTuple):
    """A level that matters, across the whole chart."""

    at: float
    label: str
    vertical: bool = False


def line_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    width: int = WIDE,
    marks: Sequence[Mark] = (),
    y_range: tuple[float, float] | None = None,
    log_x: bool = False,
    x_text: Callable[[float], str] = lambda value: f"{value:,.0f}",
    y_text: Callable[[float], str] = lambda value: f"{value:,.4g}",
) -> str:
    """Return the chart as an <svg> element; empty where there is nothing to draw.

    Args:
        lines: drawn in order; values outside `y_range` are drawn at its edge.
        x_label: what x counts.
        width: of the drawing, in the units in which its letters are 11 high.
        marks: dashed lines with a word beside them.
        y_range: from, to; None: what the lines need.
        log_x: draw x by its logarithm; every x must be positive.
        x_text: how a tick of x reads.
        y_text: how a tick of y reads.
    """
    known = [(x, y) for line in lines for x, y in line.points if y is not None and not math.isnan(y)]
    if not known:
        return ""
    xs = [x for x, _ in known] + [mark.at for mark in marks if mark.vertical]
    ys = [y for _, y in known] + [mark.at for mark in marks if not mark.vertical]
    area = _Area(_span(min(xs), max(xs), log_x), y_range or _padded(min(ys), max(ys)), width, log_x)
    parts = [f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(_described(lines))}">']
    for value in _ticks(*area.y_range):
        y = area.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{area.right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{y + 3.5}" text-anchor="end">{y_text(value)}</text>')
    for value in _log_ticks(*area.x_range) if log_x else _ticks(*area.x_range):
        at = f'x="{area.x(value)}" y="{HEIGHT - _BOTTOM + 15}"'
        parts.append(f'<text class="tick" {at} text-anchor="middle">{x_text(value)}</text>')
    parts.append(f'<text class="axis" x="{area.right}" y="{HEIGHT - 4}" text-anchor="end">{escape(x_label)}</text>')
    parts += [_mark(mark, area) for mark in marks]
    parts += [f'<path class="line {line.kind}" d="{area.path(line)}"/>' for line in lines]
    return "".join(parts) + "</svg>"


class _Area:
    """From values to places on the drawing."""

    def __init__(self, x_range: tuple[float, float], y_range: tuple[float, float], width: int, log_x: bool) -> None:
        self.x_range, self.y_range, self._log_x = x_range, y_range, log_x
        self.right = width - _RIGHT

    def x(self, value: float) -> float:
        low, high = self.x_range
        if self._log_x:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return round(_LEFT + (value - low) / (high - low) * (self.right - _LEFT), 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        share = (min(max(value, low), high) - low) / (high - low)
        return round(HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM), 1)

    def path(self, line: Line) -> str:
        strokes, pen = [], "M"
        for x, y in line.points:
            if y is None or math.isnan(y):
                pen = "M"
                continue
            first = pen == "M" or not line.steps
            strokes.append(f"{pen}{self.x(x)} {self.y(y)}" if first else f"H{self.x(x)}V{self.y(y)}")
            pen = "L"
        return "".join(strokes)


def _mark(mark: Mark, area: _Area) -> str:
    label = escape(mark.label)
    if mark.vertical:
        x = area.x(mark.at)
        line = f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>'
        left = x > area.right * 0.75
        place = f'x="{x - 5 if left else x + 5}" y="{HEIGHT - _BOTTOM - 8}" text-anchor="{"end" if left else "start"}"'
        return f'{line}<text class="note" {place}>{label}</text>'
    y = area.y(mark.at)
    line = f'<line class="mark" x1="{_LEFT}" x2="{area.right}" y1="{y}" y2="{y}"/>'
    return f'{line}<text class="note" x="{_LEFT + 6}" y="{y - 5}">{label}</text>'


def _described(lines: Sequence[Line]) -> str:
    return "; ".join(line.label for line in lines)


def _span(low: float, high: float, log: bool) -> tuple[float, float]:
    if high > low:
        return low, high
    return (low / 2, high * 2) if log else (low - 1, high + 1)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return low - room, high + room


_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def _ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    rough = (high - low) / wanted
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * each for each in _STEPS if unit * each >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [each * step for each in range(first, math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    inside = [value for value in fine if low <= value <= high]
    return inside if len(inside) <= 9 else [value for value in inside if math.log10(value).is_integer()]
