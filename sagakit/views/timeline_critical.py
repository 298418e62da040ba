"""The critical path on a timeline: a heavy line along its bars, and what joins them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sagakit.views.bars import Stretch
from sagakit.views.style import INK
from sagakit.views.svg import num
from sagakit.views.timeline_lanes import Lane
from sagakit.views.timeline_rows import LEAST, bar_place, row_height
from sagakit.views.timeline_tree import Tree
from sagakit.views.timescale import Scale

HEAVY = 3.5

Places = dict[tuple[str, str], float]  # by step and side: where its bars have their upper edge


def places(rows: Lane, side: str, y: float) -> Places:
    """Where the bars of each row stand, the first row beginning at `y`; a summary's for all it
    stands for."""
    found: Places = {}
    for line, row in rows:
        for name in line.hidden or (line.name,):
            found[name, side] = y + bar_place(row)[0]
        y += row_height(row)
    return found


def draw_critical(
    critical: Sequence[Stretch],
    tree: Tree,
    places: Places,
    scale: Scale,
    left: float,
    gap: tuple[float, float],
) -> tuple[str, str]:
    """What joins the stretches in their order, to be drawn below the rows, and the stretches, to be
    drawn above them; the axis starts at `left`, and its words, between the heights in `gap`, stay
    free. Raises ValueError for a stretch without a row."""
    spots = []
    for stretch in critical:
        top = stretch.step if stretch.step in tree.above else None
        hidden = None if top is None else tree.left_out(top)
        y = places.get((hidden or stretch.step, stretch.side))
        if y is None:
            raise ValueError(
                f"the critical path names the {stretch.side} of step {stretch.step!r}, which has "
                "no row; give its bar too"
            )
        start = left + scale.x(stretch.start)
        spots.append((start, max(left + scale.x(stretch.end), start + LEAST), y))
    joints = "".join(_joint(a, b, gap) for a, b in itertools.pairwise(spots))
    bars = "".join(f"M{num(start)} {num(y)}H{num(end)}" for start, end, y in spots)
    return _stroke(joints, 1.4), _stroke(bars, HEAVY)


def _stroke(path: str, width: float) -> str:
    return f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="{width}"/>' if path else ""


def _joint(
    before: tuple[float, float, float], after: tuple[float, float, float], gap: tuple[float, float]
) -> str:
    """From the end of one stretch to the beginning of the next one."""
    (_, x, y), (to, _, under) = before, after
    top, bottom = gap
    down = f"V{num(under)}" if y != under else ""
    if y < top and bottom < under:
        down = f"V{num(top)}M{num(x)} {num(bottom)}V{num(under)}"
    across = f"H{num(to)}" if abs(to - x) > 0.5 else ""
    return f"M{num(x)} {num(y)}{down}{across}" if down or across else ""
