"""The coordinator by example: what each refusal says, when timers are due, what an event costs."""

from __future__ import annotations

import operator
import sys

import pytest
from pure import ERROR, snapshot
from states import act, after, begun, chain, ran, refusal, resolved, undo

from sagakit import Retry, Saga, pivot, step
from sagakit.coordinator import (
    NOTHING,
    State,
    action_failed,
    compensation_failed,
    decide,
    evolve,
    replay,
)
from sagakit.events import (
    AskReconcile,
    AttemptLost,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationStarted,
    CompensationSucceeded,
    DeadlinePassed,
    EndExecution,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionStarted,
    ExecutionStuck,
    PassDeadline,
    ReconcileFailed,
    ReconcileStarted,
    RunAction,
    RunCompensation,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)
from sagakit.steps import Wait


def ask():
    return True


FORK = Saga(
    "s",
    step(act, undo, name="a"),
    step(act, undo, name="b", after="a"),
    step(act, undo, name="c", after="a"),
)


# -- what is decided ------------------------------------------------------------------------


def test_what_all_executions_share_stays_empty():
    first, second = State(FORK.plan), State(FORK.plan)
    assert first.failures is second.failures is NOTHING
    for change in (operator.setitem, type(NOTHING).setdefault):
        with pytest.raises(TypeError, match="put"):
            change(NOTHING, 0, 1)
    for change in (operator.ior, type(NOTHING).update):
        with pytest.raises(TypeError, match="put"):
            change(NOTHING, {0: 1})
    failed = after(FORK, StepStarted("a", 1, 0.0), StepAttemptFailed("a", 1, 0.0, ERROR, 1.0))
    assert (failed.failures, failed.due) == ({0: 1}, {0: 1.0})
    assert NOTHING == State(FORK.plan).failures == {}


def test_a_beginning():
    state = State(FORK.plan)
    assert (state.status, state.execution_id, state.input) == ("running", "", None)
    assert state.turned_back is False
    assert decide(state, 0.0) == []
    assert state.next_due() is None
    evolve(state, ExecutionStarted("s", None, "f", "x", {"in": 1}, 0.0))
    assert (state.execution_id, state.input, state.status) == ("x", {"in": 1}, "running")
    assert decide(state, 0.0) == [RunAction("a", 1)]
    evolve(state, StepStarted("a", 1, 0.0))
    assert decide(state, 0.0) == []
    assert state.in_flight() == ["a"]
    evolve(state, StepSucceeded("a", 1, 0.0, 42))
    assert state.results == {"a": 42}
    assert decide(state, 0.0) == [RunAction("b", 1), RunAction("c", 1)]


def test_the_end_of_each_kind():
    done = after(chain("a"), *ran("a"))
    assert decide(done, 0.0) == [EndExecution("completed")]
    assert evolve(done, ExecutionCompleted(0.0)).status == "completed"
    turned = after(chain("a"), StepStarted("a", 1, 0.0), StepFailed("a", 1, 0.0, ERROR))
    assert decide(turned, 0.0) == [EndExecution("compensated")]
    assert evolve(turned, ExecutionCompensated(0.0)).status == "compensated"
    saga = Saga("s", pivot(act, name="p"), step(act, name="z"), step(act, name="y", after="p"))
    stuck = after(
        saga,
        *ran("p"),
        StepStarted("z", 1, 0.0),
        StepStarted("y", 1, 0.0),
        StepFailed("z", 1, 0.0, ERROR),
    )
    assert decide(stuck, 0.0) == []
    evolve(stuck, StepSucceeded("y", 1, 0.0))
    assert decide(stuck, 0.0) == [EndExecution("stuck", ("z",))]
    assert evolve(stuck, ExecutionStuck(0.0, ("z",))).status == "stuck"
    assert decide(stuck, 0.0) == []


