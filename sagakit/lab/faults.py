"""Which failures can be put into an execution that has been seen to run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.drivers.simulated import simulate
from sagakit.events import CompensationStarted, Event, StepStarted, WaitStarted
from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.scenario import Crash, Fault, FaultKind, Scenario, Side, Signal

# Of an attempt, and of all attempts of a step from this one on.
ONCE: dict[Side, tuple[FaultKind, ...]] = {
    "action": ("fail", "lose reply", "time out", "repeat", "late"),
    "compensation": ("fail", "lose reply", "time out", "repeat"),
}
FOR_GOOD: dict[Side, tuple[FaultKind, ...]] = {
    "action": ("fail", "lose reply", "time out", "late"),
    "compensation": ("fail",),
}


class Step(NamedTuple):
    """One more failure for a scenario: where in the run's history it strikes (the number of an
    event), what the matrix calls it, and the scenario with it."""

    place: int
    step: str
    column: str
    scenario: Scenario


def single_faults(saga: Saga, input: Any = None) -> Iterator[Scenario]:
    """No fault, and every single one that can strike a saga: what runs in virtual time to see.

    Parameters:
        input: of the execution that is struck.
    """
    yield Scenario()
    for step in more_faults(simulate(saga, input), Scenario(), 0, True):
        yield step.scenario


def more_faults(
    execution: Execution, scenario: Scenario, after: int, crashes: bool
) -> Iterator[Step]:
    """Every way to put one more failure into this run, behind event number ``after`` of its
    history; into the sagas that do steps of it too.

    What strikes behind it leaves everything up to there as it was, so every combination is met
    once, in the order of its failures.
    """
    history = execution.history()
    inside = dict(_inside(execution, "", ends=True))
    signals = [what for what in scenario.interventions if isinstance(what, Signal)]
    signalled = {(signal.to, signal.event) for signal in signals}
    for place, (path, event) in enumerate(history):
        if place <= after:
            continue
        if isinstance(event, StepStarted | CompensationStarted):
            yield from _of_attempt(inside[path], event, scenario, place)
        elif isinstance(event, WaitStarted) and (path, event.event) in signalled:
            drop = Fault("drop", inside[path].named(event.step))
            if drop not in scenario.faults:
                yield _put(scenario, drop, place)
    if crashes:
        yield from _crashes(history, scenario, after)


class _Inside(NamedTuple):
    """A saga that is run, by the path of the step that it does.

    Parameters:
        ends: whether a step of it may fail for good: behind a pivot it would be tried for ever.
    """

    path: str
    saga: Saga
    ends: bool

    def named(self, step: str) -> str:
        """What a scenario calls a step of it."""
        return f"{self.path}/{step}" if self.path else step


def _inside(execution: Execution, path: str, *, ends: bool) -> Iterator[tuple[str, _Inside]]:
    here = _Inside(path, execution.saga, ends)
    yield path, here
    for name, child in execution.children.items():
        kind = execution.saga.kind(name)
        yield from _inside(child, here.named(name), ends=ends and kind != "retriable")


def _of_attempt(
    inside: _Inside, event: StepStarted | CompensationStarted, scenario: Scenario, place: int
) -> Iterator[Step]:
    side: Side = "action" if isinstance(event, StepStarted) else "compensation"
    step, attempt = inside.named(event.step), event.attempt
    plan = inside.saga.plan
    number = plan.index[event.step]
    calls = plan.actions if side == "action" else plan.compensations
    if calls[number] is None or scenario.find(step, side, attempt) is not None:
        return  # a saga does it, or it fails already
    for kind in ONCE[side]:
        yield _put(scenario, Fault(kind, step, side, attempt), place)
    if side == "action" and _is_retried(inside.saga, number, attempt):
        yield _put(scenario, Fault("reorder", step, side, attempt), place)
    if attempt == 1 and _has_more(inside, number, side):
        for kind in FOR_GOOD[side]:
            yield _put(scenario, Fault(kind, step, side), place)


def _has_more(inside: _Inside, number: int, side: Side) -> bool:
    """Whether a failure for good differs from one at the first attempt. Behind the pivot an action
    is retried for ever, so it must not fail for good in every way."""
    plan = inside.saga.plan
    if side == "compensation":
        return plan.compensation_retry[number].attempts > 1
    forward = plan.kinds[number] == "retriable" or not inside.ends
    return not forward and plan.retry[number].attempts > 1


def _is_retried(saga: Saga, number: int, attempt: int) -> bool:
    """Whether a failure at this attempt is followed by another, which can overtake its request."""
    plan = saga.plan
    return plan.kinds[number] == "retriable" or attempt < plan.retry[number].attempts


def _put(scenario: Scenario, fault: Fault, place: int) -> Step:
    column = fault.kind if fault.attempt else f"{fault.kind}, for good"
    column = column if fault.side == "action" else f"undo: {column}"
    return Step(
        place,
        fault.step,
        column,
        msgspec.structs.replace(scenario, faults=(*scenario.faults, fault)),
    )


def _crashes(
    history: Sequence[tuple[str, Event]], scenario: Scenario, after: int
) -> Iterator[Step]:
    """The crashes that make a difference: while an attempt is under way. All others find a journal
    from which the coordinator goes on as though nothing had happened."""
    open_: set[tuple[str, str]] = set()
    numbers: Counter[str] = Counter()
    for place, (path, event) in enumerate(history):
        number = numbers[path]  # in the execution whose event it is
        numbers[path] += 1
        step = getattr(event, "step", None)
        if step is None:
            continue
        begins = isinstance(event, StepStarted | CompensationStarted)
        # before it is written: its effect has happened
        if place > after and (begins or (path, step) in open_):
            yield _crash(scenario, Crash(number, begins, path), step, place)
        if begins:
            open_.add((path, step))
        else:
            open_.discard((path, step))


def _crash(scenario: Scenario, crash: Crash, step: str, place: int) -> Step:
    column = "crash before the effect" if crash.written else "crash after the effect"
    crashes = (*scenario.crashes, crash)
    named = f"{crash.to}/{step}" if crash.to else step
    return Step(place, named, column, msgspec.structs.replace(scenario, crashes=crashes))
