"""Which failures can be put into an execution that has been seen to run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from sagakit.drivers.simulated import simulate
from sagakit.events import CompensationStarted, Event, StepStarted
from sagakit.execution import Execution
from sagakit.saga import Saga
from sagakit.scenario import Crash, Fault, FaultKind, Scenario, Side

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
    """One more failure for a scenario: where in the run it strikes (the number of an event), what
    the matrix calls it, and the scenario with it."""

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
    for step in more_faults(saga, simulate(saga, input), Scenario(), 0, True):
        yield step.scenario


def more_faults(
    saga: Saga, execution: Execution, scenario: Scenario, after: int, crashes: bool
) -> Iterator[Step]:
    """Every way to put one more failure into this run, behind event number ``after``.

    What strikes behind it leaves everything up to there as it was, so every combination is met
    once, in the order of its failures.
    """
    for place, event in enumerate(execution.events):
        if place <= after:
            continue
        if isinstance(event, StepStarted | CompensationStarted):
            yield from _of_attempt(saga, event, scenario, place)
    if crashes:
        yield from _crashes(execution.events, scenario, after)


def _of_attempt(
    saga: Saga, event: StepStarted | CompensationStarted, scenario: Scenario, place: int
) -> Iterator[Step]:
    side: Side = "action" if isinstance(event, StepStarted) else "compensation"
    step, attempt = event.step, event.attempt
    number = saga.plan.index[step]
    calls = saga.plan.actions if side == "action" else saga.plan.compensations
    if calls[number] is None or scenario.find(step, side, attempt) is not None:
        return  # a saga does it, or it fails already
    for kind in ONCE[side]:
        yield _put(scenario, Fault(kind, step, side, attempt), place)
    if side == "action" and _is_retried(saga, number, attempt):
        yield _put(scenario, Fault("reorder", step, side, attempt), place)
    if attempt == 1 and _has_more(saga, number, side):
        for kind in FOR_GOOD[side]:
            yield _put(scenario, Fault(kind, step, side), place)


def _has_more(saga: Saga, number: int, side: Side) -> bool:
    """Whether a failure for good differs from one at the first attempt. Behind the pivot an action
    is retried for ever, so it must not fail for good in every way."""
    plan = saga.plan
    if side == "compensation":
        return plan.compensation_retry[number].attempts > 1
    return plan.kinds[number] != "retriable" and plan.retry[number].attempts > 1


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


def _crashes(events: Sequence[Event], scenario: Scenario, after: int) -> Iterator[Step]:
    """The crashes that make a difference: while an attempt is under way. All others find a journal
    from which the coordinator goes on as though nothing had happened."""
    open_: dict[str, None] = {}
    for place, event in enumerate(events):
        step = getattr(event, "step", None)
        begins = isinstance(event, StepStarted | CompensationStarted)
        if place > after and place and step is not None:
            if not begins and step in open_:  # its effect has happened, and is not written
                yield _crash(scenario, Crash(place, written=False), step)
            elif begins:
                yield _crash(scenario, Crash(place), step)
        if begins:
            open_[str(step)] = None
        elif step is not None:
            open_.pop(step, None)


def _crash(scenario: Scenario, crash: Crash, step: str) -> Step:
    column = "crash before the effect" if crash.written else "crash after the effect"
    crashes = (*scenario.crashes, crash)
    return Step(crash.event, step, column, msgspec.structs.replace(scenario, crashes=crashes))
