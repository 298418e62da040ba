"""An execution over time: actions above the axis, their compensations mirrored below it."""

from __future__ import annotations

from collections.abc import Sequence

from sagakit.views.bars import Bar, Mark, Stretch
from sagakit.views.legend_svg import Entry, legend_rows, status_badge
from sagakit.views.picture import Picture
from sagakit.views.style import MARKS, MUTED, NEUTRAL, SEGMENTS, STATES, Look
from sagakit.views.svg import card, fit, hatches, label, num
from sagakit.views.timeline_axis import (
    AXIS,
    BOLD,
    axis,
    draw_tags,
    lane_words,
    mark_lines,
    place_tags,
    tags_height,
)
from sagakit.views.timeline_critical import draw_critical, places
from sagakit.views.timeline_lanes import draw_bands, draw_lane, gutter_width, lane, lane_height
from sagakit.views.timeline_order import ORDER, common_scale, on_scale
from sagakit.views.timeline_retries import collapsed
from sagakit.views.timeline_tree import Tree
from sagakit.views.timeline_words import timeline_alt, timeline_table

PLOT = 640.0
MARGIN = 20.0


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
    scale = common_scale([(bars, marks)], PLOT)
    bars, marks = on_scale(bars, marks, tree, scale)
    undone = tree.with_those_around({bar.step for bar in bars if bar.side == "compensation"})
    lines = tree.lines(names)
    forward = lane(lines, bars, "action", scale, tree.nested)
    backward = lane(tree.lines(undone, backward=True), bars, "compensation", scale, tree.nested)
    gutter = gutter_width(lines)
    left = MARGIN + gutter
    tags = place_tags(marks, scale, left, MARGIN)
    top = 46.0 + tags_height(tags)
    body = [hatches(looks(bars)), *_head(title, status, left)]
    middle = top + lane_height(forward)
    bottom = middle + AXIS + lane_height(backward)
    levels = (top, middle, bottom)
    for rows, y in ((forward, top), (backward, middle + AXIS)):
        body += draw_bands(rows, MARGIN, y, left + PLOT + 8)
    if bars:
        body += axis(scale, left, levels) + lane_words(MARGIN, levels)
    else:
        body.append(label(MARGIN, middle + 18, "nothing has run yet", size=12, fill=MUTED))
    critical = () if scale.unit == ORDER else critical
    spots = places(forward, "action", top) | places(backward, "compensation", middle + AXIS)
    gap = (middle + 4, middle + AXIS - 4)
    joints, stretches = draw_critical(critical, tree, spots, scale, left, gap)
    body.append(joints)
    body += draw_lane(forward, left, gutter, top, PLOT)
    body += draw_lane(backward, left, gutter, middle + AXIS, PLOT)
    body.append(stretches)
    body += mark_lines(marks, scale, left, levels) + draw_tags(tags, top)
    legend, _, height = legend_rows(entries(bars, marks, bool(critical)), gutter + PLOT)
    body.append(f'<g transform="translate({num(MARGIN)} {num(bottom + 16)})">{legend}</g>')
    size = (left + PLOT + MARGIN + 34, bottom + 16 + height + 8)
    return card(*size, title, desc, filter(None, body))


def _head(title: str, status: str, left: float) -> list[str]:
    shown = fit(title, 15, left + PLOT - 180)
    parts = [label(MARGIN, 27, shown, size=15, extra=BOLD)]
    if status:
        parts.append(status_badge(status, left + PLOT))
    return parts


def looks(bars: Sequence[Bar]) -> list[Look]:
    """The looks of the bars' outcomes, for their hatches."""
    return [STATES[name] for name in dict.fromkeys(bar.outcome for bar in bars) if name in STATES]


def entries(bars: Sequence[Bar], marks: Sequence[Mark], critical: bool = False) -> list[Entry]:
    """What the legend explains."""
    outcomes, kinds = {bar.outcome for bar in bars}, {mark.kind for mark in marks}
    found: list[Entry] = [
        (look, look.glyph, name)
        for name, look in {**STATES, **SEGMENTS}.items()
        if name in outcomes
    ]
    found += [(look, look.glyph, name) for name, look in MARKS.items() if name in kinds]
    if any(bar.count > 1 for bar in bars):
        found.append((NEUTRAL, "×n", "attempts that failed in a row"))
    return [*found, ("critical", "", "critical path")] if critical else found


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
