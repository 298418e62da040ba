"""What helps against what: a field for each row and column, with a verdict and a line of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sagakit.views.legend_svg import legend_rows
from sagakit.views.picture import Picture
from sagakit.views.style import Look
from sagakit.views.svg import box, card, fit, hatches, label, num, oneline

_MARGIN, _LABEL, _WIDTH, _HEIGHT = 20.0, 150.0, 128.0, 46.0
_BOLD = 'font-weight="bold"'


class Field(msgspec.Struct, frozen=True):
    """A field: its verdict, which says how it looks, and a few words on it."""

    verdict: str
    words: str


def matrix_picture(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    fields: Mapping[tuple[str, str], Field],
    looks: Mapping[str, Look],
) -> Picture:
    """The fields as a table.

    Parameters:
        fields: by row and column.
        looks: by verdict.
    """
    width = 2 * _MARGIN + _LABEL + _WIDTH * len(columns)
    body = [label(_MARGIN, 28, fit(title, 14, width - 2 * _MARGIN), size=14, extra=_BOLD)]
    for place, name in enumerate(columns):
        x = _MARGIN + _LABEL + _WIDTH * (place + 0.5)
        body.append(label(x, 58, fit(name, 11, _WIDTH - 6), anchor="middle", extra=_BOLD))
    y = 68.0
    for row in rows:
        text = fit(row, 12, _LABEL - 8)
        body.append(label(_MARGIN, y + _HEIGHT / 2 + 1, text, size=12, extra=_BOLD))
        for place, column in enumerate(columns):
            body += _field(fields[row, column], looks, _MARGIN + _LABEL + _WIDTH * place, y)
        y += _HEIGHT
    entries = [(look, look.glyph, verdict) for verdict, look in looks.items()]
    legend, _, height = legend_rows(entries, width - 2 * _MARGIN)
    body.append(f'<g transform="translate({num(_MARGIN)} {num(y + 10)})">{legend}</g>')
    words = "; ".join(
        f"{row}: " + ", ".join(f"{column} {fields[row, column].verdict}" for column in columns)
        for row in rows
    )
    table = (
        ("", *columns),
        *((row, *(_words(fields[row, column]) for column in columns)) for row in rows),
    )
    drawn = card(width, y + height + 20, title, words, [hatches(looks.values()), *body])
    return Picture(svg=drawn, alt=oneline(f"{title}. {words}"), table=table, caption=title)


def _field(field: Field, looks: Mapping[str, Look], x: float, y: float) -> list[str]:
    look = looks[field.verdict]
    middle = x + _WIDTH / 2
    room = _WIDTH - 14
    verdict, words = fit(f"{look.glyph} {field.verdict}", 11, room), fit(field.words, 10, room)
    return [
        box(look, "square", x + 3, y + 3, _WIDTH - 6, _HEIGHT - 6, 1.2),
        label(middle, y + 20, verdict, anchor="middle", extra=_BOLD),
        label(middle, y + 35, words, size=10, anchor="middle"),
    ]


def _words(field: Field) -> str:
    return f"{field.verdict}: {field.words}" if field.words else field.verdict
