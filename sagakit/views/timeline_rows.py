"""One row of a timeline: a step's attempts as segments, joined by the waits between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec

from sagakit.views.style import EDGE, INK, MUTED, Look
from sagakit.views.svg import box, fit, label, num, text_width

THICK = 16.0
LEAST = 3.0
_TEXT = 10.0

# Where it starts and ends (px from the axis' start), its look, its words, whether it still runs.
Segment = tuple[float, float, Look, str, bool]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A step's segments on one side, in the order of their starts; `tight` for crowded pictures.

    The name ends at the axis or, with `indent`, begins so many px from the gutter's left; `idle` is
    said where there are no segments.
    """

    name: str
    segments: Sequence[Segment]
    tight: bool = False
    indent: float | None = None
    idle: str = "not started"


def row_height(row: Row) -> float:
    """The row's height in px: words at a segment stand on a line of their own below it."""
    if row.tight:
        return 15.0
    return THICK + 8 + (12 if any(words for _, _, _, words, _ in row.segments) else 0)


def draw_row(row: Row, left: float, top: float, width: float, gutter: float) -> str:
    """The row with its axis starting at `left`, its name in the gutter before it."""
    thick = 11.0 if row.tight else THICK
    y = top + (2 if row.tight else 4)
    size = 9.0 if row.tight else 11.0
    parts = [_name(row, left, y + thick / 2 + size * 0.36, size, gutter)]
    parts += _waits(row.segments, left, y + thick / 2)
    if not row.segments and row.idle:
        parts.append(label(left + 3, y + thick / 2 + 4, row.idle, size=9, fill=MUTED))
    starts = [segment[0] for segment in row.segments[1:]] + [width + 34.0]
    for segment, nxt in zip(row.segments, starts, strict=False):
        parts.append(_segment(segment, nxt, left, y, thick, row.tight))
    return "".join(parts)


def _name(row: Row, left: float, base: float, size: float, gutter: float) -> str:
    if row.indent is None:
        return label(left - 10, base, fit(row.name, size, 186), size=size, fill=INK, anchor="end")
    name = fit(row.name, size, max(gutter - row.indent - 8, 40))
    return label(left - gutter + row.indent, base, name, size=size, fill=INK)


def _waits(segments: Sequence[Segment], left: float, y: float) -> list[str]:
    return [
        f'<path d="M{num(left + a[1])} {num(y)}H{num(left + b[0])}" stroke="{EDGE}" '
        f'stroke-width="1.3" stroke-dasharray="1 3"/>'
        for a, b in itertools.pairwise(segments)
        if b[0] - a[1] > 4
    ]


def _segment(segment: Segment, nxt: float, left: float, y: float, thick: float, tight: bool) -> str:
    """The bar, its glyph inside or after it, its words below it up to the next segment."""
    start, end, look, words, running = segment
    wide = max(end - start, LEAST)
    x = left + start
    parts = [box(look, "pointed" if running else "square", x, y, wide, thick, 1.2)]
    room = nxt - start
    glyph_width = text_width(look.glyph, 11)
    base = y + thick / 2 + 4
    if wide >= glyph_width + 2:
        parts.append(label(x + wide / 2, base, look.glyph, size=11, anchor="middle"))
    elif room >= wide + glyph_width + 3:
        parts.append(label(x + wide + 2, base, look.glyph, size=11))
    if words and not tight:
        text = fit(words, _TEXT, room - 7)
        if len(text) > 2 or text == words:
            parts.append(label(x + 3, y + thick + 11, text, size=_TEXT, fill=MUTED))
    return "".join(parts)
