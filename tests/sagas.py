"""Hypothesis strategies for the definitions of sagas: every construct, in any shape."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sagakit import Retry, Saga, Simulated, Step, choice, for_each, sub_saga
from sagakit.steps import Wait

INNER = Saga("inner", Step(name="only", action=Simulated("act")))
ITEMS = Simulated("items", result=["a", "b", "c"])


@st.composite
def sagas(draw: st.DrawFn, most: int = 7, chain: bool = False, apart: bool = False) -> Saga:
    """A saga of up to ``most`` parts in any shape, with or without a pivot, of any options. A part
    is a step, a wait, a saga, a saga for each item, or a choice with its branches.

    Parameters:
        chain: one part after the other, so that nothing runs beside anything else.
        apart: each wait has an event of its own.
    """
    before = draw(st.integers(0, most - 1))
    has_pivot = draw(st.booleans()) if before else True
    behind = draw(st.integers(0, most - before - 1)) if has_pivot else 0
    make = _Parts(draw, apart)
    ends: list[tuple[str, ...]] = []  # of each part: what stands behind it comes after these
    steps: list[Step] = []

    def add(above: set[int], **place: Any) -> None:
        after = tuple(name for number in sorted(above) for name in ends[number])
        part, last = make.part(len(ends), after, **place)
        steps.extend(part)
        ends.append(last)

    def some(first: int, least: int) -> set[int]:
        """The numbers of parts from this one on that the next one comes after."""
        last = len(ends) - 1
        if chain:
            return {last} if ends else set()
        wanted = st.sets(st.integers(first, last), min_size=least, max_size=3)
        return draw(wanted) if last >= first else set()

    for _ in range(before):
        add(some(0, 0), undo=draw(st.booleans()))
    if has_pivot:
        open_ends = {s.name for s in steps} - {name for s in steps for name in s.after or ()}
        steps.append(make.step(before, tuple(sorted(open_ends)), pivot=True))
        ends.append((steps[-1].name,))
    for _ in range(behind):
        add(some(before, 1), late=True)
    deadline = draw(st.sampled_from([None, None, 0.5, 5.0]))
    return Saga("generated", *steps, deadline=deadline)


@st.composite
def fans(draw: st.DrawFn, most: int = 7) -> Saga:
    """What ``for_each`` runs, as it runs with up to ``most`` items."""
    late = draw(st.booleans())
    body = _Parts(draw, apart=False).step(0, (), undo=draw(st.booleans()) and not late, late=late)
    limit = draw(st.integers(1, 3))
    above = [Step(name="point", action=Simulated("act"), pivot=True)] if late else []
    outer = Saga("outer", *above, for_each("fan", ITEMS, body, limit=limit))
    return outer.child("fan").given(list(range(draw(st.integers(0, most)))))


class _Parts:
    """Makes the parts of one saga. The names of a part's steps begin with its number."""

    def __init__(self, draw: Any, apart: bool) -> None:
        self.draw = draw
        self.apart = apart

    def part(
        self, number: int, after: tuple[str, ...], *, undo: bool = False, late: bool = False
    ) -> tuple[list[Step], tuple[str, ...]]:
        """Its steps, and the names of those at its ends."""
        if self.draw(st.integers(0, 6)) == 0:
            return self._choice(number, after, undo=undo, late=late)
        item = self.step(number, after, undo=undo, late=late)
        return [item], (item.name,)

    def step(
        self,
        number: int | str,
        after: tuple[str, ...],
        *,
        undo: bool = False,
        pivot: bool = False,
        late: bool = False,
    ) -> Step:
        draw, name = self.draw, f"s{number}"
        when = draw(st.sampled_from([None, None, None, None, True, False, Simulated("when")]))
        kind = draw(st.integers(0, 10))
        if kind in (0, 1):
            return self._wait(name, after, when, undo, pivot, late)
        if kind == 2:
            retry = draw(st.sampled_from([None, Retry(2, wait=0.5)]))
            return sub_saga(INNER, name=name, after=after, when=when, pivot=pivot, retry=retry)
        if kind == 3:
            body = draw(st.sampled_from([INNER, INNER.steps[0]]))
            return for_each(name, ITEMS, body, limit=2, after=after, when=when, pivot=pivot)
        return Step(
            name=name,
            action=Simulated("act"),
            compensation=Simulated("undo") if undo else None,
            after=after,
            when=when,
            pivot=pivot,
            reconcile=Simulated("ask") if draw(st.booleans()) else None,
            retry=draw(st.sampled_from([None, Retry(2), Retry(3, wait=0.5, jitter=0.5)])),
            compensation_retry=Retry(2, wait=0.1) if undo else None,
        )

    def _wait(
        self, name: str, after: tuple[str, ...], when: Any, undo: bool, pivot: bool, late: bool
    ) -> Step:
        draw = self.draw
        event = draw(st.sampled_from([None, "e", "e", "f"]))
        may_fail = event is not None and not late
        if event is not None and self.apart:
            event = f"e of {name}"
        return Step(
            name=name,
            action=Wait(
                event=event,
                timeout=2.0 if event is None else draw(st.sampled_from([None, 1.0, 3.0])),
                on_timeout=draw(st.sampled_from(["fail", "continue"])) if may_fail else "continue",
            ),
            compensation=Simulated("undo") if undo else None,
            after=after,
            when=when,
            pivot=pivot,
        )

    def _choice(
        self, number: int, after: tuple[str, ...], *, undo: bool, late: bool
    ) -> tuple[list[Step], tuple[str, ...]]:
        name, branches = f"s{number}", {}
        for branch in self.draw(st.sampled_from([["left"], ["left", "right"]])):
            above, inside = name, []
            for place in range(self.draw(st.integers(1, 2))):
                inner = f"{number}{branch[0]}{place}"
                inside.append(self.step(inner, (above,), undo=undo, late=late))
                above = inside[-1].name
            branches[branch] = inside
        by = Simulated("by", result="left")
        ends = tuple(inside[-1].name for inside in branches.values())
        return list(choice(name, by, branches, after=after)), ends
