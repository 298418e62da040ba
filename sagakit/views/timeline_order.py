"""Where bars and marks stand on a common scale: at their times, or in their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from sagakit.views.bars import Bar, Mark
from sagakit.views.timeline_tree import Tree
from sagakit.views.timescale import Scale, order_scale, same_instant, time_scale

ORDER = "order"


def common_scale(
    told: Sequence[tuple[Sequence[Bar], Sequence[Mark]]], width: float, ticks: int = 8
) -> Scale:
    """The scale for what happened, in one picture: of time; of order where all was one instant."""
    bars = [bar for some, _ in told for bar in some]
    times = [t for bar in bars for t in (bar.start, bar.end) if t is not None]
    times += [mark.at for _, marks in told for mark in marks]
    if same_instant(times):
        return order_scale(max((len(some) for some, _ in told), default=0), width)
    low, high = min(0.0, *times), max(times)
    if any(bar.end is None for bar in bars):  # what still runs reaches beyond the last event
        high += (high - low) * 0.08
    return time_scale(low, high, width, ticks)


def on_scale(
    bars: Sequence[Bar], marks: Sequence[Mark], tree: Tree, scale: Scale
) -> tuple[list[Bar], list[Mark]]:
    """The bars and marks as they stand on the scale; those of one instant spread out in order."""
    if scale.unit != ORDER:
        return list(bars), list(marks)
    starts = _starts_in_order(bars, tree)
    spread = [
        msgspec.structs.replace(
            bar, start=starts[i] + 0.15, end=None if bar.end is None else i + 0.85
        )
        for i, bar in enumerate(bars)
    ]
    return spread, [_in_order(mark, bars, tree.nested) for mark in marks]


def _starts_in_order(bars: Sequence[Bar], tree: Tree) -> list[int]:
    """Where each bar begins: its own place, or that of the first inside it since the last one."""
    first: dict[str, int] = {}
    starts = []
    for i, bar in enumerate(bars):
        start = min(first.pop(bar.step, i), i)
        starts.append(start)
        above = tree.above[bar.step]
        if above is not None:
            first.setdefault(above, start)
    return starts


def _in_order(mark: Mark, bars: Sequence[Bar], nested: bool) -> Mark:
    words = {mark.text, *re.findall(r"[\w./-]+" if nested else r"[\w.-]+", mark.text)}
    named = [i + 1 for i, bar in enumerate(bars) if bar.step in words]
    return msgspec.structs.replace(mark, at=float(named[-1] if named else len(bars)))
