"""What happened when, as plain data to draw, and the words that stand in for the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from sagakit.views.timeline_tree import Tree
from sagakit.views.timescale import duration


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: `side` is "action" or "compensation", times in seconds from the start.

    `end` is None while it runs. `outcome` is "succeeded", "failed", "in doubt", "running",
    "compensated" or "compensation failed"; or "held", while its call had to wait. `label` is
    printed at it (a fault, an error's type, what held it).
    """

    step: str
    side: str
    attempt: int
    start: float
    end: float | None
    outcome: str
    label: str = ""


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at an instant: `kind` is a name in `style.MARKS`, `at` in seconds."""

    at: float
    text: str
    kind: str


def timeline_alt(title: str, bars: Sequence[Bar], status: str = "") -> str:
    """One sentence for readers who cannot see the picture."""
    sides = [bar.side for bar in bars if bar.outcome != "held"]
    words = (
        f"{sides.count('action')} action and {sides.count('compensation')} compensation attempts"
    )
    return f"timeline of {title!r}: {words}{f'; {status}' if status else ''}"


def timeline_table(bars: Sequence[Bar]) -> tuple[tuple[str, ...], ...]:
    """The attempts as a table, header first; of very many inside one step most are only counted."""
    header = ("step", "side", "attempt", "start", "took", "outcome", "note")
    tree = Tree(
        list(dict.fromkeys(bar.step for bar in bars)), {bar.step: bar.outcome for bar in bars}
    )
    rows, hidden = [], dict[str, None]()
    for bar in bars:
        top = tree.left_out(bar.step)
        if top is None:
            rows.append(_row(bar))
        else:
            hidden[top] = None
    for above, count in Counter(tree.above[name] for name in hidden).items():
        rows.append((f"{above}/…", "", "", "", "", "", f"{count:,} more"))
    return (header, *rows)


def _row(bar: Bar) -> tuple[str, ...]:
    return (
        bar.step,
        bar.side,
        str(bar.attempt),
        duration(bar.start),
        "" if bar.end is None else duration(bar.end - bar.start),
        bar.outcome,
        bar.label,
    )
