"""An ER diagram in crow's-foot notation: entities as boxes, by group, and lines between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagakit.views.er_columns import ROW
from sagakit.views.er_data import ErBox, ErEnd, ErLine, ErRow
from sagakit.views.er_layout import SIZE, Frame, Place, Route, er_layout
from sagakit.views.picture import Picture
from sagakit.views.style import (
    BLACK,
    BLUE,
    CARD,
    EDGE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    WHITE,
    YELLOW,
    mix,
)
from sagakit.views.svg import card, fit, label, num, outline, text_width

_MARGIN = 20.0
_HUES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW)
_BOLD = 'font-weight="bold"'
_ITALIC = 'font-style="italic"'
_MOST_IN_WORDS = 12
_HEADER = ("entity", "service", "field", "type", "key", "optional")


def er_picture(title: str, boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> Picture:
    """The entities and what they have to do with each other, as a picture, in words, as a table.

    Raises ValueError for a line to a box or a row that there is not.
    """
    _check(boxes, lines)
    layout = er_layout(boxes, lines)
    hues = dict(zip(dict.fromkeys(box.group for box in boxes), _hues(), strict=False))
    body = [label(_MARGIN, 28, title, size=14, extra=_BOLD)]
    body.append(f'<g transform="translate({num(_MARGIN)} 44)">')
    body += [_frame(frame, hues[frame.name]) for frame in layout.frames]
    body += [
        part
        for line, route in zip(lines, layout.routes, strict=True)
        for part in _line(line, route)
    ]
    body += [
        part
        for box, place in zip(boxes, layout.boxes, strict=True)
        for part in _box(box, place, hues[box.group])
    ]
    body.append("</g>")
    legend, width = _legend(boxes, lines, _MARGIN, 44 + layout.height + 24)
    body += legend
    whole = max(layout.width, width, text_width(title, 15)) + 2 * _MARGIN
    height = 44 + layout.height + (46 if legend else 20)
    alt = _alt(title, boxes)
    drawn = card(whole, height, title, alt, body)
    return Picture(svg=drawn, alt=alt, table=_table(boxes), caption=_caption(title, boxes))


def _check(boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> None:
    for line in lines:
        for end in (line.first, line.second):
            if not 0 <= end.box < len(boxes):
                raise ValueError(f"{end!r}: there are {len(boxes)} boxes")
            rows = boxes[end.box].rows
            if end.row is not None and not 0 <= end.row < len(rows):
                raise ValueError(f"{end!r}: {boxes[end.box].name!r} has {len(rows)} rows")


def _hues() -> Iterator[str]:
    while True:
        yield from _HUES


# -- the drawing ------------------------------------------------------------------------------


def _frame(frame: Frame, hue: str) -> str:
    path = outline("round", frame.x, frame.y, frame.w, frame.h)
    words = label(
        frame.x + 12, frame.y + 16, fit(frame.name or "no service", 11, frame.w - 24),
        fill=MUTED, extra=_BOLD,
    )  # fmt: skip
    return (
        f'<path d="{path}" fill="{mix(WHITE, hue, 0.06)}" stroke="{mix(WHITE, hue, 0.5)}"/>{words}'
    )


def _box(box: ErBox, place: Place, hue: str) -> Iterator[str]:
    stroke = mix(hue, BLACK, 0.35)
    path = outline("panel", place.x, place.y, place.w, place.h)
    yield f'<path d="{path}" fill="{WHITE}" stroke="{stroke}" stroke-width="1.4"/>'
    yield (
        f'<path d="{_head(place)}" fill="{mix(WHITE, hue, 0.28)}" stroke="{stroke}" '
        'stroke-width="1.4"/>'
    )
    note = text_width(box.note, 10) + 10 if box.note else 0
    middle = place.y + place.head / 2 + 4
    name = fit(box.name, 12, (place.w - 18 - note) / 1.1)
    yield label(place.x + 9, middle, name, size=12, extra=_BOLD)
    if box.note:
        right = place.x + place.w - 9
        yield label(right, middle, box.note, size=10, fill=MUTED, anchor="end", extra=_ITALIC)
    for number, row in enumerate(box.rows):
        yield from _row(row, place, place.y + place.head + ROW * (number + 0.5) + 2)


def _head(place: Place) -> str:
    """The upper part of a box, round at its two upper corners only."""
    return (
        f"M{num(place.x + 5)} {num(place.y)}h{num(place.w - 10)}a5 5 0 0 1 5 5"
        f"v{num(place.head - 5)}h{num(-place.w)}v{num(5 - place.head)}a5 5 0 0 1 5 -5z"
    )


def _row(row: ErRow, place: Place, y: float) -> Iterator[str]:
    if row.key:
        yield _key(place.x + 8, y)
    room = place.w - 43
    words = f"{row.words}?" if row.optional else row.words
    name = fit(row.name, SIZE, room - min(text_width(words, SIZE), room * 0.4))
    words = fit(words, SIZE, room - text_width(name, SIZE))
    extra = _BOLD if row.key else _ITALIC if row.relation else ""
    yield label(place.x + 26, y + 4, name, size=SIZE, extra=extra)
    right = place.x + place.w - 9
    extra = _ITALIC if row.relation else ""
    yield label(right, y + 4, words, size=SIZE, fill=MUTED, anchor="end", extra=extra)


def _key(x: float, y: float) -> str:
    """A small key that begins at `x` px, its shaft at the height `y`."""
    return (
        f'<path d="M{num(x + 6)} {num(y)}a3 3 0 1 0 -6 0a3 3 0 1 0 6 0h7v3m-2.5 -3v2.5" '
        f'fill="none" stroke="{INK}" stroke-width="1.3"/>'
    )


def _line(line: ErLine, route: Route) -> Iterator[str]:
    (x, y), *rest = route.points
    way = f"M{num(x)} {num(y)}" + "".join(f"L{num(a)} {num(b)}" for a, b in rest)
    dash = ' stroke-dasharray="5 3"' if line.loose else ""
    yield (
        f'<path d="{way}" fill="none" stroke="{EDGE}" stroke-width="1.4" '
        f'stroke-linejoin="round"{dash}/>'
    )
    for end, near, far in (
        (line.first, route.points[0], route.points[1]),
        (line.second, route.points[-1], route.points[-2]),
    ):
        yield _foot(end, *near, 1 if far[0] > near[0] else -1)


def _foot(end: ErEnd, x: float, y: float, side: int) -> str:
    """What says how many there are, from a box's edge at (`x`, `y`) outward."""
    circle = x + side * (16 if end.many else 14)
    if end.many:
        tip = num(x + side * 12)
        way = f"M{num(x)} {num(y - 5)}L{tip} {num(y)}L{num(x)} {num(y + 5)}"
    else:
        bars = (7,) if end.optional else (7, 12)
        way = "".join(f"M{num(x + side * bar)} {num(y - 5)}v10" for bar in bars)
    mark = f'<path d="{way}" fill="none" stroke="{EDGE}" stroke-width="1.4"/>'
    if end.optional:
        mark += (
            f'<circle cx="{num(circle)}" cy="{num(y)}" r="3.5" fill="{CARD}" stroke="{EDGE}" '
            'stroke-width="1.4"/>'
        )
    return mark


