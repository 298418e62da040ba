"""Which slices of a Chrome trace stand inside which: their times alone tell."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

from sagakit.spans import SpanEvent


class Slice:
    """A stretch of time on a track, in µs; `end` is None while it runs, `number` its event's."""

    __slots__ = ("end", "event", "events", "links", "name", "number", "parent", "start")

    def __init__(self, number: int, name: str, start: float, end: float | None, event: Any) -> None:
        self.number, self.name, self.start, self.end, self.event = number, name, start, end, event
        self.parent: Slice | None = None
        self.events: list[SpanEvent] = []
        self.links: list[int] = []

    @property
    def until(self) -> float:
        """Where it ends; infinity while it runs."""
        return float("inf") if self.end is None else self.end


class Swept:
    """The slices of a track by their starts, and for each question which slice is around it."""

    def __init__(self, ordered: list[Slice]) -> None:
        self.ordered = ordered
        self.around: list[tuple[int, Any, Slice | None]] = []


def beginnings_and_ends(
    halves: Iterable[tuple[float, bool, Slice]],
) -> list[tuple[Slice, Slice | None]]:
    """Each slice of one track's beginnings (True) and ends, with the end's half.

    An end closes what was begun last; what nothing closes runs, an end of nothing is left out.
    """
    found: dict[int, tuple[Slice, Slice | None]] = {}
    opened: list[Slice] = []
    for at, begins, half in sorted(halves, key=lambda item: item[0]):
        if begins:
            opened.append(half)
            found[half.number] = (half, None)
        elif opened:
            last = opened.pop()
            last.end = at
            found[last.number] = (last, half)
    return list(found.values())


def sweep(slices: Sequence[Slice], asked: Iterable[tuple[float, int, Any]]) -> Swept:
    """Put every slice inside the innermost one that holds it, and say what is around each of
    `asked`: its time, its number, and what comes back with the answer."""
    ordered = sorted(slices, key=lambda item: (item.start, -item.until, item.number))
    found = Swept(ordered)
    questions = sorted(asked, key=lambda item: item[:2])
    stack: list[Slice] = []
    next_slice = 0
    for at, number, what in [*questions, (float("inf"), -1, None)]:
        while next_slice < len(ordered) and ordered[next_slice].start <= at:
            item = ordered[next_slice]
            next_slice += 1
            while stack and stack[-1].until <= item.start:
                stack.pop()
            item.parent = next((on for on in reversed(stack) if on.until >= item.until), None)
            stack.append(item)
        while stack and stack[-1].until < at:
            stack.pop()
        if what is not None:
            found.around.append((number, what, stack[-1] if stack else None))
    return found


def following(ordered: Sequence[Slice], at: float) -> Slice | None:
    """The first slice that begins then or later."""
    place = bisect_left(ordered, at, key=lambda item: item.start)
    return ordered[place] if place < len(ordered) else None
