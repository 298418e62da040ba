"""The lines of a flow: edges from border to border, and the line of the point of no return."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sagakit.views.layered import Layout
from sagakit.views.style import EDGE, NO_STATE
from sagakit.views.svg import arrow, label, num

# The middle of a step, and how far its box reaches left and right of it (not its twin's box).
Border = tuple[float, float, float]


def draw_edges(
    plan: Layout,
    pairs: Sequence[tuple[int, int]],
    borders: Sequence[Border],
    dx: float,
    dy: float,
) -> str:
    """The edges in one path, then their arrowheads."""
    lines, heads = [], []
    for (a, b), route in zip(pairs, plan.routes, strict=True):
        if a == b:
            continue
        start, end = borders[a][0] + borders[a][2], borders[b][0] - borders[b][1]
        lines.append(_curve(plan, route, start, end, dx, dy))
        heads.append(arrow(end, route[-1][1] + dy, EDGE))
    return (
        f'<path d="{"".join(lines)}" fill="none" stroke="{EDGE}" stroke-width="1.4"/>'
        + "".join(heads)
        if lines
        else ""
    )


def _curve(
    plan: Layout, route: list[tuple[int, float]], x: float, end: float, dx: float, dy: float
) -> str:
    """A smooth path that bends only between layers: within one it has a place of its own."""
    path = [f"M{num(x)} {num(route[0][1] + dy)}"]
    for (layer, y), (to, y2) in itertools.pairwise(route):
        start, stop = plan.columns[layer][1] + dx, plan.columns[to][0] + dx
        if to == route[-1][0]:
            stop = min(stop, end) - 6
        bend = (stop - start) / 2
        path.append(
            f"H{num(start)}C{num(start + bend)} {num(y + dy)} {num(stop - bend)} "
            f"{num(y2 + dy)} {num(stop)} {num(y2 + dy)}"
        )
    path.append(f"H{num(end - 6)}")
    return "".join(path)


def line_x(plan: Layout, pivot: int, dx: float) -> float:
    """Where the line of the point of no return stands."""
    return plan.columns[plan.layer_of[pivot]][1] + dx + 34


def draw_pivot_line(x: float, top: float, base: float) -> str:
    """The line through a level from `top` to `base`, its words above it."""
    colour = NO_STATE.stroke
    return (
        f'<path d="M{num(x)} {num(top - 6)}V{num(base + 4)}" stroke="{colour}" stroke-width="1.5" '
        f'stroke-dasharray="6 4" fill="none"/>'
        + label(x, top - 12, "point of no return", size=11, fill=colour, anchor="middle")
    )
