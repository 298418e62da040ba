"""Sagas of all constructs at once, inside one another: the rules of execution hold, and a crash
after any event changes nothing in the end. In virtual time, with real actions and real books."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from language import (
    Books,
    built,
    by_execution,
    ends_of,
    family,
    never,
    own_stuck,
    stuck_worlds,
    whose,
    worlds,
)

from sagakit import Saga, simulate
from sagakit.drivers.run import Run
from sagakit.drivers.simulated import resume
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    CancellationRequested,
    ChildResumed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    ExecutionResolved,
    ExecutionStarted,
    HedgeStarted,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)

MANY = settings(
    max_examples=settings.default.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
ANY = worlds() | worlds() | stuck_worlds()
ACTIONS = ("act", "refuse", "fail", "lose", "keep_silent", "undo", "cannot")
FEWER = settings(MANY, max_examples=max(10, settings.default.max_examples // 3))


@pytest.fixture
def order(monkeypatch):
    """The events of all executions in the order in which they came."""
    found: list[tuple[str, Any]] = []
    emit = Run.emit

    def noting(self, event):
        emit(self, event)
        found.append((self.state.execution_id, event))

    monkeypatch.setattr(Run, "emit", noting)
    return found


def ran(world, order):
    """Run a world to its end, the operator's decisions included."""
    order.clear()
    books = Books()
    saga, scenario = built(world, books)
    execution = simulate(saga, scenario=scenario, id="root")
    return decided(execution, books, saga, scenario, world, order), books, saga, list(order)


def decided(execution, books, saga, scenario, world, order):
    """What an execution comes to when the operator has decided as often as it got stuck."""
    for _ in range(20):
        if execution.status != "stuck" or world.decision is None:
            return execution
        books.cured = True
        events = {one.id: list(one.events) for one in family(execution)}
        now = max(found[-1].at for found in events.values())
        for one in family(execution):
            for event in _decisions(one, world.decision, now):
                events[one.id].append(event)
                order.append((one.id, event))
        execution = resume(saga, events.pop("root"), scenario=scenario, children=events)
    raise AssertionError("it is stuck for ever")


def _decisions(one, decision, now):
    """What an engine records in one of a family when an operator decides about all of it."""
    if one.status != "stuck":
        return
    if decision == "abandon":
        yield ExecutionResolved(now, "abandon", "ann", "by hand", one.stuck_steps)
        return
    own = own_stuck(one)
    gone_on = () if decision == "skip" else [name for name in own if name in one.children]
    if set(own) - set(gone_on):
        steps = tuple(name for name in own if name not in gone_on)
        yield ExecutionResolved(now, decision, "ann", "by hand", steps)
    for name in one.stuck_steps:
        if name not in own or name in gone_on:
            yield ChildResumed(name, now)


@MANY
@given(world=ANY)
def test_it_ends_and_what_was_done_stays_or_is_undone(order, world):
    execution, books, _, events = ran(world, order)
    ends_of(world).check(execution, books, world)
    pivots = [f"s{number}" for number, part in enumerate(world.plan) if part[0] == "pivot"]
    if execution.status == "compensated" and pivots:
        assert execution.states[pivots[0]] != "succeeded"
    held = sum(isinstance(event, AttemptHeld) for _, event in events)
    admitted = sum(isinstance(event, AttemptAdmitted) for _, event in events)
    assert admitted <= held


@MANY
@given(world=ANY)
def test_every_execution_in_it_keeps_the_order_of_its_steps(order, world):
    _, _, saga, events = ran(world, order)
    sagas = {one.fingerprint: one for one in saga.family()}
    for events_of_one in by_execution(events).values():
        first = events_of_one[0]
        assert isinstance(first, ExecutionStarted)
        one = sagas[first.fingerprint].given(first.input)
        settled, undone = set(), set()
        turned = False
        for event in events_of_one[1:]:
            match event:
                case StepStarted(step=name) | WaitStarted(step=name):
                    assert set(one[name].after) <= settled
                    assert not turned, "nothing new starts once it has turned back"
                case CompensationStarted(step=name):
                    turned = True
                    number = one.plan.index[name]
                    behind = {one.plan.names[other] for other in one.plan.dependents[number]}
                    assert not (behind & settled) - undone - _nothing_to_undo(one, behind)
                case CompensationSucceeded(step=name):
                    undone.add(name)
                case ExecutionResolved(resolution="skip", steps=steps):
                    undone |= set(steps)
                    settled |= set(steps)
                case DeadlinePassed() | CancellationRequested() | CompensationRequested():
                    turned = True
                case StepSkipped(step=name):
                    settled.add(name)
                    undone.add(name)
                case StepSucceeded(step=name):
                    settled.add(name)


def _nothing_to_undo(saga, names):
    return {name for name in names if not saga.plan.undoable[saga.plan.index[name]]}


@MANY
@given(world=ANY)
def test_a_second_run_gives_the_same_events(order, world):
    assert ran(world, order)[3] == ran(world, order)[3]


@MANY
@given(world=ANY)
def test_only_reads_are_asked_twice_and_only_by_a_service_that_hedges(order, world):
    _, _, saga, events = ran(world, order)
    sagas = {one.fingerprint: one for one in saga.family()}
    for found in by_execution(events).values():
        one = sagas[found[0].fingerprint].given(found[0].input)
        for event in found:
            if isinstance(event, HedgeStarted):
                assert "hedge" in world.policies
                assert one[event.step].read


@FEWER
@given(world=ANY)
def test_a_crash_after_any_event_leads_to_the_same_end(order, world):
    execution, books, _, events = ran(world, order)
    ends = ends_of(world)
    for cut in range(1, len(events)):
        after_crash = Books()
        saga, scenario = built(world, after_crash)
        kept = _at_a_crash(after_crash, events[:cut])
        again = resume(saga, kept.pop("root"), scenario=scenario, children=kept)
        again = decided(again, after_crash, saga, scenario, world, [])
        ends.check(again, after_crash, world)
        if not world.raced:
            assert again.status == execution.status, f"after {cut} events"
        if execution.status == again.status == "completed":
            assert after_crash.left == books.left, f"after {cut} events"


def _at_a_crash(books, events):
    """What the journal has of each execution after these events; and the books get what they say
    by then, the calls under way not counted."""
    kept = defaultdict(list)
    for id, event in events:
        kept[id].append(event)
        key = f"{id}/{getattr(event, 'step', '')}/action"
        match event:
            case StepSucceeded(step=name, result=result):
                if result is not None and result == name:
                    books.done[key] = "done"
            case CompensationSucceeded() if books.done.get(key) == "done":
                books.done[key] = "suspended"
            case ExecutionResolved():
                books.cured = True
    return kept


@MANY
@given(world=ANY)
def test_its_yaml_form_gives_an_equal_saga(world):
    books = Books()
    saga, _ = built(world, books)
    actions = [getattr(books, name) for name in ACTIONS]
    assert Saga.from_yaml(saga.to_yaml(), actions=[*actions, never, whose]) == saga