def test_a_retry_is_due_at_its_time_and_not_before():
    state = after(
        FORK,
        *ran("a"),
        StepStarted("b", 1, 1.0),
        StepStarted("c", 1, 1.0),
        StepAttemptFailed("b", 1, 1.0, ERROR, 5.0),
        StepAttemptFailed("c", 1, 1.0, ERROR, 3.0),
    )
    assert state.next_due() == 3.0
    assert decide(state, 2.9) == []
    assert decide(state, 3.0) == [RunAction("c", 2)]
    assert decide(state, 9.0) == [RunAction("c", 2), RunAction("b", 2)]
    evolve(state, StepStarted("c", 2, 3.0))
    assert state.next_due() == 5.0
    assert decide(state, 4.0) == []
    evolve(state, StepAttemptFailed("c", 2, 3.0, ERROR, 4.0))
    assert state.next_due() == 4.0
    evolve(state, StepStarted("b", 2, 6.0))
    assert state.next_due() == 4.0
    evolve(state, StepStarted("c", 3, 6.0))
    assert state.next_due() is None


def test_a_step_that_is_due_again_at_the_same_time_is_begun_once():
    retry = Retry(9, wait=0)
    saga = Saga("s", *(step(act, name=name, after=(), retry=retry) for name in "ab"))
    state = begun(saga)
    for name in "ab":
        evolve(state, StepStarted(name, 1, 0.0))
        evolve(state, StepAttemptFailed(name, 1, 1.0, ERROR, 1.0))
    evolve(state, StepStarted("b", 2, 1.0))
    evolve(state, StepAttemptFailed("b", 2, 1.0, ERROR, 1.0))
    assert decide(state, 1.0) == [RunAction("a", 2), RunAction("b", 3)]


def test_many_timers_come_in_their_order():
    names = [f"w{number}" for number in range(60)]
    state = begun(Saga("s", *(step(act, name=name, after=()) for name in names)))
    for number, name in enumerate(names):
        evolve(state, StepStarted(name, 1, 0.0))
        due = float((number * 37) % 60)
        evolve(state, StepAttemptFailed(name, 1, 0.0, ERROR, due))
    everything = [command.step for command in decide(state, 99.0)]
    assert everything == sorted(names, key=lambda name: (int(name[1:]) * 37) % 60)
    for now in range(60):
        assert state.next_due() == float(now)
        (command,) = decide(state, float(now))
        assert (int(command.step[1:]) * 37) % 60 == now
        evolve(state, StepStarted(command.step, 2, float(now)))
    assert state.next_due() is None


def test_a_reconcile_is_asked_once_and_again_after_a_crash():
    saga = Saga("s", step(act, undo, name="a", reconcile=ask))
    state = after(saga, StepStarted("a", 1, 0.0), StepInDoubt("a", 1, 0.0, ERROR))
    assert decide(state, 0.0) == [AskReconcile("a")]
    evolve(state, ReconcileStarted("a", 0.0))
    assert decide(state, 0.0) == []
    assert state.in_flight() == ["a"]
    evolve(state, AttemptLost("a", 0.0))
    assert decide(state, 0.0) == [AskReconcile("a")]
    evolve(state, ReconcileStarted("a", 0.0))
    evolve(state, ReconcileFailed("a", 0.0, ERROR))
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_a_deadline_is_due_until_the_pivot_is_tried():
    saga = Saga("s", step(act, undo, name="a"), pivot(act, name="p"), deadline=10)
    state = begun(saga, at=5.0)
    assert state.next_due() == 15.0
    assert decide(state, 14.9) == [RunAction("a", 1)]
    assert decide(state, 15.0) == [PassDeadline()]
    for event in ran("a"):
        evolve(state, event)
    assert state.next_due() == 15.0
    evolve(state, StepStarted("p", 1, 15.5))
    assert state.next_due() is None
    assert decide(state, 99.0) == []


def test_a_deadline_that_passes_turns_back_and_one_that_comes_too_late_does_not():
    saga = Saga("s", step(act, undo, name="a"), step(act, undo, name="b"), deadline=10)
    state = after(saga, *ran("a"), DeadlinePassed(10.0))
    assert decide(state, 10.0) == [RunCompensation("a", 1)]
    assert str(state.state_of("b")) == "pending"
    assert state.next_due() is None
    done = after(saga, *ran("a"), *ran("b"))
    assert decide(done, 99.0) == [EndExecution("completed")]
    skipped = Saga("s", pivot(act, name="p", when=False), step(act, name="z"), deadline=10)
    state = after(skipped, StepSkipped("p", 0.0))
    assert state.next_due() is None


def test_the_next_due_is_the_earlier_of_a_retry_and_the_deadline():
    saga = Saga("s", step(act, undo, name="a"), deadline=10)
    failed = StepStarted("a", 1, 0.0), StepAttemptFailed("a", 1, 0.0, ERROR, 12.0)
    assert after(saga, *failed).next_due() == 10.0


