"""One row of a timeline: a step's attempts as segments, joined by the waits between them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from sagakit.views.style import EDGE, INK, MUTED, Look
from sagakit.views.svg import box, boxes, fit, label, num, text_width

THICK = 16.0
LEAST = 3.0
_TEXT = 10.0
_MANY = 12  # segments of one row


class Segment(NamedTuple):
    """An attempt, or `times` of them as one: where it starts and ends, px from the axis' start."""

    start: float
    end: float
    look: Look
    words: str
    running: bool
    times: int = 1

    @property
    def counted(self) -> str:
        """The look's glyph, and how many attempts it stands for."""
        return f"{self.look.glyph} ×{self.times:,}" if self.times > 1 else self.look.glyph


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A step's segments on one side, in the order of their starts; `tight` for crowded pictures.

    The name ends at the axis or, with `indent`, begins so many px from the gutter's left; `idle` is
    said where there are no segments. `worded`: it has room for words whether it needs it or not.
    """

    name: str
    segments: Sequence[Segment]
    tight: bool = False
    indent: float | None = None
    idle: str = "not started"
    worded: bool = False


def row_height(row: Row) -> float:
    """The row's height in px: words at a segment stand on a line of their own below it."""
    if row.tight:
        return 15.0
    return THICK + 8 + (12 if row.worded or any(segment.words for segment in row.segments) else 0)


def bar_place(row: Row) -> tuple[float, float]:
    """How far below the row's top its bars begin, and how thick they are, in px."""
    return (2.0, 11.0) if row.tight else (4.0, THICK)


def draw_row(row: Row, left: float, top: float, width: float, gutter: float) -> str:
    """The row with its axis starting at `left`, its name in the gutter before it."""
    down, thick = bar_place(row)
    y = top + down
    size = 9.0 if row.tight else 11.0
    parts = [_name(row, left, y + thick / 2 + size * 0.36, size, gutter)] if row.name else []
    parts += _waits(row.segments, left, y + thick / 2)
    if not row.segments and row.idle:
        parts.append(label(left + 3, y + thick / 2 + 4, row.idle, size=9, fill=MUTED))
    crowded = len(row.segments) > _MANY
    parts += _boxes(row.segments, left, y, thick) if crowded else []
    starts = [segment.start for segment in row.segments[1:]] + [width + 34.0]
    free, carried = 0.0, ""
    for i, segment in enumerate(row.segments):
        if segment.running or not crowded:
            parts.append(_box(segment, left, y, thick))
        text = segment.counted if row.tight else segment.look.glyph
        room = free, starts[i]
        glyph, carried = _glyph(segment, text, carried, room, left, y + thick / 2 + 4)
        parts.append(glyph)
        free = max(segment.end, segment.start + LEAST)
        if segment.words and not row.tight:
            parts.append(_words(segment, _end_of_words(row.segments, i, starts), left, y + thick))
    return "".join(parts)


def _name(row: Row, left: float, base: float, size: float, gutter: float) -> str:
    if row.indent is None:
        return label(left - 10, base, fit(row.name, size, 186), size=size, fill=INK, anchor="end")
    name = fit(row.name, size, max(gutter - row.indent - 8, 40))
    return label(left - gutter + row.indent, base, name, size=size, fill=INK)


def _waits(segments: Sequence[Segment], left: float, y: float) -> list[str]:
    return [
        f'<path d="M{num(left + a.end)} {num(y)}H{num(left + b.start)}" stroke="{EDGE}" '
        f'stroke-width="1.3" stroke-dasharray="1 3"/>'
        for a, b in itertools.pairwise(segments)
        if b.start - a.end > 4
    ]


def _boxes(segments: Sequence[Segment], left: float, y: float, thick: float) -> list[str]:
    """The bars that have ended in a crowded row: those that look the same are one path, and of
    those that begin within a pixel only the longest is drawn; they could not be told apart."""
    spans: dict[tuple[Look, int], tuple[float, float]] = {}
    for segment in segments:
        if segment.running:
            continue
        key = segment.look, round(segment.start)
        start, end = spans.get(key, (segment.start, segment.end))
        spans[key] = start, max(end, segment.end)
    paths: dict[Look, list[tuple[float, float]]] = {}
    for (look, _), (start, end) in spans.items():
        paths.setdefault(look, []).append((left + start, max(end - start, LEAST)))
    return [boxes(look, found, y, thick) for look, found in paths.items()]


def _box(segment: Segment, left: float, y: float, thick: float) -> str:
    shape = "pointed" if segment.running else "square"
    wide = max(segment.end - segment.start, LEAST)
    return box(segment.look, shape, left + segment.start, y, wide, thick, 1.2)


def _glyph(
    segment: Segment,
    glyph: str,
    carried: str,
    room: tuple[float, float],
    left: float,
    base: float,
) -> tuple[str, str]:
    """A bar's glyph, inside it or else beside it, where no other bar is from `room` to `room`; and
    what the next one has to say for it: a count that found no room."""
    wide = max(segment.end - segment.start, LEAST)
    x = left + segment.start
    text = f"{carried} {glyph}".strip()
    if wide >= text_width(text, 11) + 2:
        return label(x + wide / 2, base, text, size=11, anchor="middle"), ""
    for words in dict.fromkeys((text, glyph)):
        if room[1] - segment.start >= wide + text_width(words, 11) + 3:
            return label(x + wide + 2, base, words, size=11), ""
    if glyph == segment.look.glyph:
        return "", ""
    if segment.start - room[0] >= text_width(glyph, 11) + 3:
        return label(x - 3, base, glyph, size=11, anchor="end"), ""
    return "", glyph


def _end_of_words(segments: Sequence[Segment], i: int, starts: Sequence[float]) -> float:
    """How far the words of bar `i` may go: a count goes on below bars that have no words."""
    if segments[i].times > 1:
        while i + 1 < len(segments) and not segments[i + 1].words:
            i += 1
    return starts[i]


def _words(segment: Segment, nxt: float, left: float, bottom: float) -> str:
    """A bar's words below it, as far as they fit."""
    text = fit(segment.words, _TEXT, nxt - segment.start - 7)
    if len(text) <= 2 and text != segment.words:
        return ""
    return label(left + segment.start + 3, bottom + 11, text, size=_TEXT, fill=MUTED)
