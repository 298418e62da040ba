"""The two lanes of a timeline: their rows, and the bands that show which rows belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sagakit.views.bars import Bar
from sagakit.views.style import EDGE, INK, NEUTRAL, STATES, segment_look
from sagakit.views.svg import num, text_width
from sagakit.views.timeline_rows import Row, Segment, draw_row, row_height
from sagakit.views.timeline_tree import Line
from sagakit.views.timescale import Scale

INDENT = 14.0
_TIGHT = 40  # rows; beyond it they are drawn smaller

Lane = list[tuple[Line, Row]]


def lane(lines: Sequence[Line], bars: Sequence[Bar], side: str, scale: Scale, nested: bool) -> Lane:
    """The rows of one side, actions or compensations, with their bars on the scale."""
    found: dict[str, list[Bar]] = {name: [] for line in lines for name in _names(line)}
    for bar in bars:
        if bar.side == side and bar.step in found:
            found[bar.step].append(bar)
    tight = len(lines) > _TIGHT
    return [
        (
            line,
            Row(
                name=line.words,
                tight=tight,
                indent=line.depth * INDENT if nested else None,
                idle="not started" if side == "action" else "",
                segments=_summary(line.hidden, found, scale)
                if line.hidden
                else _segments(found[line.name], scale),
            ),
        )
        for line in lines
    ]


def _names(line: Line) -> tuple[str, ...]:
    return line.hidden or (line.name,)


def _segments(bars: Sequence[Bar], scale: Scale) -> list[Segment]:
    return [
        Segment(
            scale.x(bar.start),
            scale.width if bar.end is None else scale.x(bar.end),
            segment_look(bar.outcome),
            bar.label,
            bar.end is None,
            times=bar.count,
        )
        for bar in sorted(bars, key=lambda bar: (bar.start, bar.attempt))
    ]


def _summary(hidden: Sequence[str], found: Mapping[str, list[Bar]], scale: Scale) -> list[Segment]:
    """One segment from the first beginning to the last end, with how many ended how."""
    bars = [bar for name in hidden for bar in found[name]]
    if not bars:
        return []
    ended = Counter(found[name][-1].outcome for name in hidden if found[name])
    words = [f"{ended[state]:,} {state}" for state in STATES if ended[state]]
    idle = len(hidden) - sum(ended.values())
    words += [f"{idle:,} not started"] if idle else []
    running = any(bar.end is None for bar in bars)
    start = min(scale.x(bar.start) for bar in bars)
    end = (
        max(scale.x(bar.end) for bar in bars if bar.end is not None) if not running else scale.width
    )
    return [Segment(start, end, NEUTRAL, ", ".join(words), running)]


def gutter_width(lines: Sequence[Line]) -> float:
    """The room for the rows' names, left of the axis."""
    wide = (text_width(line.words[:60], 11) + line.depth * INDENT for line in lines)
    return min(200.0, max([88.0, *wide]) + 12)


def lane_height(rows: Lane) -> float:
    """The height of all rows in px."""
    return sum(row_height(row) for _, row in rows)


def draw_lane(rows: Lane, left: float, gutter: float, y: float, width: float) -> list[str]:
    """The rows from `y` down, the axis starting at `left`, the names in the gutter before it."""
    parts = []
    for _, row in rows:
        parts.append(draw_row(row, left, y, width, gutter))
        y += row_height(row)
    return parts


def draw_bands(rows: Lane, x: float, y: float, right: float) -> list[str]:
    """A pale band behind each row with others inside it, and a bracket down to the last of them."""
    parts, open_rows = [], []
    for i, (line, row) in enumerate(rows):
        open_rows.append((line.depth, y, y + row_height(row)))
        y += row_height(row)
        deep = rows[i + 1][0].depth if i + 1 < len(rows) else 0
        while open_rows and open_rows[-1][0] >= deep:
            depth, top, under = open_rows.pop()
            if under < y:
                parts.append(_band(x + depth * INDENT, top, under, y, right))
    return parts[::-1]


def _band(x: float, top: float, under: float, bottom: float, right: float) -> str:
    return (
        f'<rect x="{num(x - 6)}" y="{num(top + 1)}" width="{num(right - x + 6)}" '
        f'height="{num(bottom - top - 2)}" rx="5" fill="{INK}" fill-opacity="0.035"/>'
        f'<path d="M{num(x + 3)} {num(under)}V{num(bottom - 7)}h5" fill="none" stroke="{EDGE}" '
        f'stroke-opacity="0.6"/>'
    )
