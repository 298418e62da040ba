"""DESIGN's rules of execution, as properties over generated sagas, faults and crash points."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pure import PureDriver, possibly_done, skipped_by_hand, snapshot
from sagas import fans, sagas

from sagakit.coordinator import decide, evolve, replay
from sagakit.events import (
    AttemptLost,
    ChildResumed,
    CompensationStarted,
    CompensationSucceeded,
    ExecutionResolved,
    RunAction,
    RunCompensation,
    StepFailed,
    StepSkipped,
    StepStarted,
    StepSucceeded,
)

# Relative to the profile: `make mutants` sets a light one.
MANY = settings(
    max_examples=2 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow]
)
TURNS = 3000
ANY = sagas() | sagas() | sagas() | fans()


def chooser(data: st.DataObject) -> Any:
    """Lets hypothesis choose, but only so many misfortunes: an unlucky run must end, too."""
    budget = [25]

    def choose(label: str, options: list[Any]) -> Any:
        if label == "which":
            return data.draw(st.sampled_from(options), label)
        if not budget[0]:
            return options[0]
        chosen = data.draw(st.sampled_from(options), label)
        if chosen != options[0]:
            budget[0] -= 1
        return chosen

    return choose


def driven(data: st.DataObject) -> PureDriver:
    driver = PureDriver(data.draw(ANY), chooser(data))
    for _ in range(TURNS):
        if not (driver.turn() or driver.go_on()):
            return driver
    raise AssertionError("the execution never ended")


@MANY
@given(st.data())
def test_every_execution_ends_completed_compensated_or_stuck(data):
    driver = driven(data)
    state = driver.state
    assert state.status in ("completed", "compensated", "stuck", "abandoned")
    assert not state.running
    assert not state.ready
    assert set(state.due) <= set(state.waiting)  # stuck: what waits may go on waiting
    assert decide(state, 1e9) == []
    words = {str(step) for step in state.steps}
    if state.status == "completed":
        assert words <= {"succeeded", "skipped"}
    if state.status == "compensated":
        undone = {"pending", "failed", "skipped", "kept", "compensated", "in doubt"}
        assert words <= undone | {"compensation skipped"}
    assert bool(state.stuck) == (state.status == "stuck")


@MANY
@given(st.data())
def test_a_step_starts_only_after_all_before_it_succeeded_or_were_skipped(data):
    driver = driven(data)
    passed: set[str] = set()
    for event in driver.events:
        match event:
            case StepStarted(step=step):
                assert set(driver.saga[step].after) <= passed
            case StepSucceeded(step=step) | StepSkipped(step=step):
                passed.add(step)
            case ExecutionResolved(resolution="skip", steps=steps):
                passed |= set(steps)


@MANY
@given(st.data())
def test_compensations_run_in_reverse_topological_order_once_everything_settled(data):
    driver = driven(data)
    saga = driver.saga
    undone: set[str] = set()
    began = False
    for event in driver.events:
        match event:
            case CompensationStarted(step=step):
                began = True
                number = saga.plan.index[step]
                for below in saga.plan.dependents[number]:
                    name = saga.plan.names[below]
                    may_have_run = name in possibly_done(driver.events)
                    has_undo = saga.plan.undoable[below]
                    final_failure = any(
                        isinstance(e, StepFailed) and e.step == name for e in driver.events
                    )
                    if may_have_run and has_undo and not final_failure:
                        assert name in undone, f"{step} undone before {name}"
            case CompensationSucceeded(step=step):
                undone.add(step)
            case ExecutionResolved(resolution="skip", steps=steps):
                undone |= set(steps)
            case StepStarted():
                assert not began, "a step started after compensation began"


@MANY
@given(st.data())
def test_what_may_have_happened_is_compensated_and_nothing_else_is(data):
    driver = driven(data)
    undone = {e.step for e in driver.events if isinstance(e, CompensationSucceeded)}
    tried = {e.step for e in driver.events if isinstance(e, CompensationStarted)}
    assert len([e for e in driver.events if isinstance(e, CompensationSucceeded)]) == len(undone)
    may = possibly_done(driver.events)
    assert tried <= may, "a step that surely had no effect was compensated"
    if driver.state.status == "compensated":
        reconciled_away = {e.step for e in driver.events if isinstance(e, StepFailed)}
        plan = driver.saga.plan
        must = {name for name in may if plan.undoable[plan.index[name]]} - reconciled_away
        assert undone == must - skipped_by_hand(driver.events)


@MANY
@given(st.data())
def test_nothing_is_undone_once_the_pivot_has_succeeded_or_may_have(data):
    driver = driven(data)
    pivot = driver.saga.plan.pivot
    if pivot is None:
        return
    name = driver.saga.plan.names[pivot]
    word = str(driver.state.steps[pivot])
    if word in ("succeeded", "skipped", "stuck", "in doubt"):
        assert not any(isinstance(e, CompensationStarted) for e in driver.events)
    if driver.state.status == "compensated" and name in possibly_done(driver.events):
        # Turned back although the pivot was in doubt: only because a reconcile said it was not.
        assert any(isinstance(e, StepFailed) and e.step == name for e in driver.events)
        assert driver.saga[name].reconcile is not None


@MANY
@given(st.data())
def test_each_attempt_has_the_next_number_and_every_command_is_taken_up_once(data):
    driver = driven(data)
    for kind, began in ((RunAction, StepStarted), (RunCompensation, CompensationStarted)):
        seen: dict[str, int] = {}
        for event in driver.events:
            if isinstance(event, began):
                assert event.attempt == seen.get(event.step, 0) + 1
                seen[event.step] = event.attempt
        commands = [(c.step, c.attempt) for c in driver.commands if isinstance(c, kind)]
        twice = {command for command in commands if commands.count(command) > 1}
        failed_before = {(e.step, 1) for e in driver.events if getattr(e, "attempt", 1) == 0}
        assert twice <= failed_before, "an operator retries what its `when` had failed"
    skipped = {e.step for e in driver.events if isinstance(e, StepSkipped)}
    started = {e.step for e in driver.events if isinstance(e, StepStarted)}
    assert not skipped & started


@MANY
@given(st.data())
def test_attempts_keep_to_the_policy_before_the_pivot(data):
    driver = driven(data)
    plan = driver.saga.plan
    for number, name in enumerate(plan.names):
        started = sum(isinstance(e, StepStarted) and e.step == name for e in driver.events)
        lost = sum(isinstance(e, AttemptLost) and e.step == name for e in driver.events)
        anew = sum(isinstance(e, ExecutionResolved) and name in e.steps for e in driver.events)
        if plan.kinds[number] != "retriable":
            assert started <= plan.retry[number].attempts * (1 + anew) + lost


@MANY
@given(st.data())
def test_replaying_the_events_gives_the_same_state_at_every_point(data):
    driver = PureDriver(data.draw(ANY), chooser(data))
    points = []
    for _ in range(TURNS):
        points.append((len(driver.events), snapshot(driver.state)))
        if not driver.turn():
            break
    for count, expected in points:
        assert snapshot(replay(driver.saga.plan, driver.events[:count])) == expected


@MANY
@given(st.data())
def test_a_copy_goes_its_own_way(data):
    driver = PureDriver(data.draw(ANY), chooser(data))
    for _ in range(data.draw(st.integers(0, 20))):
        driver.turn()
    kept, before = driver.state.copy(), snapshot(driver.state)
    while driver.turn():
        pass
    assert snapshot(kept) == before


@MANY
@given(st.data())
def test_decide_changes_nothing_and_repeats_itself_until_an_event_comes(data):
    driver = PureDriver(data.draw(ANY), chooser(data))
    for _ in range(data.draw(st.integers(0, 25))):
        driver.turn()
    before = snapshot(driver.state)
    assert decide(driver.state, driver.now) == decide(driver.state, driver.now)
    assert snapshot(driver.state) == before


@MANY
@given(st.data())
def test_a_stuck_execution_goes_on_as_the_operator_decides(data):
    driver = driven(data)
    for _ in range(4):
        if driver.state.status != "stuck":
            break
        names = [driver.saga.plan.names[number] for number in driver.state.stuck]
        steps = tuple(data.draw(st.sets(st.sampled_from(names), min_size=1), "steps"))
        how = data.draw(st.sampled_from(["retry", "skip", "abandon"]), "how")
        turned_back = driver.state.turned_back
        driver.resolve(how, steps)
        if how == "abandon":
            assert driver.state.status == "abandoned"
            assert decide(driver.state, 1e9) == []
            break
        for _ in range(TURNS):
            if not driver.turn():
                break
        if turned_back:
            assert driver.state.status in ("compensated", "stuck")
        elif driver.state.status == "compensated":
            assert driver.saga.plan.pivot is not None or driver.saga.plan.nests
        if how == "skip":
            for name in steps:
                assert str(driver.state.state_of(name)) in ("skipped", "compensation skipped")


@settings(MANY, max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_an_event_that_cannot_happen_is_refused_and_changes_nothing(data):
    from sagakit import errors, events
    from sagakit.transitions import STEP_TRANSITIONS

    driver = PureDriver(data.draw(sagas(4)), chooser(data))
    for _ in range(data.draw(st.integers(0, 20))):
        driver.turn()
    name = data.draw(st.sampled_from([*driver.saga.plan.names, "stranger"]))
    attempt = data.draw(st.integers(0, 3))
    error = events.ErrorInfo("X", "x")
    event = data.draw(
        st.sampled_from(
            [
                events.ExecutionStarted("s", None, "f", "x", None, 0.0),
                events.StepStarted(name, attempt, 0.0),
                events.StepSkipped(name, 0.0),
                events.StepSucceeded(name, attempt, 0.0),
                events.StepAttemptFailed(name, attempt, 0.0, error, 1.0),
                events.StepFailed(name, attempt, 0.0, error),
                events.StepInDoubt(name, attempt, 0.0, error),
                events.AttemptLost(name, 0.0),
                events.ReconcileStarted(name, 0.0),
                events.ReconcileFailed(name, 0.0, error),
                events.CompensationStarted(name, attempt, 0.0),
                events.CompensationSucceeded(name, attempt, 0.0),
                events.CompensationAttemptFailed(name, attempt, 0.0, error, 1.0),
                events.CompensationFailed(name, attempt, 0.0, error),
                events.DeadlinePassed(0.0),
                events.ExecutionCompleted(0.0),
                events.ExecutionCompensated(0.0),
                events.ExecutionStuck(0.0, (name,)),
                events.ExecutionResolved(0.0, "retry", "me", "why", (name,)),
                events.CompensationRequested(0.0),
                events.ChildStuck(name, 0.0),
                events.ChildResumed(name, 0.0),
            ]
        )
    )
    before = snapshot(driver.state)
    step = getattr(event, "step", None)
    was = driver.state.state_of(step) if step in driver.saga.plan.index else None
    refusal = None
    try:
        evolve(driver.state, event)
    except errors.IllegalEventError as error:
        refusal = str(error)
    if refusal is not None:
        assert type(event).__name__ in refusal
        assert snapshot(driver.state) == before
    elif step is not None:
        assert was is not None, "an event of a stranger was taken"
        assert type(event) in STEP_TRANSITIONS[was]


@MANY
@given(st.data())
def test_no_more_items_than_the_limit_are_worked_on_or_undone_at_once(data):
    driver = PureDriver(data.draw(fans()), chooser(data))
    limit, resumed = driver.saga.plan.limit, 0
    going = {"ready", "running", "retrying", "waiting", "reconcile due", "reconciling"}
    undoing = {"compensation due", "compensating", "compensation retrying"}
    for _ in range(TURNS):
        if not (driver.turn() or driver.go_on()):
            break
        again = (ChildResumed, ExecutionResolved)  # an operator goes beyond the limit
        resumed = sum(isinstance(e, again) for e in driver.events)
        words = [str(step) for step in driver.state.steps]
        assert sum(word in going for word in words) <= limit + resumed * len(words)
        assert sum(word in undoing for word in words) <= limit + resumed * len(words)
