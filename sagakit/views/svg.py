"""Small SVG parts: escaping, estimated text widths, shapes, hatches, the card they stand on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from html import escape

from sagakit.views.style import CARD, CARD_LINE, FONT, HATCH_OPACITY, INK, Look

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Helvetica's advance widths in thousandths of an em, from the space to the tilde.
_ADVANCES = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 "
    "556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 500 667 556 833 "
    "722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 556 333 556 556 500 556 "
    "556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 278 556 500 722 500 500 500 334 "
    "260 334 584"
)
_EMS = {chr(32 + i): int(width) / 1000 for i, width in enumerate(_ADVANCES.split())}
# The viewer's font is unknown; DejaVu Sans and bold faces run this much wider than Helvetica.
_SLACK = 1.13


def clean(text: str) -> str:
    """`text` with the characters that XML forbids replaced by U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)


def oneline(text: str) -> str:
    """`text` cleaned, its whitespace (newlines too) collapsed to single spaces."""
    return " ".join(clean(text).split())


def esc(text: str) -> str:
    """`text` cleaned and escaped for XML content and attributes."""
    return escape(clean(text))


def num(value: float) -> str:
    """A coordinate in at most one decimal, without a trailing ".0" or a negative zero."""
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


@lru_cache(maxsize=4096)
def _em(char: str) -> float:
    if char in _EMS:
        return _EMS[char]
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 1.25 if ord(char) >= 0x1F000 else 1.0
    return 0.8


def text_width(text: str, size: float) -> float:
    """The estimated width of `text` in px at `size` px; rather too wide than too narrow."""
    return sum(map(_em, text)) * size * _SLACK


def fit(text: str, size: float, width: float) -> str:
    """`text` on one line, cut with an ellipsis where it would be wider than `width` px."""
    text = oneline(text)
    if len(text) < 400 and text_width(text, size) <= width:
        return text
    left = width / (size * _SLACK) - _em("…")
    for end, char in enumerate(text):
        left -= _em(char)
        if left < 0:
            return text[:end].rstrip() + "…"
    return text


def label(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 11,
    fill: str = INK,
    anchor: str = "start",
    extra: str = "",
) -> str:
    """A line of text whose baseline stands at (`x`, `y`); `extra` holds further attributes."""
    tail = f" {extra}" if extra else ""
    return (
        f'<text x="{num(x)}" y="{num(y)}" font-size="{num(size)}" fill="{fill}" '
        f'text-anchor="{anchor}"{tail}>{esc(text)}</text>'
    )


def outline(shape: str, x: float, y: float, w: float, h: float, port: float | None = None) -> str:
    """An SVG path of a box of the given shape: "round", "double", "pointed", "panel" or "square".

    The tip of "pointed" stands `port` px below its top, by default in the middle.
    """
    if shape == "pointed":
        tip, down = min(9.0, w / 4), h / 2 if port is None else port
        return (
            f"M{num(x)} {num(y)}h{num(w - tip)}l{num(tip)} {num(down)}"
            f"l{num(-tip)} {num(h - down)}h{num(tip - w)}z"
        )
    r = {"round": 9.0, "double": 5.0, "panel": 5.0}.get(shape, 1.0)
    r = min(r, w / 2, h / 2)
    arc = f"a{num(r)} {num(r)} 0 0 1"
    return (
        f"M{num(x + r)} {num(y)}h{num(w - 2 * r)}{arc} {num(r)} {num(r)}v{num(h - 2 * r)}"
        f"{arc} {num(-r)} {num(r)}h{num(2 * r - w)}{arc} {num(-r)} {num(-r)}"
        f"v{num(2 * r - h)}{arc} {num(r)} {num(-r)}z"
    )


