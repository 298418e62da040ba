"""The words that stand in for a timeline: a sentence and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sagakit.views.bars import Bar, Stretch
from sagakit.views.few import few
from sagakit.views.timeline_retries import Shown, collapsed
from sagakit.views.timeline_tree import Tree
from sagakit.views.timescale import duration

MOST_LINES = 500  # rows of the table
MOST_OF_A_RUN = 10  # of the attempts that one bar stands for, those which the table lists
_MOST_NAMES = 8

_Row = tuple[str, ...]


def timeline_alt(
    title: str, bars: Sequence[Bar], status: str = "", critical: Sequence[Stretch] = ()
) -> str:
    """One sentence for readers who cannot see the picture."""
    sides: Counter[str] = Counter()
    for bar in bars:
        sides[bar.side] += bar.count if bar.outcome != "held" else 0
    words = f"{sides['action']} action and {sides['compensation']} compensation attempts"
    state = f"; {status}" if status else ""
    return f"timeline of {title!r}: {words}{state}{_critical_words(critical)}"


def _critical_words(critical: Sequence[Stretch]) -> str:
    names = list(
        dict.fromkeys(
            s.step if s.side == "action" else f"compensation of {s.step}" for s in critical
        )
    )
    if not names:
        return ""
    left = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    took = duration(sum(stretch.end - stretch.start for stretch in critical))
    return f"; critical path, {took}: {', '.join(names[:_MOST_NAMES])}{left}"


def timeline_table(bars: Sequence[Bar], critical: Sequence[Stretch] = ()) -> tuple[_Row, ...]:
    """The attempts as a table, header first; of very many most are only counted.

    Attempts that the picture shows as one follow their common row, the first `MOST_OF_A_RUN` of
    them. With a critical path, the last column says how much of an attempt lies on it.
    """
    header = ("step", "side", "attempt", "start", "took", "outcome", "note")
    tree = Tree(
        list(dict.fromkeys(bar.step for bar in bars)), {bar.step: bar.outcome for bar in bars}
    )
    kept, hidden = list[Shown](), dict[str, None]()
    for shown in collapsed(bars):
        top = tree.left_out(shown[0].step)
        if top is None:
            kept.append(shown)
        else:
            hidden[top] = None
    path = _Path(critical)
    chosen = few([bar.outcome for bar, _ in kept], MOST_LINES)
    rows = [row for i in chosen for row in _rows(*kept[i], path)]
    if len(chosen) < len(kept):
        rows.append(("…", "", "", "", "", "", f"{len(kept) - len(chosen):,} more"))
    for above, count in Counter(tree.above[name] for name in hidden).items():
        rows.append((f"{above}/…" if above else "…", "", "", "", "", "", f"{count:,} more"))
    if not critical:
        return (header, *rows)
    wide = len(header) + 1
    return ((*header, "on the critical path"), *(row + ("",) * (wide - len(row)) for row in rows))


def _rows(bar: Bar, run: Sequence[Bar], path: _Path) -> list[_Row]:
    if not run:
        return [_row(bar, str(bar.attempt), bar.label, path)]
    outcomes = Counter(one.outcome for one in run)
    counts = ", ".join(f"{count:,} {name}" for name, count in outcomes.items())
    rows = [_row(bar, f"{bar.attempt}–{run[-1].attempt}", f"{bar.label} ({counts})", path)]
    for one in run[:MOST_OF_A_RUN]:
        row = _row(one, str(one.attempt), one.label, path)
        rows.append((f"↳ {row[0]}", *row[1:]))
    left = len(run) - MOST_OF_A_RUN
    if left > 0:
        rows.append((f"↳ {bar.step}", bar.side, "", "", "", "", f"{left:,} more"))
    return rows


def _row(bar: Bar, attempt: str, note: str, path: _Path) -> _Row:
    row = (
        bar.step,
        bar.side,
        attempt,
        duration(bar.start),
        "" if bar.end is None else duration(bar.end - bar.start),
        bar.outcome,
        note,
    )
    return (*row, path.share(bar)) if path.stretches else row


class _Path:
    """The critical path by step and side."""

    def __init__(self, critical: Sequence[Stretch]) -> None:
        self.stretches: dict[tuple[str, str], list[Stretch]] = {}
        for stretch in critical:
            self.stretches.setdefault((stretch.step, stretch.side), []).append(stretch)

    def share(self, bar: Bar) -> str:
        """How much of the bar lies on the path, in words; empty for nothing."""
        shared = 0.0
        for stretch in self.stretches.get((bar.step, bar.side), ()):
            end = stretch.end if bar.end is None else min(stretch.end, bar.end)
            shared += max(0.0, end - max(stretch.start, bar.start))
        return duration(shared) if shared else ""
