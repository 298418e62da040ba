"""An execution over time: actions above the axis, their compensations mirrored below it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from sagakit.views.bars import Bar, Mark, Stretch
from sagakit.views.legend_svg import Entry, legend_rows, status_badge
from sagakit.views.picture import Picture
from sagakit.views.style import (
    GRID,
    MARKS,
    MUTED,
    NEUTRAL,
    SEGMENTS,
    STATES,
    Look,
    mark_look,
)
from sagakit.views.svg import card, fit, hatches, label, num, text_width
from sagakit.views.timeline_critical import draw_critical, places
from sagakit.views.timeline_lanes import draw_bands, draw_lane, gutter_width, lane, lane_height
from sagakit.views.timeline_retries import collapsed
from sagakit.views.timeline_tree import Tree
from sagakit.views.timeline_words import timeline_alt, timeline_table
from sagakit.views.timescale import Scale, order_scale, same_instant, time_scale

PLOT = 640.0
MARGIN = 20.0
AXIS = 32.0
_BOLD = 'font-weight="bold"'


def timeline_svg(
    title: str,
    bars: Sequence[Bar],
    marks: Sequence[Mark] = (),
    status: str = "",
    steps: Sequence[str] = (),
    critical: Sequence[Stretch] = (),
) -> str:
    """The execution as an SVG document.

    `steps` fixes the rows' order and may name steps that never ran; steps that only `bars` name
    follow. A step named by a path, `pay/charge`, has its row under that of `pay`, if there is one;
    of very many steps most are summed up in a row; in a picture of very many bars the attempts
    that failed in a row are one. `critical` is the critical path in its order. Where all times are
    one instant the axis shows the order of events instead: bars in the order given, a mark after
    the last bar whose step its text names, else at the end; there is no critical path then. Raises
    ValueError for an outcome, mark or status that the legend does not know, and for a stretch of
    the critical path whose step and side have no bar.
    """
    desc = timeline_alt(title, bars, status, critical)
    bars = [bar for bar, _ in collapsed(bars)]
    names = list(dict.fromkeys([*steps, *(bar.step for bar in bars)]))
    tree = Tree(names, {bar.step: bar.outcome for bar in bars})
    bars, marks, scale = _scaled(bars, marks, tree)
    undone = tree.with_those_around({bar.step for bar in bars if bar.side == "compensation"})
    lines = tree.lines(names)
    forward = lane(lines, bars, "action", scale, tree.nested)
    backward = lane(tree.lines(undone, backward=True), bars, "compensation", scale, tree.nested)
    gutter = gutter_width(lines)
    left = MARGIN + gutter
    tags, band = _tags(marks, scale, left)
    top = 46.0 + band
    body = [hatches(_looks(bars)), *_head(title, status, left)]
    middle = top + lane_height(forward)
    bottom = middle + AXIS + lane_height(backward)
    for rows, y in ((forward, top), (backward, middle + AXIS)):
        body += draw_bands(rows, MARGIN, y, left + PLOT + 8)
    if bars:
        body += _axis(scale, left, (top, middle, bottom))
    else:
        body.append(label(MARGIN, middle + 18, "nothing has run yet", size=12, fill=MUTED))
    critical = () if scale.unit == "order" else critical
    spots = places(forward, "action", top) | places(backward, "compensation", middle + AXIS)
    gap = (middle + 4, middle + AXIS - 4)
    joints, stretches = draw_critical(critical, tree, spots, scale, left, gap)
    body.append(joints)
    body += draw_lane(forward, left, gutter, top, PLOT)
    body += draw_lane(backward, left, gutter, middle + AXIS, PLOT)
    body.append(stretches)
    body += _lines(marks, scale, left, (top, middle, bottom)) + tags
    legend, _, height = legend_rows(_legend(bars, marks, bool(critical)), gutter + PLOT)
    body.append(f'<g transform="translate({num(MARGIN)} {num(bottom + 16)})">{legend}</g>')
    size = (left + PLOT + MARGIN + 34, bottom + 16 + height + 8)
    return card(*size, title, desc, filter(None, body))


def _scaled(
    bars: Sequence[Bar], marks: Sequence[Mark], tree: Tree
) -> tuple[list[Bar], list[Mark], Scale]:
    """The bars and marks on their scale; those of one instant are spread out in their order."""
    times = [t for bar in bars for t in (bar.start, bar.end) if t is not None]
    times += [mark.at for mark in marks]
    if not same_instant(times):
        low, high = min(0.0, *times), max(times)
        if any(bar.end is None for bar in bars):  # what still runs reaches beyond the last event
            high += (high - low) * 0.08
        return list(bars), list(marks), time_scale(low, high, PLOT)
    scale = order_scale(len(bars), PLOT)
    starts = _starts_in_order(bars, tree)
    spread = [
        msgspec.structs.replace(
            bar, start=starts[i] + 0.15, end=None if bar.end is None else i + 0.85
        )
        for i, bar in enumerate(bars)
    ]
    return spread, [_in_order(mark, bars, tree.nested) for mark in marks], scale


def _starts_in_order(bars: Sequence[Bar], tree: Tree) -> list[int]:
    """Where each bar begins: its own place, or that of the first inside it since the last one."""
    first: dict[str, int] = {}
    starts = []
    for i, bar in enumerate(bars):
        start = min(first.pop(bar.step, i), i)
        starts.append(start)
        above = tree.above[bar.step]
        if above is not None:
            first.setdefault(above, start)
    return starts


def _in_order(mark: Mark, bars: Sequence[Bar], nested: bool) -> Mark:
    words = {mark.text, *re.findall(r"[\w./-]+" if nested else r"[\w.-]+", mark.text)}
    named = [i + 1 for i, bar in enumerate(bars) if bar.step in words]
    return msgspec.structs.replace(mark, at=float(named[-1] if named else len(bars)))


def _head(title: str, status: str, left: float) -> list[str]:
    shown = fit(title, 15, left + PLOT - 180)
    parts = [label(MARGIN, 27, shown, size=15, extra=_BOLD)]
    if status:
        parts.append(status_badge(status, left + PLOT))
    return parts


def _upright(x: float, levels: tuple[float, float, float]) -> str:
    """A vertical path through both lanes, with a gap at the axis where the ticks' words stand."""
    top, middle, bottom = levels
    path = f"M{num(x)} {num(top)}V{num(middle + 4)}"
    under = middle + AXIS
    return path if bottom <= under else f"{path}M{num(x)} {num(under - 4)}V{num(bottom)}"