def test_compensations_have_their_own_attempts_and_their_own_count_of_failures():
    saga = Saga(
        "s",
        step(act, undo, name="a", retry=Retry(3), compensation_retry=Retry(2, wait=1)),
        step(act, name="b"),
    )
    state = after(
        saga,
        StepStarted("a", 1, 0.0),
        StepAttemptFailed("a", 1, 0.0, ERROR, 0.0),
        StepStarted("a", 2, 0.0),
        StepSucceeded("a", 2, 0.0),
        StepStarted("b", 1, 0.0),
        StepFailed("b", 1, 0.0, ERROR),
    )
    assert decide(state, 0.0) == [RunCompensation("a", 1)]
    evolve(state, CompensationStarted("a", 1, 0.0))
    first = compensation_failed(state, "a", ERROR, terminal=False, at=2.0)
    assert first == CompensationAttemptFailed("a", 1, 2.0, ERROR, 3.0)
    evolve(state, first)
    assert decide(state, 2.5) == []
    assert decide(state, 3.0) == [RunCompensation("a", 2)]
    evolve(state, CompensationStarted("a", 2, 3.0))
    last = compensation_failed(state, "a", ERROR, terminal=False, at=4.0)
    assert last == CompensationFailed("a", 2, 4.0, ERROR)
    evolve(state, last)
    assert decide(state, 4.0) == [EndExecution("stuck", ("a",))]
    evolve(state, ExecutionStuck(4.0, ("a",)))
    evolve(state, resolved("retry", "a"))
    assert decide(state, 5.0) == [RunCompensation("a", 3)]
    evolve(state, CompensationStarted("a", 3, 5.0))
    again = compensation_failed(state, "a", ERROR, terminal=False, at=6.0)
    assert isinstance(again, CompensationAttemptFailed), "the operator's retry has a fresh budget"


def test_what_is_ready_and_what_is_due_are_decided_together():
    state = after(
        FORK,
        *ran("a"),
        StepStarted("b", 1, 1.0),
        StepAttemptFailed("b", 1, 1.0, ERROR, 5.0),
    )
    assert decide(state, 5.0) == [RunAction("c", 1), RunAction("b", 2)]


def test_a_step_is_undone_only_after_all_behind_it():
    saga = Saga("s", *FORK.steps, step(act, name="d", after=("b", "c")))
    bad = StepStarted("d", 1, 0.0), StepFailed("d", 1, 0.0, ERROR)
    state = after(saga, *ran("a"), *ran("b"), *ran("c"), *bad)
    assert {command.step for command in decide(state, 0.0)} == {"b", "c"}
    for name in ("b", "c"):
        assert "a" not in [command.step for command in decide(state, 0.0)]
        evolve(state, CompensationStarted(name, 1, 0.0))
        evolve(state, CompensationSucceeded(name, 1, 0.0))
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_nothing_is_undone_while_a_doubt_may_still_be_cleared():
    saga = Saga(
        "s",
        step(act, undo, name="a", after=()),
        step(act, undo, name="b", after=(), reconcile=ask),
        step(act, undo, name="c", after=()),
    )
    state = after(
        saga,
        *ran("a"),
        StepStarted("b", 1, 0.0),
        StepStarted("c", 1, 0.0),
        StepInDoubt("b", 1, 0.0, ERROR),
        StepFailed("c", 1, 0.0, ERROR),
    )
    assert decide(state, 0.0) == [AskReconcile("b")]
    evolve(state, ReconcileStarted("b", 0.0))
    assert decide(state, 0.0) == []
    evolve(state, StepSucceeded("b", 1, 0.0))
    assert {command.step for command in decide(state, 0.0)} == {"a", "b"}


def test_an_answer_is_not_waited_for_alone_when_something_else_runs():
    saga = Saga(
        "s",
        step(act, undo, name="a", after=()),
        step(act, undo, name="b", after=(), reconcile=ask),
    )
    state = after(
        saga,
        StepStarted("a", 1, 0.0),
        StepStarted("b", 1, 0.0),
        StepInDoubt("b", 1, 0.0, ERROR),
        ReconcileStarted("b", 0.0),
        ReconcileFailed("b", 0.0, ERROR),
    )
    assert decide(state, 0.0) == [], "a runs"
    evolve(state, StepSucceeded("a", 1, 0.0))
    assert {command.step for command in decide(state, 0.0)} == {"a", "b"}


