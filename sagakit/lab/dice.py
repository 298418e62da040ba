"""What chance may do to a saga, and the scenario that it throws."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from sagakit.events import CompensationStarted, StepStarted
from sagakit.execution import Execution
from sagakit.lab.faults import FOR_GOOD, ONCE
from sagakit.saga import Saga
from sagakit.scenario import Crash, Fault, FaultKind, Scenario, Side

MOST = 3  # attempts of one step that may be struck: more never happen to most of them
GOOD = 0.25  # the share of faults at a first attempt that are for good
SECONDS = (0.1, 1.0, 10.0, 100.0)  # how slow


class Target(NamedTuple):
    """What can be struck: the action or the compensation of one step, and in which ways."""

    step: str
    side: Side
    once: tuple[FaultKind, ...]
    for_good: tuple[FaultKind, ...]
    attempts: int


def targets(execution: Execution) -> list[Target]:
    """All that can be struck in a saga, those inside it as far as this execution got included."""
    return list(_targets(execution, "", execution.saga, ends=True))


def _targets(execution: Execution | None, path: str, saga: Saga, *, ends: bool) -> Iterator[Target]:
    """
    Parameters:
        ends: whether a step may fail for good: after a pivot it would be tried for ever.
    """
    plan = saga.plan
    for number, name in enumerate(plan.names):
        at = f"{path}{name}"
        yield from targets_at(saga, number, at, ends=ends)
        inner = None if execution is None else execution.children.get(name)
        if inner is not None:
            below = ends and plan.kinds[number] != "retriable"
            yield from _targets(inner, f"{at}/", inner.saga, ends=below)


def targets_at(saga: Saga, number: int, at: str, *, ends: bool) -> Iterator[Target]:
    """What can be struck at one step of a saga.

    Parameters:
        at: what a scenario calls the step.
        ends: see ``_targets``.
    """
    plan = saga.plan
    forward = plan.kinds[number] == "retriable"
    guard = None if plan.guards is None else plan.guards[number]
    trips: tuple[FaultKind, ...] = ("trip",) if guard and guard.breaker else ()
    if plan.actions[number] is not None:
        good = FOR_GOOD["action"] if ends and not forward else ()
        most = MOST if forward else min(MOST, plan.retry[number].attempts)
        kinds = (*ONCE["action"], "slow", *(("reorder",) if most > 1 else ()), *trips)
        yield Target(at, "action", tuple(dict.fromkeys(kinds)), good, most)
    if plan.compensations[number] is not None:
        most = min(MOST, plan.compensation_retry[number].attempts)
        once = (*ONCE["compensation"], "slow", *trips)
        yield Target(at, "compensation", once, FOR_GOOD["compensation"], most)


class Dice:
    """Throws scenarios.

    Parameters:
        base: what every scenario begins with: what comes from outside.
        calm: the execution without any fault.
        rate: the probability that an attempt is struck, and that the coordinator dies.
    """

    def __init__(self, base: Scenario, calm: Execution, rate: float, crashes: bool) -> None:
        self._base = base
        self._targets = targets(calm)
        self._events = Counter(path for path, _ in calm.history())
        self._rate = rate
        self._crashes = crashes
        heard = {what.event for what in base.interventions if hasattr(what, "event")}
        waits = calm.saga.plan.waits.items()
        self._waits = [calm.saga.plan.names[n] for n, wait in waits if wait.event in heard]

    def throw(self, seed: str) -> Scenario:
        """The scenario of one run; the same for the same seed, on every machine."""
        chance = random.Random(seed)
        faults: list[Fault] = []
        for target in self._targets:
            faults += self._strike(target, chance)
        for step in self._waits:
            if chance.random() < self._rate:
                faults.append(Fault("drop", step))
        crashes: tuple[Crash, ...] = ()
        if self._crashes and chance.random() < self._rate:
            to, event = self._moment(chance.randint(1, 2 * self._events.total()))
            crashes = (Crash(event, chance.random() < 0.5, to),)
        base = self._base
        return Scenario((*base.faults, *faults), "", base.interventions, (*base.crashes, *crashes))

    def _moment(self, number: int) -> tuple[str, int]:
        """The path and the number of an event, of all that there are and of as many more each."""
        for path, count in self._events.items():
            if number <= 2 * count:
                return path, number
            number -= 2 * count
        raise AssertionError("the number is one of these")

    def _strike(self, target: Target, chance: random.Random) -> Iterator[Fault]:
        for attempt in range(1, target.attempts + 1):
            if chance.random() >= self._rate:
                continue
            if attempt == 1 and target.for_good and chance.random() < GOOD:
                yield Fault(chance.choice(target.for_good), target.step, target.side)
                return
            kind = chance.choice(target.once)
            seconds = chance.choice(SECONDS) if kind == "slow" else 0.0
            yield Fault(kind, target.step, target.side, attempt, seconds)


def struck(scenario: Scenario, execution: Execution) -> Scenario:
    """What of a scenario an execution met: the faults of attempts that it made, the crashes at
    events that it had."""
    made: set[tuple[str, Side, int]] = set()
    events: Counter[str] = Counter()
    for path, event in execution.history():
        events[path] += 1
        at = f"{path}/" if path else ""
        if isinstance(event, StepStarted):
            made.add((f"{at}{event.step}", "action", event.attempt))
        elif isinstance(event, CompensationStarted):
            made.add((f"{at}{event.step}", "compensation", event.attempt))
    met = {id(scenario.find(*attempt)) for attempt in made}
    faults = tuple(f for f in scenario.faults if id(f) in met or f.kind == "drop")
    crashes = tuple(crash for crash in scenario.crashes if crash.event < events[crash.to])
    return Scenario(faults, scenario.name, scenario.interventions, crashes, scenario.description)
