"""Whether a scenario fits a saga: every step that it names is there and can be hit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sagakit.errors import ScenarioError
from sagakit.scenario.faults import Crash, Fault, Intervention, Signal
from sagakit.spec import nearest

if TYPE_CHECKING:
    from sagakit.saga import Saga


def check(
    saga: Saga,
    faults: Iterable[Fault],
    interventions: Iterable[Intervention],
    crashes: Iterable[Crash],
) -> None:
    """Raise ScenarioError when something names a step that the saga lacks, or that cannot be
    hit in this way."""
    for fault in faults:
        _check_fault(saga, fault)
    for what in interventions:
        if isinstance(what, Signal):
            _check_signal(what, _within(saga, _path(what.to), f"step '{what.to}' to signal"))
    for crash in crashes:
        _within(saga, _path(crash.to), f"step '{crash.to}' to crash in")


def _check_fault(saga: Saga, fault: Fault) -> None:
    *outer, name = fault.step.split("/")
    inside = _within(saga, outer, f"step '{fault.step}' to {fault.kind}")
    number, plan = _number(inside, name), inside.plan
    if number is None:
        near = nearest(name, plan.index)
        raise ScenarioError(f"saga '{inside.name}' has no step '{name}' to {fault.kind}{near}")
    place = f"saga '{inside.name}': step '{name}'"
    wait = plan.waits.get(number)
    if fault.kind == "drop":
        if wait is None or wait.event is None:
            events = [plan.names[n] for n, other in plan.waits.items() if other.event is not None]
            named = " or ".join(f"'{step}'" for step in events) or "a step made by await_event"
            raise ScenarioError(f"{place} waits for no event that could be dropped; name {named}")
        return
    if fault.side == "action" and plan.actions[number] is None:
        cure = "it waits or chooses"
        if number in plan.nests:
            cure = f"a saga does it: name '{name}/…'"
        elif wait is not None and wait.event is not None:
            cure = f"it waits for the event '{wait.event}': 'drop' that one's signal"
        raise ScenarioError(f"{place} calls nothing that could {fault.kind}; {cure}")
    if fault.side == "compensation" and plan.compensations[number] is None:
        raise ScenarioError(f"{place} has no compensation to {fault.kind}")
    if fault.kind == "trip":
        service = None if plan.guards is None else plan.guards[number]
        if service is None or service.breaker is None:
            raise ScenarioError(
                f"{place} calls no service that has a circuit breaker to trip; give the saga "
                "services=[Service(NAME, breaker=CircuitBreaker())] and the step service=NAME"
            )


def _path(to: str) -> Sequence[str]:
    return to.split("/") if to else []


def _within(saga: Saga, path: Sequence[str], what: str) -> Saga:
    """The saga that does the step at the end of this path."""
    for name in path:
        number = _number(saga, name)
        if number is None or number not in saga.plan.nests:
            near = nearest(name, [saga.plan.names[inner] for inner in saga.plan.nests])
            raise ScenarioError(
                f"saga '{saga.name}' has no {what}: no saga does a step '{name}' there{near}"
            )
        saga = saga.child(saga.plan.names[number])
    return saga


def _number(saga: Saga, name: str) -> int | None:
    """The step's number; of a saga that is done for each item, that of the one step it has."""
    each = "for_each" in saga.shape and name.isdecimal()
    return 0 if each else saga.plan.index.get(name)


def _check_signal(signal: Signal, saga: Saga) -> None:
    awaited = {wait.event for wait in saga.plan.waits.values()} - {None}
    if signal.event not in awaited:
        names = ", ".join(f"'{event}'" for event in sorted(map(str, awaited)))
        inside = [
            name
            for name, inner in saga.children.items()
            if signal.event in {wait.event for wait in inner.plan.waits.values()}
        ]
        raise ScenarioError(
            f"saga '{saga.name}' never waits for the event '{signal.event}'; "
            + (f"it waits for {names}" if names else "it waits for none")
            + "".join(f"; the saga that does '{name}' does: signal it there" for name in inside)
        )