def box(
    look: Look,
    shape: str,
    x: float,
    y: float,
    w: float,
    h: float,
    line: float = 1.5,
    port: float | None = None,
) -> str:
    """A filled, hatched and bordered box; "double" gets a second border outside the first."""
    path = outline(shape, x, y, w, h, port)
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    parts = [f'<path d="{path}" fill="{look.fill}"/>']
    if look.hatch:
        parts.append(f'<path d="{path}" fill="url(#{hatch_id(look)})"/>')
    parts.append(
        f'<path d="{path}" fill="none" stroke="{look.stroke}" stroke-width="{num(line)}"{dash}/>'
    )
    if shape == "double":
        outer = outline("round", x - 4, y - 4, w + 8, h + 8)
        parts.append(f'<path d="{outer}" fill="none" stroke="{look.stroke}" stroke-width="1.5"/>')
    return "".join(parts)


def boxes(look: Look, spans: Iterable[tuple[float, float]], y: float, h: float) -> str:
    """Many square boxes of one look in a row, as short text: each from x on, so wide (px)."""
    path = "".join(f"M{num(x)} {num(y)}h{num(w)}v{num(h)}h{num(-w)}z" for x, w in spans)
    dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
    hatch = f'<path d="{path}" fill="url(#{hatch_id(look)})"/>' if look.hatch else ""
    return (
        f'<path d="{path}" fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.2"{dash}/>'
        f"{hatch}"
    )


def sheet(look: Look, shape: str, x: float, y: float, w: float, h: float) -> str:
    """A second sheet that looks out from behind a box, 4 px to the right and below it."""
    if shape == "double":  # its outer border is what the sheet stands behind
        shape, x, y, w, h = "round", x - 4, y - 4, w + 8, h + 8
    path = outline(shape, x + 4, y + 4, w, h)
    return f'<path d="{path}" fill="{look.fill}" stroke="{look.stroke}" stroke-width="1.2"/>'


def hatch_id(look: Look) -> str:
    """The id of the pattern that hatches a look; its colour is part of it."""
    return f"{look.hatch}-{look.stroke[1:]}"


_HATCHES = {
    "cross": "M0 0L7 7M7 0L0 7",
    "back": "M0 0L7 7",
    "grid": "M0 3.5H7M3.5 0V7",
    "dots": "M2 3.5h1.6M5.5 0h1.6M5.5 7h1.6",
}


def hatches(looks: Iterable[Look]) -> str:
    """The `<defs>` with one pattern for each hatched look among `looks`."""
    used = {hatch_id(look): look for look in looks if look.hatch}
    patterns = [
        f'<pattern id="{name}" width="7" height="7" patternUnits="userSpaceOnUse">'
        f'<path d="{_HATCHES[look.hatch]}" stroke="{look.stroke}" '
        f'stroke-opacity="{HATCH_OPACITY}" fill="none"/></pattern>'
        for name, look in sorted(used.items())
    ]
    return f"<defs>{''.join(patterns)}</defs>" if patterns else ""


def arrow(x: float, y: float, colour: str) -> str:
    """A small arrowhead pointing right, its tip at (`x`, `y`)."""
    return f'<path d="M{num(x)} {num(y)}l-8 -4v8z" fill="{colour}"/>'


def card(width: float, height: float, title: str, desc: str, body: Iterable[str]) -> str:
    """A whole SVG document of `width` by `height` px: `body` on an opaque, rounded, light card.

    The card is opaque so that the picture keeps its contrast on dark pages too.
    """
    w, h = num(width), num(height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}" font-family="{FONT}">\n<title>{esc(oneline(title))}</title>\n'
        f"<desc>{esc(oneline(desc))}</desc>\n{backdrop(0, 0, width, height)}\n"
        + "\n".join(body)
        + "\n</svg>\n"
    )


def backdrop(x: float, y: float, width: float, height: float) -> str:
    """The card itself: an opaque rounded rectangle with a hairline border."""
    return (
        f'<rect x="{num(x + 0.5)}" y="{num(y + 0.5)}" width="{num(width - 1)}" '
        f'height="{num(height - 1)}" rx="10" fill="{CARD}" stroke="{CARD_LINE}"/>'
    )
