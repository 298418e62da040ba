"""Who said what to whom, as a picture of our own: it shows wherever Mermaid does not."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from sagakit.views.picture import Picture
from sagakit.views.sequence import Message, arrow_of, shortened
from sagakit.views.style import EDGE, GRID, INK, MARKS, MUTED, NEUTRAL, NO_STATE
from sagakit.views.svg import box, card, fit, label, num, oneline, text_width

_MARGIN, _HEAD, _LINE = 20.0, 26.0, 15.0
_LEAST, _MOST = 150.0, 330.0  # px between two lifelines
_TEXT = 11.0
_BOLD = 'font-weight="bold"'
_MARK = MARKS["pivot"].glyph  # before a line of a message that matters
_MARKED = "#a34700"
_FAILED = ("✗", "⊘")
_MOST_MESSAGES = 150


def sequence_picture(
    title: str,
    participants: Sequence[str],
    messages: Sequence[Message],
    stores: Collection[str] = (),
) -> Picture:
    """A sequence diagram: participants from left to right, messages downwards.

    Parameters:
        participants: those who speak or are spoken to, all of them.
        messages: lines of their texts that begin with ◆ stand out. Of more than 150 the rare kinds
            and the first of the others are drawn; the table has all.
        stores: those participants that only answer: data, drawn with square corners.

    Raises ValueError for an unknown kind of message.
    """
    table = tuple((m.sender, m.receiver, oneline(_signed(m))) for m in messages)
    if len(messages) > _MOST_MESSAGES:
        messages = shortened(messages, _MOST_MESSAGES)
    gap = _gap(messages)
    at = {name: _MARGIN + gap / 2 + gap * place for place, name in enumerate(participants)}
    width = 2 * _MARGIN + gap * len(participants)
    y = 48.0
    parts = [label(_MARGIN, 27, fit(title, 14, width - 2 * _MARGIN), size=14, extra=_BOLD)]
    heads = list(_heads(at, gap, stores, y))
    y += _HEAD + 6
    body: list[str] = []
    for message in messages:
        drawn, y = _message(message, at, gap, y)
        body += drawn
    y += 10
    lines = [
        f'<path d="M{num(x)} {num(48 + _HEAD)}V{num(y)}" stroke="{EDGE}" stroke-dasharray="2 4"/>'
        for x in at.values()
    ]
    words = "; ".join(_words(message) for message in messages)
    return Picture(
        svg=card(width, y + 14, title, words, [*parts, *lines, *heads, *body]),
        alt=f"{title}: {oneline(words)}",
        table=(("from", "to", "what"), *table),
        caption=title,
    )


def _gap(messages: Sequence[Message]) -> float:
    widest = (text_width(line, _TEXT) for m in messages for line in _signed(m).splitlines())
    return min(max(_LEAST, max(widest, default=0.0) + 28), _MOST)


def _heads(at: dict[str, float], gap: float, stores: Collection[str], y: float) -> Iterator[str]:
    for name, x in at.items():
        text = fit(name, 12, gap - 40)
        width = max(text_width(text, 12) + 28, 70)
        look, shape = (NEUTRAL, "square") if name in stores else (NO_STATE, "round")
        yield box(look, shape, x - width / 2, y, width, _HEAD)
        yield label(x, y + 17.5, text, size=12, anchor="middle", extra=_BOLD)


def _message(
    message: Message, at: dict[str, float], gap: float, y: float
) -> tuple[list[str], float]:
    """A message from y (px) down, and where it ends."""
    start, end = at[message.sender], at[message.receiver]
    lines = _signed(message).splitlines()
    if message.kind == "note":
        return _note(lines, min(start, end), max(start, end), gap, y)
    tip = 8 if end > start else -8
    drawn = []
    for line in lines:  # beside its sender, where no lifeline crosses it
        y += _LINE
        drawn.append(_text(line, start + gap * tip / 16, y, gap - 16))
    y += 7
    dash = "" if message.kind == "request" else ' stroke-dasharray="5 3"'
    drawn.append(
        f'<path d="M{num(start)} {num(y)}H{num(end - tip)}" stroke="{INK}" '
        f'stroke-width="1.3"{dash}/>'
        f'<path d="M{num(end)} {num(y)}l{num(-tip)} -4v8z" fill="{INK}"/>'
    )
    return drawn, y + 8


def _note(
    lines: Sequence[str], left: float, right: float, gap: float, y: float
) -> tuple[list[str], float]:
    widest = max(text_width(line, _TEXT) for line in lines) + 20
    width = max(min(widest, right - left + gap - 12), right - left + 40)
    middle, height = (left + right) / 2, _LINE * len(lines) + 9
    look = MARKS["fault"] if lines[0].startswith((_MARK, *_FAILED)) else NEUTRAL
    drawn = [
        f'<rect x="{num(middle - width / 2)}" y="{num(y + 8)}" width="{num(width)}" '
        f'height="{num(height)}" fill="{look.fill}" stroke="{GRID}"/>'
    ]
    y += 9
    for line in lines:
        y += _LINE
        drawn.append(_text(line, middle, y, width - 12))
    return drawn, y + 14


def _text(line: str, x: float, y: float, room: float) -> str:
    if line.startswith(_MARK):
        bold = fit(line, _TEXT * 1.06, room)
        return label(x, y, bold, size=_TEXT, fill=_MARKED, anchor="middle", extra=_BOLD)
    return label(x, y, fit(line, _TEXT, room), size=_TEXT, fill=MUTED, anchor="middle")


def _signed(message: Message) -> str:
    return message.text if message.kind == "note" else arrow_of(message.kind)[1] + message.text


def _words(message: Message) -> str:
    if message.kind == "note":
        return _signed(message)
    return f"{message.sender} to {message.receiver}: {', '.join(_signed(message).splitlines())}"