# -- the legend ---------------------------------------------------------------------------------


def _legend(
    boxes: Sequence[ErBox], lines: Sequence[ErLine], x: float, y: float
) -> tuple[list[str], float]:
    """What the signs mean that the picture has, in a line at the height `y`, and its width."""
    rows = [row for box in boxes for row in box.rows]
    ends = [end for line in lines for end in (line.first, line.second)]
    parts: list[str] = []
    start = x
    if any(row.key for row in rows):
        parts.append(_key(x, y))
        x = _words(parts, x + 18, y, "a row is found by it")
    if any(row.optional for row in rows):
        parts.append(label(x, y + 4, "?", size=SIZE, fill=MUTED))
        x = _words(parts, x + 11, y, "may be left out")
    for many, optional, words in (
        (False, False, "one"),
        (False, True, "one or none"),
        (True, True, "any number"),
    ):
        if any((end.many, end.optional) == (many, optional) for end in ends):
            end = ErEnd(box=0, many=many, optional=optional)
            parts.append(f'<path d="M{num(x)} {num(y)}h30" stroke="{EDGE}" stroke-width="1.4"/>')
            parts.append(_foot(end, x, y, 1))
            x = _words(parts, x + 36, y, words)
    if any(line.loose for line in lines):
        parts.append(
            f'<path d="M{num(x)} {num(y)}h30" stroke="{EDGE}" stroke-width="1.4" '
            'stroke-dasharray="5 3"/>'
        )
        x = _words(parts, x + 36, y, "into another database: the key alone")
    return parts, x - start


def _words(parts: list[str], x: float, y: float, words: str) -> float:
    """Adds words to the legend and gives where the next sign may stand."""
    parts.append(label(x, y + 4, words, size=10, fill=MUTED))
    return x + text_width(words, 10) + 16


# -- in words ------------------------------------------------------------------------------------


def _caption(title: str, boxes: Sequence[ErBox]) -> str:
    count = len(boxes)
    return f"{title}: {count} {'entity' if count == 1 else 'entities'}"


def _alt(title: str, boxes: Sequence[ErBox]) -> str:
    said = _caption(title, boxes)
    if not boxes or len(boxes) > _MOST_IN_WORDS:
        return said
    return f"{said}: {'; '.join(map(_said, boxes))}"


def _said(box: ErBox) -> str:
    of = f" of {box.group}" if box.group else ""
    fields = ", ".join(row.name + (" (key)" if row.key else "") for row in box.rows)
    return f"{box.name}{of} has {fields or 'no field'}"


def _table(boxes: Sequence[ErBox]) -> tuple[tuple[str, ...], ...]:
    rows = [
        (box.name, box.group, row.name, row.words, _yes(row.key), _yes(row.optional))
        for box in boxes
        for row in box.rows or (ErRow(name=""),)
    ]
    return (_HEADER, *rows) if rows else ()


def _yes(value: bool) -> str:
    return "yes" if value else ""
