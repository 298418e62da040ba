"""One saga under several rules of undoing, as a picture: what each calls, what each leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sagakit.views.legend_svg import legend_rows
from sagakit.views.picture import Picture
from sagakit.views.style import GRID, INK, MUTED, STATES, STATUSES
from sagakit.views.svg import box, card, fit, hatches, label, num, text_width

MARGIN = 20.0
_WIDTH = 860.0
_CHIP, _LINE = 20.0, 28.0
_LABEL = 150.0  # a step's name is cut there
_FIRST, _LAST = 16, 48  # of very many calls the first and the last are drawn
_BOLD = 'font-weight="bold"'
_AT_ONCE, _THEN = "∥", "→"
_LOOKS = {**STATES, **STATUSES}
# What is said of that which is left, and if nothing is.
_LEFT = {
    "completed": ("there beyond the first time", "all is done, once"),
    "waiting": ("there beyond the first time", "it waits"),
    "stuck": ("left until a person decides", "nothing is left, but a person must decide"),
}

_UNKNOWN = "what is left behind nobody can say: no world was given"


class RuleCall(msgspec.Struct, frozen=True):
    """One call: `side` is "action" or "compensation", `outcome` a state of a step: "succeeded",
    "failed", "in doubt", "running", "compensated" or "compensation failed". `beside`: it was made
    while the one before was under way."""

    step: str
    side: str
    attempt: int
    outcome: str
    beside: bool = False

    def __str__(self) -> str:
        return self.step if self.side == "action" else f"undo {self.step}"


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: `ended` is a status or "compensation failed"; `unseen` are compensations that
    failed and nobody heard of; `left` says in words what is left behind, None: nobody knows."""

    rule: str
    ended: str
    calls: tuple[RuleCall, ...]
    unseen: tuple[str, ...] = ()
    left: tuple[str, ...] | None = ()


def calls_text(calls: Iterable[RuleCall]) -> str:
    """The calls in a line of text, each with a glyph for what came of it."""
    parts: list[str] = []
    for call in calls:
        if parts:
            parts.append(_AT_ONCE if call.beside else _THEN)
        parts.append(_chip_text(call))
    return " ".join(parts)


def rules_picture(title: str, scenario: str, rows: Sequence[RuleRow]) -> Picture:
    """The rules one below the other, as a `Picture` for notebooks with the same as a table."""
    header = ("rule", "ended", "calls", "failed unseen", "left behind")
    return Picture(
        svg=_svg(title, scenario, rows),
        alt=_alt(title, scenario, rows),
        table=(
            header,
            *(
                (r.rule, r.ended, calls_text(r.calls), ", ".join(r.unseen), ", ".join(r.left or ()))
                for r in rows
            ),
        ),
        caption=f"{title!r} under {_rules(rows)}",
    )


def _svg(title: str, scenario: str, rows: Sequence[RuleRow]) -> str:
    right = _WIDTH - MARGIN
    body = [
        label(MARGIN, 27, fit(title, 15, right - MARGIN), size=15, extra=_BOLD),
        label(MARGIN, 45, fit(f"under {scenario}", 11, right - MARGIN - 130), fill=MUTED),
        label(right, 45, f"{_THEN} then   {_AT_ONCE} at once", fill=MUTED, anchor="end"),
    ]
    y = 62.0
    for row in rows:
        parts, y = _row(row, y)
        body += parts
    used = dict.fromkeys(outcome for row in rows for outcome in _outcomes(row))
    entries = [(STATES[name], STATES[name].glyph, name) for name in used]
    legend, _, height = legend_rows(entries, _WIDTH - 2 * MARGIN)
    body.append(f'<g transform="translate({num(MARGIN)} {num(y + 10)})">{legend}</g>')
    looks = [_LOOKS[name] for row in rows for name in (*_outcomes(row), row.ended)]
    desc = _alt(title, scenario, rows)
    return card(_WIDTH, y + height + 20, title, desc, filter(None, [hatches(looks), *body]))


def _outcomes(row: RuleRow) -> list[str]:
    return [call.outcome for call in row.calls]


def _row(row: RuleRow, y: float) -> tuple[list[str], float]:
    """A rule from y (px) down, and where it ends."""
    right = _WIDTH - MARGIN
    parts = [
        f'<path d="M{num(MARGIN)} {num(y)}H{num(right)}" stroke="{GRID}"/>',
        label(MARGIN, y + 19, fit(row.rule, 12, 300), size=12, extra=_BOLD),
        *_badge(row.ended, right, y + 5),
    ]
    y += _LINE
    x = MARGIN
    calls, left_out = row.calls, len(row.calls) - _FIRST - _LAST
    for number, call in enumerate(calls if left_out <= 0 else calls[:_FIRST] + calls[-_LAST:]):
        if left_out > 0 and number == _FIRST:
            x, y = MARGIN, y + _LINE
            parts.append(label(x + 14, y + 14, f"… {left_out:,} more calls …", fill=MUTED))
            y += _LINE
        text = fit(_chip_text(call), 11, _LABEL)
        width = text_width(text, 11) + 14
        if x > MARGIN and x + width + 14 > right:
            x, y = MARGIN, y + _LINE
        if number:
            between = _AT_ONCE if call.beside else _THEN
            parts.append(label(x + 7, y + 14, between, fill=MUTED, anchor="middle"))
        parts.append(box(_LOOKS[call.outcome], "round", x + 14, y, width, _CHIP, 1.2))
        parts.append(label(x + 14 + width / 2, y + 14, text, fill=INK, anchor="middle"))
        x += width + 14
    y += _LINE
    some, none = _LEFT.get(row.ended, ("left behind", "nothing is left behind"))
    words = f"{some}: {', '.join(row.left)}" if row.left else none
    words = _UNKNOWN if row.left is None else words
    if row.unseen:
        words += f"; nobody hears that it failed to {', '.join(row.unseen)}"
    glyph = "■ " if row.left else ""
    extra = _BOLD if row.left else ""
    parts.append(
        label(MARGIN + 14, y + 9, fit(glyph + words, 11, right - MARGIN - 14), extra=extra)
    )
    return parts, y + 22


def _badge(ended: str, right: float, y: float) -> list[str]:
    look = _LOOKS[ended]
    text = f"{look.glyph} {ended}"
    width = text_width(text, 11) + 16
    return [
        f'<rect x="{num(right - width)}" y="{num(y)}" width="{num(width)}" height="19" rx="9.5" '
        f'fill="{look.fill}" stroke="{look.stroke}"/>',
        label(right - width / 2, y + 13.5, text, anchor="middle"),
    ]


def _chip_text(call: RuleCall) -> str:
    again = f" ({call.attempt})" if call.attempt > 1 else ""
    return f"{STATES[call.outcome].glyph} {call}{again}"


def _alt(title: str, scenario: str, rows: Sequence[RuleRow]) -> str:
    told = [f"{row.rule}: {row.ended}, {_told(row)}" for row in rows]
    return f"{title!r} with {scenario}, under {_rules(rows)}: {'; '.join(told)}"


def _told(row: RuleRow) -> str:
    if row.left is None:
        return _UNKNOWN
    return f"{', '.join(row.left) or 'nothing'} left behind"


def _rules(rows: Sequence[RuleRow]) -> str:
    return "one rule of undoing" if len(rows) == 1 else f"{len(rows)} rules of undoing"