def test_an_execution_ends_when_the_last_of_several_compensations_has_ended():
    saga = Saga("s", *(step(act, undo, name=name, after=()) for name in "ab"), step(act, name="c"))
    bad = StepStarted("c", 1, 0.0), StepFailed("c", 1, 0.0, ERROR)
    state = after(saga, *ran("a"), *ran("b"), *bad)
    for name in "ab":
        evolve(state, CompensationStarted(name, 1, 0.0))
    evolve(state, CompensationSucceeded("a", 1, 0.0))
    assert decide(state, 0.0) == [], "that of b runs"
    evolve(state, CompensationSucceeded("b", 1, 0.0))
    assert decide(state, 0.0) == [EndExecution("compensated")]


def test_what_has_no_compensation_is_kept_and_what_is_before_it_undone():
    saga = Saga("s", step(act, undo, name="a"), step(act, name="b"), step(act, name="c"))
    state = after(saga, *ran("a"), *ran("b"), StepStarted("c", 1, 0.0))
    evolve(state, StepInDoubt("c", 1, 0.0, ERROR))
    words = {name: str(state.state_of(name)) for name in "abc"}
    assert words == {"a": "compensation due", "b": "kept", "c": "in doubt"}
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_a_step_whose_condition_failed_never_ran():
    state = after(chain("a", "b"), *ran("a"), StepFailed("b", 0, 0.0, ERROR))
    assert state.running == 0
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_a_compensation_has_as_many_attempts_as_its_policy_says():
    saga = Saga("s", step(act, undo, name="a", compensation_retry=Retry(3)), step(act, name="b"))
    state = after(saga, *ran("a"), StepStarted("b", 1, 0.0), StepFailed("b", 1, 0.0, ERROR))
    kinds = []
    for attempt in (1, 2, 3):
        evolve(state, CompensationStarted("a", attempt, 0.0))
        event = compensation_failed(state, "a", ERROR, terminal=False, at=0.0)
        kinds.append(type(event))
        evolve(state, event)
    assert kinds == [CompensationAttemptFailed, CompensationAttemptFailed, CompensationFailed]


def test_a_doubtful_pivot_stays_doubtful_when_an_operator_retries_it():
    state = after(
        PIVOTAL,
        StepStarted("p", 1, 0.0),
        StepInDoubt("p", 1, 0.0, ERROR),
        ExecutionStuck(0.0, ("p",)),
        resolved("retry", "p"),
        StepStarted("p", 2, 0.0),
    )
    event = action_failed(state, "p", ERROR, terminal=True, in_doubt=False, at=0.0)
    assert event == StepInDoubt("p", 2, 0.0, ERROR)


@pytest.mark.parametrize(
    ("policy", "at", "due"),
    [(Retry(2, wait=8, jitter=1.0), 1.0, 9.0), (Retry(2, wait=0), 0.0, 0.0)],
    ids=["without a chance a wait is whole", "without a wait it is due at once"],
)
def test_the_next_attempt_is_due_after_the_wait(policy, at, due):
    saga = Saga(
        "s", step(act, undo, name="a", retry=policy, compensation_retry=policy), step(act, name="b")
    )
    state = after(saga, StepStarted("a", 1, 0.0))
    assert action_failed(state, "a", ERROR, terminal=False, in_doubt=False, at=at).retry_at == due
    failed = StepStarted("b", 1, 0.0), StepFailed("b", 1, 0.0, ERROR)
    state = after(saga, *ran("a"), *failed, CompensationStarted("a", 1, 0.0))
    assert compensation_failed(state, "a", ERROR, terminal=False, at=at).retry_at == due


def test_a_copy_goes_its_own_way_and_knows_what_was_known():
    saga = Saga("s", step(act, undo, name="a"), step(act, undo, name="b"))
    state = after(saga, *ran("a"))
    twin = state.copy()
    for event in ran("b"):
        evolve(state, event)
    assert (twin.results, decide(twin, 0.0)) == ({"a": "a"}, [RunAction("b", 1)])
    for event in ran("b"):
        evolve(twin, event)
    assert snapshot(twin) == snapshot(state)


def test_a_copy_shares_the_input():
    state = begun(chain("a"))
    assert state.copy().input is state.input