def _axis(scale: Scale, left: float, levels: tuple[float, float, float]) -> list[str]:
    """The axis between the lanes, its ticks' grid, and which lane is which."""
    _, middle, bottom = levels
    y = middle + AXIS / 2
    parts = []
    for at, text in scale.ticks:
        x = left + scale.x(at)
        parts.append(f'<path d="{_upright(x, levels)}" stroke="{GRID}"/>')
        parts.append(label(x, y + 4, text, size=10, fill=MUTED, anchor="middle"))
    parts.append(
        label(left + scale.width + 14, y + 4, scale.unit, size=10, fill=MUTED, extra=_BOLD)
    )
    parts.append(label(MARGIN, middle + 12, "↑ actions", size=10, fill=MUTED))
    if bottom > middle + AXIS:
        parts.append(label(MARGIN, middle + 24, "↓ compensations", size=10, fill=MUTED))
    return parts


def _lines(
    marks: Sequence[Mark], scale: Scale, left: float, levels: tuple[float, float, float]
) -> list[str]:
    parts = []
    for mark in marks:
        look = mark_look(mark.kind)
        path = _upright(left + scale.x(mark.at), levels)
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        width = 2 if mark.kind == "pivot" else 1.2
        parts.append(f'<path d="{path}" stroke="{look.stroke}" stroke-width="{width}"{dash}/>')
    return parts


def _tags(marks: Sequence[Mark], scale: Scale, left: float) -> tuple[list[str], float]:
    """The marks' words above the lanes, each on the lowest line where it is free, and their height.

    Beyond four lines a mark keeps its line and loses its words: they would hide the picture.
    """
    free = [0.0] * 4
    placed: list[tuple[float, int, str, Look]] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        look = mark_look(mark.kind)
        text = fit(f"{look.glyph} {mark.text}", 10, 220)
        width = text_width(text, 10)
        x = max(MARGIN, min(left + scale.x(mark.at) - width / 2, left + PLOT + 34 - width))
        line = next((i for i, end in enumerate(free) if end <= x), None)
        if line is not None:
            free[line] = x + width + 8
            placed.append((x, line, text, look))
    used = max((line + 1 for _, line, _, _ in placed), default=0)
    return [
        label(x, 46 + (used - line) * 14 - 6, text, size=10, fill=look.stroke)
        for x, line, text, look in placed
    ], used * 14.0


def _looks(bars: Sequence[Bar]) -> list[Look]:
    return [STATES[name] for name in dict.fromkeys(bar.outcome for bar in bars) if name in STATES]


def _legend(bars: Sequence[Bar], marks: Sequence[Mark], critical: bool) -> list[Entry]:
    outcomes, kinds = {bar.outcome for bar in bars}, {mark.kind for mark in marks}
    entries: list[Entry] = [
        (look, look.glyph, name)
        for name, look in {**STATES, **SEGMENTS}.items()
        if name in outcomes
    ]
    entries += [(look, look.glyph, name) for name, look in MARKS.items() if name in kinds]
    if any(bar.count > 1 for bar in bars):
        entries.append((NEUTRAL, "×n", "attempts that failed in a row"))
    return [*entries, ("critical", "", "critical path")] if critical else entries


def timeline_picture(
    title: str,
    bars: Sequence[Bar],
    marks: Sequence[Mark] = (),
    status: str = "",
    steps: Sequence[str] = (),
    critical: Sequence[Stretch] = (),
) -> Picture:
    """The timeline as a `Picture` for notebooks, with its attempts as a table; see
    `timeline_svg`."""
    return Picture(
        svg=timeline_svg(title, bars, marks, status, steps, critical),
        alt=timeline_alt(title, bars, status, critical),
        table=timeline_table(bars, critical),
        caption=f"timeline of {title!r}",
    )
