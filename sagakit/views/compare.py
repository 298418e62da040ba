"""Two executions side by side: one scale, rows aligned by step, what differs marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sagakit.views.bars import Bar
from sagakit.views.contrasts import FACTOR, Contrast, Course, contrasts, merged
from sagakit.views.few import few
from sagakit.views.legend_svg import legend_rows, status_badge
from sagakit.views.picture import Picture
from sagakit.views.style import DIFFERS
from sagakit.views.svg import card, fit, hatches, label, num
from sagakit.views.timeline import MARGIN, entries, looks
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
from sagakit.views.timeline_lanes import (
    Lane,
    draw_bands,
    draw_lane,
    gutter_width,
    lane,
    lane_height,
)
from sagakit.views.timeline_order import common_scale, on_scale
from sagakit.views.timeline_retries import collapsed
from sagakit.views.timeline_rows import row_height
from sagakit.views.timeline_tree import Tree
from sagakit.views.timescale import Scale

PANEL = 290.0
_GAP = 44.0  # between the panels: the words of the last bars reach into it
_WORDS = 236.0  # what differs, right of the panels
_MOST_LINES = 500
_MOST_NAMES = 8
_Found = dict[tuple[str, str], list[Contrast]]  # by step and side


def compare_svg(title: str, first: Course, second: Course, factor: float = FACTOR) -> str:
    """Two executions as an SVG document: A, the first, on the left and B on the right.

    Both have the same scale and a row for each step that either has. What differs (see
    `contrasts`) has a field behind its row and words beside it. Raises ValueError for a factor that
    is not above 1 and for an outcome, mark or status that the legend does not know.
    """
    found: _Found = {}
    for contrast in contrasts(first, second, factor):
        found.setdefault((contrast.step, contrast.side), []).append(contrast)
    desc = compare_alt(title, first, second, factor)
    courses = [_shortened(course) for course in (first, second)]
    names = merged(courses[0].names, courses[1].names)
    tree = Tree(names, _outcomes(courses, found))
    scale = common_scale([(course.bars, course.marks) for course in courses], PANEL, 5)
    told = [on_scale(course.bars, course.marks, tree, scale) for course in courses]
    bars = [bar for course in courses for bar in course.bars]
    forward, backward = _lanes(courses, [bars for bars, _ in told], names, tree, scale)
    gutter = gutter_width([line for line, _ in forward[0]])
    lefts = [MARGIN + gutter, MARGIN + gutter + PANEL + _GAP]
    tags = [
        place_tags(marks, scale, left, left - 20)
        for (_, marks), left in zip(told, lefts, strict=True)
    ]
    top = 84.0 + max(map(tags_height, tags))
    middle = top + lane_height(forward[0])
    levels = (top, middle, middle + AXIS + lane_height(backward[0]))
    right = lefts[1] + PANEL + _GAP
    body = [hatches([*looks(bars), DIFFERS]), *_head(title, courses, lefts, found.get(("", "")))]
    for rows, side, y in ((forward, "action", top), (backward, "compensation", middle + AXIS)):
        body += draw_bands(rows[0], MARGIN, y, lefts[1] + PANEL + 8)
        body += _differing(rows[0], side, found, y, right)
    body += lane_words(MARGIN, levels)
    for i, left in enumerate(lefts):
        body += axis(scale, left, levels)
        body += draw_lane(forward[i], left, gutter, top, PANEL)
        body += draw_lane(backward[i], left, gutter, middle + AXIS, PANEL)
        body += mark_lines(told[i][1], scale, left, levels) + draw_tags(tags[i], top)
    marks = [mark for course in courses for mark in course.marks]
    words = f"what differs (time: by more than ×{factor:g})"
    legend, _, height = legend_rows(
        [*entries(bars, marks), (DIFFERS, DIFFERS.glyph, words)], right + _WORDS - 2 * MARGIN
    )
    body.append(f'<g transform="translate({num(MARGIN)} {num(levels[2] + 16)})">{legend}</g>')
    size = (right + _WORDS, levels[2] + 16 + height + 8)
    return card(*size, title, desc, filter(None, body))


def _shortened(course: Course) -> Course:
    bars = tuple(bar for bar, _ in collapsed(course.bars))
    return msgspec.structs.replace(course, bars=bars, steps=course.names)


def _outcomes(courses: Sequence[Course], found: _Found) -> dict[str, str]:
    """By what the rare ones among many steps are told: how they ended, and what differs."""
    ends = [{bar.step: bar.outcome for bar in course.bars} for course in courses]
    differs: dict[str, str] = {}
    for (step, _), some in found.items():
        differs[step] = differs.get(step, "") + " ".join(contrast.what for contrast in some)
    return {
        step: f"{ends[0].get(step)} {ends[1].get(step)} {differs.get(step, '')}"
        for step in {**ends[0], **ends[1], **differs}
    }


def _lanes(
    courses: Sequence[Course],
    bars: Sequence[Sequence[Bar]],
    names: Sequence[str],
    tree: Tree,
    scale: Scale,
) -> tuple[list[Lane], list[Lane]]:
    """The rows of actions and those of compensations, of each execution, aligned."""
    undone = {bar.step for some in bars for bar in some if bar.side == "compensation"}
    forward = tree.lines(names)
    backward = tree.lines(tree.with_those_around(undone), backward=True)
    lanes = []
    for side, lines in (("action", forward), ("compensation", backward)):
        both = [lane(lines, some, side, scale, tree.nested) for some in bars]
        if side == "action":
            both = [_absent(rows, course) for rows, course in zip(both, courses, strict=True)]
        lanes.append(_aligned(*both))
    return lanes[0], lanes[1]


def _absent(rows: Lane, course: Course) -> Lane:
    """The rows, those of steps that the execution does not have saying so."""
    known = set(course.names)
    return [
        (line, row)
        if line.hidden or line.name in known
        else (line, msgspec.structs.replace(row, idle="no such step"))
        for line, row in rows
    ]


def _aligned(first: Lane, second: Lane) -> list[Lane]:
    """Both with rows of the same heights; only the first has their names."""
    lanes: list[Lane] = [[], []]
    for (line, one), (_, two) in zip(first, second, strict=True):
        high = max(row_height(one), row_height(two))
        for rows, row, name in ((lanes[0], one, one.name), (lanes[1], two, "")):
            worded = row_height(row) < high
            rows.append((line, msgspec.structs.replace(row, name=name, worded=worded)))
    return lanes


def _head(
    title: str, courses: Sequence[Course], lefts: Sequence[float], whole: list[Contrast] | None
) -> list[str]:
    """The title; over each panel whose it is and how it ended; what differs of the whole."""
    parts = [label(MARGIN, 27, fit(title, 15, lefts[1] + PANEL - MARGIN), size=15, extra=BOLD)]
    for name, course, left in zip("AB", courses, lefts, strict=True):
        room = PANEL - (110 if course.status else 0)
        text = fit(f"{name}  {course.title}", 12, room)
        parts.append(label(left, 62, text, size=12, extra=BOLD))
        if course.status:
            badge = status_badge(course.status, left + PANEL)
            parts.append(f'<g transform="translate(0 35)">{badge}</g>')
    if whole:
        text = f"{DIFFERS.glyph} {_words(whole)}"
        parts.append(label(lefts[1] + PANEL + _GAP, 62, fit(text, 10, _WORDS - 10), size=10))
    return parts


def _words(some: Iterable[Contrast]) -> str:
    return " · ".join(contrast.words for contrast in some)


def _differing(rows: Lane, side: str, found: _Found, y: float, right: float) -> list[str]:
    """A field behind each row with differences, and what they are to its right."""
    parts = []
    for line, row in rows:
        height = row_height(row)
        some = [found[name, side] for name in line.hidden or (line.name,) if (name, side) in found]
        if some:
            words = f"{len(some):,} of these differ" if line.hidden else _words(some[0])
            text = fit(f"{DIFFERS.glyph} {words}", 10, _WORDS - 10)
            parts.append(
                f'<rect x="{num(MARGIN - 6)}" y="{num(y + 1)}" '
                f'width="{num(right + _WORDS - MARGIN - 2)}" height="{num(height - 2)}" rx="4" '
                f'fill="{DIFFERS.fill}" fill-opacity="0.55"/>'
            )
            base = y + (11 if row.tight else 16)
            parts.append(label(right, base, text, size=10))
        y += height
    return parts


def compare_alt(title: str, first: Course, second: Course, factor: float = FACTOR) -> str:
    """One sentence for readers who cannot see the picture."""
    found: dict[str, list[Contrast]] = {}
    for contrast in contrasts(first, second, factor):
        back = "compensation of " if contrast.side == "compensation" else ""
        found.setdefault(f"{back}{contrast.step}" or "the whole", []).append(contrast)
    sides = [
        f"{name}, {course.title!r}{f' ({course.status})' if course.status else ''}"
        for name, course in (("A", first), ("B", second))
    ]
    count = sum(map(len, found.values()))
    words = f"{count:,} difference{'' if count == 1 else 's'}" if count else "no differences"
    parts = [f"{step} ({_words(some)})" for step, some in list(found.items())[:_MOST_NAMES]]
    if len(found) > _MOST_NAMES:
        parts.append(f"and {len(found) - _MOST_NAMES:,} more")
    tail = f": {'; '.join(parts)}" if parts else ""
    return f"comparison of {title!r}: {sides[0]}, and {sides[1]}; {words}{tail}"


def compare_table(found: Sequence[Contrast]) -> tuple[tuple[str, ...], ...]:
    """The differences as a table, header first; of very many the rare ones and the first."""
    shown = few([contrast.what for contrast in found], _MOST_LINES)
    rows = [
        (c.step or "the whole", c.side, c.what, c.first, c.second)
        for c in (found[i] for i in shown)
    ]
    if len(rows) < len(found):
        rows.append(("…", "", f"{len(found) - len(rows):,} more", "", ""))
    return (("step", "side", "what differs", "A", "B"), *rows)


def compare_picture(title: str, first: Course, second: Course, factor: float = FACTOR) -> Picture:
    """The comparison as a `Picture` for notebooks, with what differs as a table; see
    `compare_svg`."""
    return Picture(
        svg=compare_svg(title, first, second, factor),
        alt=compare_alt(title, first, second, factor),
        table=compare_table(contrasts(first, second, factor)),
        caption=f"comparison of {title!r}",
    )