def test_a_terminal_failure_of_a_compensation_gives_up_at_once():
    saga = Saga("s", step(act, undo, name="a"), step(act, name="b"))
    failed = StepStarted("b", 1, 0.0), StepFailed("b", 1, 0.0, ERROR)
    state = after(saga, *ran("a"), *failed, CompensationStarted("a", 1, 0.0))
    event = compensation_failed(state, "a", ERROR, terminal=True, at=1.0)
    assert event == CompensationFailed("a", 1, 1.0, ERROR)


@pytest.mark.parametrize(("chance", "waits"), [(0.0, [8.0, 16.0, 20.0]), (0.5, [6.0, 12.0, 15.0])])
def test_what_a_failed_attempt_leads_to_before_the_pivot(chance, waits):
    policy = Retry(4, wait=8, backoff=2, max_wait=20, jitter=0.5)
    state = begun(Saga("s", step(act, undo, name="a", retry=policy)))
    at = 100.0
    for attempt, wait in enumerate(waits, 1):
        evolve(state, StepStarted("a", attempt, at))
        event = action_failed(
            state, "a", ERROR, terminal=False, in_doubt=attempt == 2, at=at, chance=chance
        )
        assert event == StepAttemptFailed("a", attempt, at, ERROR, at + wait, attempt == 2)
        evolve(state, event)
    evolve(state, StepStarted("a", 4, at))
    event = action_failed(state, "a", ERROR, terminal=False, in_doubt=False, at=at)
    assert event == StepInDoubt("a", 4, at, ERROR), "the second attempt was in doubt"


def test_what_a_failed_attempt_leads_to_at_and_after_the_pivot():
    saga = Saga("s", pivot(act, name="p"), step(act, name="z", retry=Retry(1, wait=1, backoff=1)))

    def outcome(state, name, **how):
        return action_failed(
            state, name, ERROR, at=0.0, **{"terminal": False, "in_doubt": False, **how}
        )

    trying = after(saga, StepStarted("p", 1, 0.0))
    assert outcome(trying, "p") == StepFailed("p", 1, 0.0, ERROR)
    assert outcome(trying, "p", in_doubt=True) == StepInDoubt("p", 1, 0.0, ERROR)
    state = after(saga, *ran("p"))
    for attempt in range(1, 9):
        evolve(state, StepStarted("z", attempt, 0.0))
        event = outcome(state, "z", in_doubt=True)
        assert event == StepAttemptFailed("z", attempt, 0.0, ERROR, 1.0, True)
        evolve(state, event)
    evolve(state, StepStarted("z", 9, 0.0))
    assert outcome(state, "z", terminal=True, in_doubt=True) == StepFailed("z", 9, 0.0, ERROR, True)


def test_a_branch_that_fails_while_turning_back_is_not_tried_again():
    saga = Saga(
        "s",
        step(act, undo, name="a", retry=Retry(5), after=()),
        step(act, undo, name="b", after=()),
    )
    state = after(
        saga, StepStarted("a", 1, 0.0), StepStarted("b", 1, 0.0), StepFailed("b", 1, 0.0, ERROR)
    )
    event = action_failed(state, "a", ERROR, terminal=False, in_doubt=False, at=1.0)
    assert event == StepFailed("a", 1, 1.0, ERROR)
    doubt = action_failed(state, "a", ERROR, terminal=False, in_doubt=True, at=1.0)
    assert doubt == StepInDoubt("a", 1, 1.0, ERROR)
    evolve(state, doubt)
    assert decide(state, 1.0) == [RunCompensation("a", 1)]


def test_what_waits_when_recovery_begins_is_halted():
    saga = Saga(
        "s",
        step(act, undo, name="clean", retry=Retry(5), after=()),
        step(act, undo, name="doubt", retry=Retry(5), after=()),
        step(act, undo, name="lost", after=()),
        step(act, undo, name="fresh", after=()),
        step(act, undo, name="bad", after=()),
    )
    names = ("clean", "doubt", "lost", "bad")
    state = after(
        saga,
        *(StepStarted(name, 1, 0.0) for name in names),
        StepAttemptFailed("clean", 1, 0.0, ERROR, 9.0),
        StepAttemptFailed("doubt", 1, 0.0, ERROR, 9.0, True),
        AttemptLost("lost", 0.0),
        StepFailed("bad", 1, 0.0, ERROR),
    )
    assert {name: str(state.state_of(name)) for name in saga.plan.names} == {
        "clean": "failed",
        "doubt": "compensation due",
        "lost": "compensation due",
        "fresh": "pending",
        "bad": "failed",
    }
    assert state.next_due() is None


