"""Attempts that failed one after another, as one bar with their count: "×37"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from sagakit.views.bars import Bar

MOST_BARS = 200  # with more of them, those that failed in a row become one
FAILED = frozenset({"failed", "in doubt", "compensation failed"})

# A bar, and the attempts that it stands for where these are several.
Shown = tuple[Bar, tuple[Bar, ...]]


def collapsed(bars: Sequence[Bar]) -> list[Shown]:
    """The bars to draw. Of more than `MOST_BARS`, the failed attempts of one side of a step that
    came one after another are one, with the waits before their calls; it stands where the last of
    them stood."""
    if len(bars) <= MOST_BARS:
        return [(bar, ()) for bar in bars]
    found: dict[int, Shown] = {}
    runs: dict[tuple[str, str], list[int]] = {}
    for i, bar in enumerate(bars):
        if bar.end is not None and (bar.outcome in FAILED or bar.outcome == "held"):
            runs.setdefault((bar.step, bar.side), []).append(i)
        else:
            found |= _run(bars, runs.pop((bar.step, bar.side), []))
            found[i] = (bar, ())
    for numbers in runs.values():
        found |= _run(bars, numbers)
    return [found[i] for i in sorted(found)]


def _run(bars: Sequence[Bar], numbers: list[int]) -> dict[int, Shown]:
    """What is drawn of bars in a row, by number; a wait at their end belongs to what follows."""
    last = len(numbers)
    while last and bars[numbers[last - 1]].outcome == "held":
        last -= 1
    run = tuple(bars[i] for i in numbers[:last])
    failed = [bar for bar in run if bar.outcome != "held"]
    if len(failed) < 2:
        return {i: (bars[i], ()) for i in numbers}
    found: dict[int, Shown] = {numbers[last - 1]: (_one(run, failed), run)}
    return found | {i: (bars[i], ()) for i in numbers[last:]}


def _one(run: Sequence[Bar], failed: Sequence[Bar]) -> Bar:
    labels = Counter(bar.label for bar in failed if bar.label).most_common()
    label = f"×{len(failed):,}"
    if labels:
        label += f" {labels[0][0]}{', …' if len(labels) > 1 else ''}"
    return msgspec.structs.replace(
        failed[-1],
        attempt=failed[0].attempt,
        start=min(bar.start for bar in run),
        end=max(bar.end for bar in run if bar.end is not None),
        label=label,
        count=len(failed),
    )
