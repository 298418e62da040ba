"""The legend line under a picture (a swatch, a glyph and a word for each look it uses), and the
badge above it that says how an execution stands."""

from __future__ import annotations

from collections.abc import Iterable

from sagakit.views.style import CARD, INK, MUTED, NO_STATE, Look, status_look
from sagakit.views.svg import box, label, num, outline, sheet, text_width

ROW = 19.0
_SWATCH = 16.0
_GAP = 16.0

# What the swatch shows (a look, or a kind's shape), the glyph, the words.
Entry = tuple[Look | str, str, str]


def legend_rows(entries: Iterable[Entry], width: float) -> tuple[str, float, float]:
    """The legend wrapped at `width` px: its SVG from (0, 0) down, its width and its height."""
    parts: list[str] = []
    x = y = widest = 0.0
    for sample, glyph, words in entries:
        text = f"{glyph} {words}".lstrip()
        step = _SWATCH + 5 + text_width(text, 10)
        if x and x + step > width:
            x, y = 0.0, y + ROW
        look, shape = (NO_STATE, sample) if isinstance(sample, str) else (sample, "square")
        inset = 2.5 if shape == "double" else 0.0
        size = (_SWATCH - 2 * inset, 11 - 2 * inset)
        if shape == "stacked":
            size = (_SWATCH - 3, 8.0)
            parts.append(sheet(look, "round", x - 1, y - 1, *size))
        parts.append(box(look, shape, x + inset, y + inset, *size, 1.2))
        if shape == "framed":
            panel = outline("square", x + 3, y + 4, _SWATCH - 6, 4.5)
            parts.append(f'<path d="{panel}" fill="{CARD}" stroke="{look.stroke}"/>')
        if shape == "critical":
            parts.append(f'<path d="M{num(x)} {num(y)}h16" stroke="{INK}" stroke-width="3.5"/>')
        parts.append(label(x + _SWATCH + 5, y + 9.5, text, size=10, fill=MUTED))
        widest = max(widest, x + step)
        x += step + _GAP
    return "".join(parts), widest, (y + ROW if parts else 0.0)


def status_badge(status: str, right: float) -> str:
    """An execution's status on a rounded field that ends at `right` px, on the title's line."""
    look = status_look(status)
    text = f"{look.glyph} {status}"
    width = text_width(text, 12) + 18
    x = right - width
    field = (
        f'<rect x="{num(x)}" y="13" width="{num(width)}" height="20" rx="10" '
        f'fill="{look.fill}" stroke="{look.stroke}"/>'
    )
    return field + label(x + width / 2, 27, text, size=12, anchor="middle")