def test_an_attempt_lost_while_turning_back_is_compensated_not_repeated():
    saga = Saga("s", step(act, undo, name="a", after=()), step(act, undo, name="b", after=()))
    state = after(
        saga,
        StepStarted("a", 1, 0.0),
        StepStarted("b", 1, 0.0),
        StepFailed("b", 1, 0.0, ERROR),
        AttemptLost("a", 0.0),
    )
    assert decide(state, 0.0) == [RunCompensation("a", 1)]
    evolve(state, CompensationStarted("a", 1, 0.0))
    evolve(state, AttemptLost("a", 0.0))
    assert decide(state, 0.0) == [RunCompensation("a", 2)]


def test_an_operators_words():
    saga = Saga("s", pivot(act, name="p"), step(act, name="y"), step(act, name="z"))
    stuck = (
        *ran("p"),
        StepStarted("y", 1, 0.0),
        StepFailed("y", 1, 0.0, ERROR),
        ExecutionStuck(0.0, ("y",)),
    )
    state = after(saga, *stuck, resolved("skip", "y"))
    assert str(state.state_of("y")) == "skipped"
    assert decide(state, 0.0) == [RunAction("z", 1)]
    assert state.stuck == {}
    state = after(saga, *stuck, resolved("retry", "y"))
    assert decide(state, 0.0) == [RunAction("y", 2)]
    state = after(saga, *stuck, resolved("abandon", "y"))
    assert (state.status, state.stuck) == ("abandoned", {})


# -- what is refused ------------------------------------------------------------------------


PIVOTAL = Saga("s", pivot(act, name="p"), step(act, name="z"))
TURNED = (*ran("a"), StepStarted("b", 1, 0.0), StepFailed("b", 1, 0.0, ERROR))
STUCK = (
    *ran("p"),
    StepStarted("z", 1, 0.0),
    StepFailed("z", 1, 0.0, ERROR),
    ExecutionStuck(0.0, ("z",)),
)


