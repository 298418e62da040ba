"""States of the coordinator, by the events that lead to them."""

from __future__ import annotations

from typing import Any

import pytest

from sagakit import Saga, step
from sagakit.coordinator import State, evolve
from sagakit.errors import IllegalEventError
from sagakit.events import (
    CancellationRequested,
    Event,
    ExecutionResolved,
    ExecutionStarted,
    Resolution,
    StepStarted,
    StepSucceeded,
)

CANCELLED = CancellationRequested(0.0, "me", "why")


def act() -> None:
    pass


def undo() -> None:
    pass


def begun(saga: Any, at: float = 0.0) -> State:
    """The state of an execution of the saga (or what ``for_each`` runs) that has just begun."""
    return evolve(State(saga.plan), ExecutionStarted("s", None, "f", "x", {"in": 1}, at))


def after(saga: Any, *events: Event) -> State:
    state = begun(saga)
    for event in events:
        evolve(state, event)
    return state


def chain(*names: str, **options: Any) -> Saga:
    return Saga("s", *(step(act, undo, name=name, **options) for name in names))


def ran(name: str, attempt: int = 1, at: float = 0.0) -> tuple[Event, ...]:
    return StepStarted(name, attempt, at), StepSucceeded(name, attempt, at, name)


def resolved(how: Resolution, *steps: str) -> ExecutionResolved:
    return ExecutionResolved(0.0, how, "me", "why", steps)


def refusal(state: State, event: Event) -> str:
    """What is said of an event that cannot happen in this state, without its usual beginning."""
    with pytest.raises(IllegalEventError) as refused:
        evolve(state, event)
    head, _, why = str(refused.value).partition(" is illegal: ")
    assert head == f"execution 'x': {type(event).__name__}"
    return why
