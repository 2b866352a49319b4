"""Plots as the path data of inline SVG: a box of WIDTH by HEIGHT that the page stretches to its place.

Coordinates are whole and relative, and a straight run is one line: a plot is sent anew as it grows.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tracker.classroom.curve import Curve

WIDTH, HEIGHT = 300, 100
_MOST = 40  # points of a line
_STILL = 10.0  # seconds; a seat tells of itself more often than that


class Span(NamedTuple):
    """The time that a plot shows, from edge to edge, in seconds of its curves' clock."""

    start: float
    end: float

    def x(self, moment: float) -> int:
        part = (moment - self.start) / (self.end - self.start) if self.end > self.start else 0.0
        return round(WIDTH * min(1.0, max(0.0, part)))


def height(value: float, top: float) -> int:
    """Where `value` is drawn, from 0 at the plot's upper edge, which stands for `top`."""
    return HEIGHT - round(HEIGHT * min(1.0, max(0.0, value / top))) if top else HEIGHT


def line(curve: Curve, span: Span, top: float, until_full: bool = False) -> str:
    """The curve as a path; it goes on as it was at the last, or stops at `top` if `until_full`."""
    points = _points(curve, span, top, until_full)
    return _path(points) if points else ""


def area(curve: Curve, span: Span, top: float) -> str:
    """What lies under the curve, as a path."""
    points = _points(curve, span, top, until_full=False)
    return f"{_path(points)}V{HEIGHT}H{points[0][0]}z" if points else ""


def bars(values: Sequence[float], top: float) -> str:
    """One bar for each value, side by side, with a gap of a sixth."""
    if not values:
        return ""
    step = WIDTH / len(values)
    drawn = (
        f"M{index * step:.4g} {HEIGHT}v{height(value, top) - HEIGHT}h{step * 5 / 6:.4g}V{HEIGHT}z"
        for index, value in enumerate(values)
        if value > 0
    )
    return "".join(drawn)


def spread(values: Iterable[float], top: float, bins: int) -> list[int]:
    """How many of the values lie in each of `bins` equal parts of 0 to `top`."""
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int(value / top * bins)) if top else 0] += 1
    return counts


def nice(top: float, base: int = 1024) -> float:
    """A round figure for the edge of an axis: 1, 1.5, 2, 3 ... 800 of some power of `base`."""
    unit = 1.0
    while top >= unit * base:
        unit *= base
    steps = (step * ten for ten in (1, 10, 100) for step in (1, 1.5, 2, 3, 4, 5, 6, 8))
    return next((step * unit for step in steps if top <= step * unit), unit * base)


def _points(curve: Curve, span: Span, top: float, until_full: bool) -> list[tuple[int, int]]:
    values = curve.values
    if until_full and (full := next((i for i, value in enumerate(values) if value >= top), None)) is not None:
        values = values[: full + 1]
    if not values:
        return []
    turns = _turns(curve.start, curve.step, values)
    stride = -(-len(turns) // _MOST)
    points: list[tuple[int, int]] = []
    for index in sorted({*range(0, len(turns), stride), len(turns) - 1}):
        moment, value = turns[index]
        if moment > span.end:
            break
        _add(points, span.x(moment), height(value, top))
    if points and not (until_full and values[-1] >= top):
        _add(points, span.x(span.end), points[-1][1])
    return points


def _turns(start: float, step: float, values: Sequence[float]) -> list[tuple[float, float]]:
    """Where the figure changes, and where it stood still: not where a seat had just not told of it yet."""
    turns = [(start, values[0])]
    for index, (before, value) in enumerate(itertools.pairwise(values), 1):
        if value != before:
            if start + (index - 1) * step - turns[-1][0] > _STILL:
                turns.append((start + (index - 1) * step, before))
            turns.append((start + index * step, value))
    return turns


def _add(points: list[tuple[int, int]], x: int, y: int) -> None:
    """A run on one level needs only its ends."""
    if len(points) > 1 and points[-1][1] == points[-2][1] == y:
        points.pop()
    if not points or points[-1] != (x, y):
        points.append((x, y))


def _path(points: Sequence[tuple[int, int]]) -> str:
    moves = [f"M{points[0][0]} {points[0][1]}l"]
    for (from_x, from_y), (to_x, to_y) in itertools.pairwise(points):
        y = to_y - from_y
        moves.append(f"{to_x - from_x}{'' if y < 0 else ' '}{y} ")
    # A dot, where there is but one point.
    return "".join(moves).rstrip() if len(points) > 1 else f"{moves[0]}0 0"