@pytest.mark.parametrize(
    ("saga", "before", "event", "words"),
    [
        (chain("a", "b"), (), StepStarted("b", 1, 0.0), "the step 'b' is pending"),
        (chain("a"), (), StepStarted("x", 1, 0.0), "the step 'x' is not part of the saga"),
        (chain("a"), (), StepStarted("a", 2, 0.0), "the step 'a' is at attempt 0, not 1"),
        (chain("a", "b"), TURNED, StepStarted("a", 2, 0.0), "an execution that is backward"),
        (chain("a"), (), StepSucceeded("a", 1, 0.0), "the step 'a' is ready"),
        (chain("a"), (), StepSucceeded("x", 1, 0.0), "'x' is not part of the saga"),
        (
            chain("a"),
            (StepStarted("a", 1, 0.0),),
            StepSucceeded("a", 2, 0.0),
            "at attempt 1, not 2",
        ),
        (chain("a"), ran("a"), StepSkipped("a", 0.0), "the step 'a' is succeeded"),
        (chain("a", "b"), TURNED, StepSkipped("b", 0.0), "an execution that is backward"),
        (chain("a"), (), StepFailed("a", 1, 0.0, ERROR), "at attempt 0, not 1"),
        (chain("a"), ran("a"), StepFailed("a", 1, 0.0, ERROR), "the step 'a' is succeeded"),
        (chain("a"), (), StepInDoubt("a", 1, 0.0, ERROR), "the step 'a' is ready"),
        (
            chain("a", "b"),
            TURNED,
            StepAttemptFailed("b", 1, 0.0, ERROR, 1.0),
            "an execution that is backward",
        ),
        (chain("a"), (), AttemptLost("a", 0.0), "the step 'a' is ready"),
        (chain("a"), (), ReconcileStarted("a", 0.0), "the step 'a' is ready"),
        (chain("a"), (), ReconcileFailed("a", 0.0, ERROR), "the step 'a' is ready"),
        (chain("a"), ran("a"), CompensationStarted("a", 1, 0.0), "the step 'a' is succeeded"),
        (chain("a", "b"), TURNED, CompensationStarted("a", 2, 0.0), "at attempt 1, not 2"),
        (chain("a", "b"), TURNED, CompensationSucceeded("a", 1, 0.0), "is compensation due"),
        (PIVOTAL, STUCK, StepStarted("z", 2, 0.0), "an execution that is stuck"),
        (PIVOTAL, STUCK, AttemptLost("z", 0.0), "an execution that is stuck"),
        (PIVOTAL, STUCK, ReconcileStarted("z", 0.0), "an execution that is stuck"),
        (PIVOTAL, STUCK, ReconcileFailed("z", 0.0, ERROR), "an execution that is stuck"),
        (PIVOTAL, STUCK, CompensationStarted("z", 1, 0.0), "an execution that is stuck"),
        (PIVOTAL, STUCK, StepFailed("z", 1, 0.0, ERROR), "an execution that is stuck"),
        (PIVOTAL, STUCK, ExecutionStuck(0.0, ("z",)), "the execution is stuck"),
        (PIVOTAL, STUCK, resolved("retry", "p"), "the execution is not stuck at p"),
        (PIVOTAL, STUCK, resolved("retry", "z", "x"), "is not stuck at z, x"),
        (chain("a"), (), resolved("skip", "a"), "the execution is forward"),
        (
            chain("a"),
            (),
            ExecutionStarted("s", None, "f", "x", None, 0.0),
            "the execution is forward",
        ),
        (chain("a"), (), ExecutionCompleted(0.0), "the execution has steps under way"),
        (chain("a"), ran("a"), ExecutionStuck(0.0, ()), "the execution is not stuck"),
        (chain("a"), ran("a"), ExecutionCompensated(0.0), "the execution is forward"),
        (PIVOTAL, STUCK[:-1], ExecutionCompleted(0.0), "the execution has steps that wait"),
        (chain("a", "b"), TURNED, DeadlinePassed(0.0), "the execution is backward"),
        (chain("a"), (), Event(), "the execution knows no such event"),
    ],
)
def test_what_cannot_happen_is_refused_in_words(saga, before, event, words):
    why = refusal(after(saga, *before), event)
    assert words in why
    assert why.startswith("the ")


def test_steps_under_way_keep_an_execution_from_ending():
    state = after(chain("a"), StepStarted("a", 1, 0.0))
    assert refusal(state, ExecutionCompleted(0.0)) == "the execution has steps under way"
    evolve(state, StepAttemptFailed("a", 1, 0.0, ERROR, 5.0))
    assert refusal(state, ExecutionCompleted(0.0)) == "the execution has steps under way"


# -- what it costs --------------------------------------------------------------------------


def lines_run(work):
    """How many lines of the coordinator run during ``work``."""
    count = 0

    def trace(frame, kind, _):
        nonlocal count
        if not frame.f_code.co_filename.endswith("coordinator.py"):
            return None
        count += kind == "line"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize("shape", ["chain", "wide", "waiting"])
def test_an_event_costs_as_much_in_a_saga_of_ten_thousand_steps_as_in_one_of_ten(shape):
    costs = set()
    for size in (10, 10_000):
        place = None if shape == "chain" else ()
        action = Wait(event="e") if shape == "waiting" else act
        saga = Saga("s", *(step(action, undo, name=f"s{n}", after=place) for n in range(size)))
        state = begun(saga)
        names = ["s0", "s1"]
        if shape != "chain":  # begin all: what is ready is decided once, and then no more
            for name in saga.plan.names:
                waits = WaitStarted(name, 0.0, "e")
                evolve(state, waits if shape == "waiting" else StepStarted(name, 1, 0.0))

        def work(state=state, names=names, chained=shape == "chain"):
            for name in names:
                if chained:
                    evolve(state, StepStarted(name, 1, 0.0))
                evolve(state, StepSucceeded(name, 1, 0.0))
                decide(state, 0.0)

        costs.add(lines_run(work))
    assert len(costs) == 1


def test_replay_is_the_same_as_living_through_it():
    events = [
        ExecutionStarted("s", None, "f", "x", None, 0.0),
        *TURNED,
        CompensationStarted("a", 1, 0.0),
    ]
    state = replay(chain("a", "b").plan, events)
    assert str(state.state_of("a")) == "compensating"
    assert state.turned_back
