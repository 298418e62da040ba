"""What differs between two executions, as plain data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from sagakit.views.bars import Bar, Mark
from sagakit.views.timescale import duration

FACTOR = 1.5
NEVER = "not started"


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What a timeline shows of one execution: see `timeline_svg`."""

    title: str
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = ()
    status: str = ""
    steps: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """The steps in reading order, those that only bars name after those that are given."""
        return list(dict.fromkeys([*self.steps, *(bar.step for bar in self.bars)]))

    @property
    def took(self) -> float | None:
        """Seconds from the first beginning to the last end; None while something runs."""
        return _took(self.bars)


class Contrast(msgspec.Struct, frozen=True):
    """One thing that differs: `what` is "status", "step" (only one execution has it), "outcome",
    "reason" (the last error's), "attempts" or "duration".

    `step` is "" for the execution as a whole, `side` is "action" or "compensation". `first` and
    `second` say it of each, `words` in a few words of both.
    """

    step: str
    side: str
    what: str
    first: str
    second: str
    words: str


def contrasts(first: Course, second: Course, factor: float = FACTOR) -> list[Contrast]:
    """What differs: of the whole, then step by step, actions before compensations.

    Durations reach from the first attempt's beginning to the last one's end and differ if one is
    more than `factor` times the other. Raises ValueError for a factor that is not above 1.
    """
    if not factor > 1:
        raise ValueError(f"durations are compared by a factor above 1, not {factor:g}")
    found = (
        []
        if first.status == second.status
        else [Contrast("", "", "status", first.status, second.status, "status")]
    )
    found += _durations("", "", first.took, second.took, factor)
    one, two = _by_step(first.bars), _by_step(second.bars)
    known = set(first.names), set(second.names)
    for side in ("action", "compensation"):
        for name in merged(first.names, second.names):
            if name in known[0] and name in known[1]:
                pair = one.get((name, side), ()), two.get((name, side), ())
                found += _of_step(name, side, *pair, factor)
            elif side == "action":
                found.append(_only(name, name in known[0]))
    return found


def merged(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """The steps of both in one order: that of the first, what only the second has standing after
    the step that comes before it there."""
    known = set(first)
    after: dict[str | None, list[str]] = {}
    last = None
    for name in second:
        if name in known:
            last = name
        else:
            after.setdefault(last, []).append(name)
    found = after.get(None, [])
    return found + [name for step in first for name in (step, *after.get(step, ()))]


def _only(step: str, in_first: bool) -> Contrast:
    there, here = ("there", "no such step") if in_first else ("no such step", "there")
    return Contrast(step, "action", "step", there, here, f"only in {'A' if in_first else 'B'}")


def _by_step(bars: Iterable[Bar]) -> dict[tuple[str, str], list[Bar]]:
    found: dict[tuple[str, str], list[Bar]] = {}
    for bar in bars:
        found.setdefault((bar.step, bar.side), []).append(bar)
    return found


def _of_step(
    step: str, side: str, first: Sequence[Bar], second: Sequence[Bar], factor: float
) -> Iterator[Contrast]:
    a, b = (bars[-1].outcome if bars else NEVER for bars in (first, second))
    if a != b:
        words = "outcome" if first and second else f"ran only in {'A' if first else 'B'}"
        yield Contrast(step, side, "outcome", a, b, words)
    if not first or not second:
        return
    if a == b and first[-1].label != second[-1].label:
        yield Contrast(step, side, "reason", first[-1].label, second[-1].label, "reason")
    counts = [sum(bar.count for bar in bars if bar.outcome != "held") for bars in (first, second)]
    if counts[0] != counts[1]:
        a, b = (f"{count:,}" for count in counts)
        yield Contrast(step, side, "attempts", a, b, f"attempts {a} → {b}")
    yield from _durations(step, side, _took(first), _took(second), factor)


def _took(bars: Sequence[Bar]) -> float | None:
    ends = [bar.end for bar in bars if bar.end is not None]
    if len(ends) < len(bars):
        return None
    return max(ends) - min(bar.start for bar in bars) if bars else 0.0


def _durations(
    step: str, side: str, first: float | None, second: float | None, factor: float
) -> Iterator[Contrast]:
    if first is None or second is None:
        return
    low, high = sorted((first, second))
    if high > factor * low:
        words = "time"
        if low:
            words += (
                f" {'×' if first < second else '÷'}{high / low:,.{0 if high > 10 * low else 1}f}"
            )
        yield Contrast(step, side, "duration", duration(first), duration(second), words)
