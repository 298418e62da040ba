"""Where the time of one execution went: step by step, and along its critical path.

The critical path is the chain of steps that decided when the execution ended: from its end one
goes back to what ended last, from there to what that had waited for, and so on (Kelley and Walker,
"Critical-path planning and scheduling", 1959, for a run that has happened). Shortening anything
beside it makes nothing faster.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sagakit.event_spans import read_spans
from sagakit.events import Event
from sagakit.saga import Saga
from sagakit.spans import Span
from sagakit.views.bars import Stretch


class StepTiming(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of one step went, in seconds.

    Parameters:
        queue: from the time when every step before it was over to its own start.
        held: while a service's guard let its calls wait (of actions and compensations).
        run: while the attempts of its action ran; what was held is left out.
        retry_wait: between the attempts of its action.
        compensation: from the start of its compensation to the end, whatever lies between.
        total: queue, and its action and compensation from their starts to their ends.
        critical: how much of the execution's critical path is the step's.
        share: the same as a part of the execution's duration, 0 to 1.
    """

    step: str
    service: str | None
    outcome: str
    attempts: int
    queue: float
    held: float
    run: float
    retry_wait: float
    compensation: float
    total: float
    critical: float
    share: float


class _Side(msgspec.Struct):
    """The action or the compensation of one step."""

    step: str
    side: str
    start: float
    end: float
    outcome: str
    order: int  # of its end
    attempts: list[tuple[float, float]] = []
    held: float = 0.0


_Sides = Mapping[tuple[str, str], _Side]


def read_timings(saga: Saga, events: Sequence[Event]) -> list[StepTiming]:
    """One row for each step that has begun, in the order of the definition. What is still under
    way is measured up to the last event."""
    sides = _sides(saga, events)
    begin, now = _at(events[0]), _at(events[-1])
    critical: dict[str, float] = {}
    for piece in _path(saga, sides, begin):
        critical[piece.step] = critical.get(piece.step, 0.0) + piece.end - piece.start
    return [
        _timing(saga, name, sides, begin, critical.get(name, 0.0), now - begin)
        for name in saga.plan.names
        if (name, "action") in sides
    ]


def critical_path(saga: Saga, events: Sequence[Event]) -> tuple[Stretch, ...]:
    """The steps that decided when the execution ended, in the order of time."""
    return tuple(_path(saga, _sides(saga, events), _at(events[0])))


def _at(event: Event) -> float:
    at: float = event.at  # type: ignore[attr-defined]
    return at


# -- what ran when --------------------------------------------------------------------------


def _sides(saga: Saga, events: Sequence[Event]) -> dict[tuple[str, str], _Side]:
    """Each step's action and compensation, several rounds of one as one."""
    now = _at(events[-1])
    found: dict[tuple[str, str], _Side] = {}
    for span in _by_end(read_spans(saga, events), now):
        step, side = span.attributes.get("saga.step"), span.attributes.get("saga.side")
        if not isinstance(step, str) or not isinstance(side, str):
            continue  # the execution itself
        end = now if span.end is None else span.end
        known = found.setdefault((step, side), _Side(step, side, span.start, end, "", len(found)))
        known.start = min(known.start, span.start)
        known.end, known.order = max(known.end, end), len(found)
        if "saga.attempt" in span.attributes:
            known.attempts.append((span.start, end))
            known.held += _held(span, end)
        else:
            known.outcome = str(span.attributes.get("saga.outcome", "running"))
    return found


def _by_end(spans: Iterable[Span], now: float) -> list[Span]:
    return sorted(spans, key=lambda span: now if span.end is None else span.end)


def _held(span: Span, end: float) -> float:
    """How long an attempt's call had to wait for its service."""
    total, since = 0.0, None
    for event in span.events:
        if event.name == "saga.held" and since is None:
            since = event.at
        elif event.name == "saga.admitted" and since is not None:
            total, since = total + event.at - since, None
    return total if since is None else total + end - since


def _timing(
    saga: Saga, name: str, sides: _Sides, begin: float, critical: float, whole: float
) -> StepTiming:
    action = sides[name, "action"]
    undo = sides.get((name, "compensation"))
    above = [sides[other, "action"].end for other in _above(saga, name, sides)]
    ready = max(above, default=begin)
    queue = max(0.0, action.start - ready)
    compensation = 0.0 if undo is None else undo.end - undo.start
    if action.attempts:
        run = sum(end - start for start, end in action.attempts) - action.held
        retry_wait = _gaps(sorted(action.attempts))
    else:  # it waited for the world
        run, retry_wait = action.end - action.start, 0.0
    return StepTiming(
        step=name,
        service=saga[name].service,
        outcome=action.outcome if undo is None else undo.outcome,
        attempts=len(action.attempts),
        queue=_seconds(queue),
        held=_seconds(action.held + (0.0 if undo is None else undo.held)),
        run=_seconds(run),
        retry_wait=_seconds(retry_wait),
        compensation=_seconds(compensation),
        total=_seconds(queue + action.end - action.start + compensation),
        critical=_seconds(critical),
        share=critical / whole if whole else 0.0,
    )


def _seconds(time: float) -> float:
    """Without the noise of floating point below a nanosecond."""
    return round(time, 9)


def _above(saga: Saga, name: str, sides: _Sides) -> list[str]:
    plan = saga.plan
    names = (plan.names[number] for number in plan.after[plan.index[name]])
    return [other for other in names if (other, "action") in sides]


def _gaps(attempts: Sequence[tuple[float, float]]) -> float:
    """Seconds between attempts, in the order of time."""
    pairs = itertools.pairwise(attempts)
    return sum((max(0.0, later[0] - before[1]) for before, later in pairs), 0.0)


# -- the critical path ----------------------------------------------------------------------


def _path(saga: Saga, sides: _Sides, begin: float) -> list[Stretch]:
    actions = sorted((s for s in sides.values() if s.side == "action"), key=_end)
    current = max(sides.values(), key=_end, default=None)
    found: list[Stretch] = []
    while current is not None:
        start, end = _seconds(current.start - begin), _seconds(current.end - begin)
        found.append(Stretch(step=current.step, side=current.side, start=start, end=end))
        if current.side == "action":
            above = (sides[name, "action"] for name in _above(saga, current.step, sides))
            current = max(above, key=_end, default=None)
        else:
            undone = _undone_before(saga, current.step, sides)
            current = max(undone, key=_end, default=None) or _settled(current, actions)
    return found[::-1]


def _end(side: _Side) -> tuple[float, int]:
    return side.end, side.order


def _undone_before(saga: Saga, step: str, sides: _Sides) -> list[_Side]:
    """The compensations for which that of this step had to wait: of the steps behind it; where
    one had nothing to undo, of those behind that."""
    plan = saga.plan
    front, seen, found = list(plan.dependents[plan.index[step]]), set[int](), []
    while front:
        number = front.pop()
        if number in seen:
            continue
        seen.add(number)
        undone = sides.get((plan.names[number], "compensation"))
        if undone is None:
            front += plan.dependents[number]
        else:
            found.append(undone)
    return found


def _settled(compensation: _Side, actions: Sequence[_Side]) -> _Side | None:
    """The action that settled last before compensation began."""
    before = (action for action in reversed(actions) if action.end <= compensation.start)
    return next(before, None)
