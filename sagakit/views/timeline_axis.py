"""The axis of a timeline between its lanes, and the marks across both."""

from __future__ import annotations

from collections.abc import Sequence

from sagakit.views.bars import Mark
from sagakit.views.style import GRID, MUTED, Look, mark_look
from sagakit.views.svg import fit, label, num, text_width
from sagakit.views.timescale import Scale

AXIS = 32.0  # px between the lanes
TAG = 14.0  # px a line of the marks' words
BOLD = 'font-weight="bold"'

Levels = tuple[float, float, float]  # the upper lane's top and bottom, the lower lane's bottom
Tag = tuple[float, int, str, Look]  # x, the line counted from below, the words


def upright(x: float, levels: Levels) -> str:
    """A vertical path through both lanes, with a gap at the axis where the ticks' words stand."""
    top, middle, bottom = levels
    path = f"M{num(x)} {num(top)}V{num(middle + 4)}"
    under = middle + AXIS
    return path if bottom <= under else f"{path}M{num(x)} {num(under - 4)}V{num(bottom)}"


def axis(scale: Scale, left: float, levels: Levels) -> list[str]:
    """The axis between the lanes and its ticks' grid."""
    middle = levels[1]
    y = middle + AXIS / 2
    parts = []
    for at, text in scale.ticks:
        x = left + scale.x(at)
        parts.append(f'<path d="{upright(x, levels)}" stroke="{GRID}"/>')
        parts.append(label(x, y + 4, text, size=10, fill=MUTED, anchor="middle"))
    parts.append(label(left + scale.width + 14, y + 4, scale.unit, size=10, fill=MUTED, extra=BOLD))
    return parts


def lane_words(x: float, levels: Levels) -> list[str]:
    """Which lane is which."""
    _, middle, bottom = levels
    parts = [label(x, middle + 12, "↑ actions", size=10, fill=MUTED)]
    if bottom > middle + AXIS:
        parts.append(label(x, middle + 24, "↓ compensations", size=10, fill=MUTED))
    return parts


def mark_lines(marks: Sequence[Mark], scale: Scale, left: float, levels: Levels) -> list[str]:
    """A line across both lanes for each mark."""
    parts = []
    for mark in marks:
        look = mark_look(mark.kind)
        path = upright(left + scale.x(mark.at), levels)
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        width = 2 if mark.kind == "pivot" else 1.2
        parts.append(f'<path d="{path}" stroke="{look.stroke}" stroke-width="{width}"{dash}/>')
    return parts


def place_tags(marks: Sequence[Mark], scale: Scale, left: float, least: float) -> list[Tag]:
    """The marks' words, each on the lowest line above the lanes where it is free, none left of
    `least`.

    Beyond four lines a mark keeps its line and loses its words: they would hide the picture.
    """
    free = [0.0] * 4
    placed: list[Tag] = []
    for mark in sorted(marks, key=lambda mark: mark.at):
        look = mark_look(mark.kind)
        text = fit(f"{look.glyph} {mark.text}", 10, 220)
        width = text_width(text, 10)
        x = max(least, min(left + scale.x(mark.at) - width / 2, left + scale.width + 34 - width))
        line = next((i for i, end in enumerate(free) if end <= x), None)
        if line is not None:
            free[line] = x + width + 8
            placed.append((x, line, text, look))
    return placed


def tags_height(tags: Sequence[Tag]) -> float:
    """The height of the marks' words in px."""
    return max((line + 1 for _, line, _, _ in tags), default=0) * TAG


def draw_tags(tags: Sequence[Tag], top: float) -> list[str]:
    """The marks' words above the lanes, which begin at `top`."""
    return [
        label(x, top - line * TAG - 6, text, size=10, fill=look.stroke)
        for x, line, text, look in tags
    ]
