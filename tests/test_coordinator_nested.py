"""The coordinator by example: steps that sagas do, a limit of items at once, and what an operator
or an outer saga says of an execution as a whole."""

from __future__ import annotations

import pytest
from pure import ERROR
from states import CANCELLED, act, after, begun, chain, ran, refusal, resolved, undo

from sagakit import Retry, Saga, await_event, for_each, pivot, step, sub_saga
from sagakit.coordinator import action_failed, compensation_failed, decide, evolve
from sagakit.events import (
    AttemptAdmitted,
    AttemptHeld,
    BreakerChanged,
    ChildResumed,
    ChildStuck,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    EndExecution,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionStuck,
    HedgeStarted,
    RunAction,
    RunCompensation,
    StepFailed,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)

INNER = Saga("inner", step(act, undo))


def nested(name, **options):
    """A step that a saga does."""
    return sub_saga(INNER, name=name, **options)


def fan(count, limit, body, *, late=False):
    """What ``for_each`` runs for so many items.

    Parameters:
        late: it stands after the pivot of the saga around it.
    """
    above = [pivot(act, name="p")] if late else []
    outer = Saga("outer", *above, for_each("fan", list, body, limit=limit))
    return outer.child("fan").given(list(range(count)))


def failed(name, attempt=1):
    return StepStarted(name, attempt, 0.0), StepFailed(name, attempt, 0.0, ERROR)


def undone(name, attempt=1):
    return CompensationStarted(name, attempt, 0.0), CompensationSucceeded(name, attempt, 0.0)


def undo_failed(name, attempt=1):
    return CompensationStarted(name, attempt, 0.0), CompensationFailed(name, attempt, 0.0, ERROR)


UNDO_ALL = CompensationRequested(0.0)


# -- steps that sagas do --------------------------------------------------------------------

OUTER = Saga("s", step(act, undo, name="a"), nested("n"), step(act, undo, name="z"))
AT_N = (*ran("a"), StepStarted("n", 1, 0.0, "x/n"))
INNER_STUCK = (*AT_N, ChildStuck("n", 0.0))


def test_which_execution_does_a_step_is_known():
    assert begun(OUTER).children is None
    assert after(OUTER, *AT_N).children == {1: "x/n"}
    both = Saga("s", nested("m", after=()), nested("n", after=()))
    state = after(both, StepStarted("m", 1, 0.0, "x/m"), StepStarted("n", 1, 0.0, "x/n"))
    assert state.children == {0: "x/m", 1: "x/n"}


def test_what_a_saga_does_is_in_flight_there_and_not_here():
    saga = Saga("s", nested("n", after=()), step(act, undo, name="a", after=()))
    state = after(saga, StepStarted("n", 1, 0.0, "x/n"), StepStarted("a", 1, 0.0))
    assert state.in_flight() == ["a"]


def test_an_execution_is_stuck_where_the_one_that_does_its_step_is():
    state = after(OUTER, *INNER_STUCK)
    assert (state.running, str(state.state_of("n"))) == (0, "stuck")
    assert decide(state, 0.0) == [EndExecution("stuck", ("n",))]


def test_an_execution_goes_on_where_the_one_that_does_its_step_does():
    state = after(OUTER, *INNER_STUCK, ExecutionStuck(0.0, ("n",)), ChildResumed("n", 0.0))
    assert (state.status, decide(state, 0.0), state.stuck) == ("running", [], {})
    evolve(state, StepSucceeded("n", 1, 0.0))
    assert decide(state, 0.0) == [RunAction("z", 1)]


def test_what_does_a_step_may_go_on_before_the_execution_is_stuck():
    beside = Saga("s", nested("n", after=()), step(act, undo, name="a", after=()))
    state = after(
        beside, StepStarted("n", 1, 0.0, "x/n"), StepStarted("a", 1, 0.0), ChildStuck("n", 0.0)
    )
    evolve(state, ChildResumed("n", 0.0))
    assert (state.status, state.running, state.stuck) == ("running", 2, {})
    for name in ("a", "n"):
        evolve(state, StepSucceeded(name, 1, 0.0))
    assert decide(state, 0.0) == [EndExecution("completed")]


def test_nothing_is_undone_while_what_does_a_step_is_stuck():
    saga = Saga("s", nested("n", after=()), step(act, undo, name="a", after=()))
    state = after(saga, StepStarted("n", 1, 0.0, "x/n"), *ran("a"), ChildStuck("n", 0.0), CANCELLED)
    assert decide(state, 0.0) == [EndExecution("stuck", ("n",))]
    evolve(state, ExecutionStuck(0.0, ("n",)))
    evolve(state, ChildResumed("n", 0.0))
    assert decide(state, 0.0) == []
    evolve(state, StepSucceeded("n", 1, 0.0))
    assert set(decide(state, 0.0)) == {RunCompensation("n", 1), RunCompensation("a", 1)}


def test_the_undoing_of_a_step_that_a_saga_did_may_be_stuck_and_go_on():
    state = after(
        OUTER, *AT_N, StepSucceeded("n", 1, 0.0), CANCELLED, CompensationStarted("n", 1, 0.0)
    )
    evolve(state, ChildStuck("n", 0.0))
    assert str(state.state_of("n")) == "compensation failed"
    assert decide(state, 0.0) == [EndExecution("stuck", ("n",))]
    evolve(state, ExecutionStuck(0.0, ("n",)))
    evolve(state, ChildResumed("n", 0.0))
    assert (decide(state, 0.0), state.running) == ([], 1)
    evolve(state, CompensationSucceeded("n", 1, 0.0))
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


# -- an outer saga undoes what was completed ------------------------------------------------


def test_a_completed_execution_is_undone_when_the_one_around_it_asks():
    state = after(chain("a", "b"), *ran("a"), *ran("b"), ExecutionCompleted(0.0), UNDO_ALL)
    assert (state.status, decide(state, 0.0)) == ("running", [RunCompensation("b", 1)])
    for event in (*undone("b"), *undone("a")):
        evolve(state, event)
    assert decide(state, 0.0) == [EndExecution("compensated")]


# -- a limit of items at once ---------------------------------------------------------------


def test_no_more_items_begin_than_the_limit_and_each_that_ends_lets_one_begin():
    state = begun(fan(4, 2, step(act, undo)))
    assert decide(state, 0.0) == [RunAction("0", 1), RunAction("1", 1)]
    for event in ran("1"):
        evolve(state, event)
    assert decide(state, 0.0) == [RunAction("0", 1), RunAction("2", 1)]
    for event in (*ran("0"), *ran("2")):
        evolve(state, event)
    assert decide(state, 0.0) == [RunAction("3", 1)]


def test_no_more_items_are_undone_than_the_limit_and_each_that_ends_lets_one_begin():
    items = [event for number in range(4) for event in ran(str(number))]
    state = after(fan(4, 2, step(act, undo)), *items, ExecutionCompleted(0.0), UNDO_ALL)
    undone_names = []
    for _ in range(4):
        names = [command.step for command in decide(state, 0.0)]
        assert len(names) == min(2, 4 - len(undone_names))
        for event in undone(names[0]):
            evolve(state, event)
        undone_names.append(names[0])
    assert sorted(undone_names) == ["0", "1", "2", "3"]
    assert decide(state, 0.0) == [EndExecution("compensated")]


def test_a_failure_lets_no_more_items_begin_and_undoes_those_done():
    state = after(fan(4, 1, step(act, undo)), *ran("0"), *failed("1"))
    assert decide(state, 0.0) == [RunCompensation("0", 1)]
    for event in undone("0"):
        evolve(state, event)
    assert decide(state, 0.0) == [EndExecution("compensated")]
    assert [str(word) for word in state.steps[2:]] == ["pending", "pending"]


def test_a_stuck_item_lets_the_next_begin():
    state = after(fan(2, 1, step(act), late=True), *failed("0"))
    assert decide(state, 0.0) == [RunAction("1", 1)]
    state = after(fan(2, 1, INNER), StepStarted("0", 1, 0.0, "x/0"), ChildStuck("0", 0.0))
    assert decide(state, 0.0) == [RunAction("1", 1)]


def test_an_item_that_cannot_be_undone_lets_the_next_be_undone():
    state = after(
        fan(2, 1, step(act, undo)), *ran("0"), *ran("1"), ExecutionCompleted(0.0), UNDO_ALL
    )
    (first,) = decide(state, 0.0)
    for event in undo_failed(first.step):
        evolve(state, event)
    (second,) = decide(state, 0.0)
    assert {first, second} == {RunCompensation("0", 1), RunCompensation("1", 1)}
    for event in undone(second.step):
        evolve(state, event)
    assert decide(state, 0.0) == [EndExecution("stuck", (first.step,))]


def test_an_item_that_goes_on_again_may_exceed_the_limit_and_no_other_begins_then():
    state = after(fan(4, 1, INNER), StepStarted("0", 1, 0.0, "x/0"), ChildStuck("0", 0.0))
    evolve(state, StepStarted("1", 1, 0.0, "x/1"))
    evolve(state, ChildResumed("0", 0.0))
    evolve(state, StepSucceeded("1", 1, 0.0))
    assert decide(state, 0.0) == [], "one is under way, and no more may be"
    evolve(state, StepSucceeded("0", 1, 0.0))
    assert decide(state, 0.0) == [RunAction("2", 1)]


@pytest.mark.parametrize("how", ["skip", "retry"])
def test_an_item_that_an_operator_decides_about_does_not_make_room_for_another(how):
    state = after(
        fan(4, 2, await_event("e", when=act, on_timeout="continue"), late=True),
        WaitStarted("0", 0.0, "e"),
        StepFailed("1", 0, 0.0, ERROR),
        WaitStarted("2", 0.0, "e"),
        ExecutionStuck(0.0, ("1",)),
        resolved(how, "1"),
    )
    again = [RunAction("1", 1)] if how == "retry" else []
    assert decide(state, 0.0) == again, "two wait already"
    if again:
        evolve(state, WaitStarted("1", 0.0, "e"))
        evolve(state, StepSucceeded("1", 1, 0.0))
    assert decide(state, 0.0) == []
    evolve(state, StepSucceeded("0", 1, 0.0))
    assert decide(state, 0.0) == [RunAction("3", 1)]


# -- an operator decides about what is stuck ------------------------------------------------

FORK = Saga(
    "s",
    pivot(act, name="p"),
    step(act, name="y", after="p"),
    step(act, name="z", after="p"),
    step(act, name="e", after=("y", "z")),
)
FORWARD_STUCK = (*ran("p"), *failed("y"), *failed("z"), ExecutionStuck(0.0, ("y", "z")))
UNDO_STUCK = (*ran("a"), *ran("b"), CANCELLED, *undo_failed("b"), ExecutionStuck(0.0, ("b",)))


def test_an_operator_may_decide_about_one_stuck_step_and_not_about_the_other():
    state = after(FORK, *FORWARD_STUCK, resolved("retry", "y"))
    assert (state.status, decide(state, 0.0)) == ("running", [RunAction("y", 2)])
    for event in ran("y", 2):
        evolve(state, event)
    assert decide(state, 0.0) == [EndExecution("stuck", ("z",))]


def test_an_operator_may_decide_about_all_stuck_steps_at_once():
    state = after(FORK, *FORWARD_STUCK, resolved("skip", "y", "z"))
    assert (state.stuck, decide(state, 0.0)) == ({}, [RunAction("e", 1)])


def test_a_step_tried_again_by_an_operator_waits_as_after_its_first_failure():
    saga = Saga("s", pivot(act, name="p"), step(act, name="z", retry=Retry(9, wait=1, backoff=2)))

    def wait(state):
        event = action_failed(state, "z", ERROR, terminal=False, in_doubt=False, at=0.0)
        evolve(state, event)
        return event.retry_at

    state = after(saga, *ran("p"), StepStarted("z", 1, 0.0))
    assert wait(state) == 1.0
    evolve(state, StepStarted("z", 2, 0.0))
    assert wait(state) == 2.0
    for event in (*failed("z", 3), ExecutionStuck(0.0, ("z",)), resolved("retry", "z")):
        evolve(state, event)
    evolve(state, StepStarted("z", 4, 0.0))
    assert wait(state) == 1.0


def test_a_compensation_that_an_operator_retries_is_backward_recovery_still():
    state = after(chain("a", "b"), *UNDO_STUCK, resolved("retry", "b"))
    assert (state.status, decide(state, 0.0)) == ("running", [RunCompensation("b", 2)])
    for event in undone("b", 2):
        evolve(state, event)
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_a_compensation_that_an_operator_skips_lets_those_before_be_undone():
    state = after(chain("a", "b"), *UNDO_STUCK, resolved("skip", "b"))
    assert str(state.state_of("b")) == "compensation skipped"
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_an_operator_skips_the_step_whose_saga_is_stuck_and_the_others_are_undone():
    saga = Saga("s", nested("n", after=()), step(act, undo, name="a", after=()))
    stuck = StepStarted("n", 1, 0.0, "x/n"), *ran("a"), ChildStuck("n", 0.0), CANCELLED
    state = after(saga, *stuck, ExecutionStuck(0.0, ("n",)))
    why = "the execution has turned back; nothing new starts"
    assert refusal(state, resolved("retry", "n")) == why
    evolve(state, resolved("skip", "n"))
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


def test_an_abandoned_execution_stays_as_it_is():
    for saga, stuck, name in ((FORK, FORWARD_STUCK, "y"), (chain("a", "b"), UNDO_STUCK, "b")):
        state = after(saga, *stuck, resolved("abandon", name))
        assert (state.status, state.stuck, decide(state, 0.0)) == ("abandoned", {}, [])


# -- another definition, and what is only noted ---------------------------------------------

MOVED = ExecutionMigrated(0.0, "2", "g", "me", "why")


@pytest.mark.parametrize(
    ("saga", "before"),
    [
        (chain("a", "b"), ()),
        (chain("a", "b"), (*ran("a"), CANCELLED)),
        (FORK, FORWARD_STUCK),
        (OUTER, AT_N),
    ],
    ids=["forward", "backward", "stuck", "beside what a saga does"],
)
def test_an_execution_moves_to_another_definition_between_its_attempts(saga, before):
    state = after(saga, *before)
    expected = decide(state, 0.0), state.status
    evolve(state, MOVED)
    assert (decide(state, 0.0), state.status) == expected


def test_a_compensation_that_was_refused_to_spare_the_service_is_no_failure():
    saga = Saga("s", step(act, undo, name="a", compensation_retry=Retry(2)))
    state = after(saga, *ran("a"), CANCELLED)
    for attempt in (1, 2, 3):
        evolve(state, CompensationStarted("a", attempt, 0.0))
        event = compensation_failed(state, "a", ERROR, terminal=False, at=0.0, refused=True)
        assert event == CompensationAttemptFailed("a", attempt, 0.0, ERROR, event.retry_at, True)
        evolve(state, event)
    evolve(state, CompensationStarted("a", 4, 0.0))
    event = compensation_failed(state, "a", ERROR, terminal=False, at=0.0)
    assert isinstance(event, CompensationAttemptFailed), "the first that counts"


# -- what is refused ------------------------------------------------------------------------

DONE = (*ran("a"), ExecutionCompleted(0.0))


@pytest.mark.parametrize(
    ("saga", "before", "event", "words"),
    [
        (OUTER, AT_N, ChildStuck("x", 0.0), "the step 'x' is not part of the saga"),
        (OUTER, AT_N, ChildStuck("a", 0.0), "the step 'a' is not done by a saga"),
        (OUTER, AT_N, ChildResumed("a", 0.0), "the step 'a' is not done by a saga"),
        (OUTER, ran("a"), ChildStuck("n", 0.0), "the step 'n' is ready"),
        (OUTER, AT_N, ChildResumed("n", 0.0), "the step 'n' is running"),
        (
            OUTER,
            (*INNER_STUCK, ExecutionStuck(0.0, ("n",))),
            ChildStuck("n", 0.0),
            "the step 'n' belongs to an execution that is stuck",
        ),
        (
            OUTER,
            (*INNER_STUCK, ExecutionStuck(0.0, ("n",)), resolved("abandon", "n")),
            ChildResumed("n", 0.0),
            "the step 'n' belongs to an execution that is abandoned",
        ),
        (chain("a"), (), UNDO_ALL, "the execution is forward"),
        (
            Saga("s", step(act, undo, name="a"), pivot(act, name="p")),
            (*ran("a"), *ran("p"), ExecutionCompleted(0.0)),
            UNDO_ALL,
            "the execution has a pivot, behind which nothing is undone",
        ),
        (
            chain("a", "b"),
            UNDO_STUCK,
            resolved("retry", "a", "b"),
            "the execution is not stuck at a, b",
        ),
        (chain("a"), (StepStarted("a", 1, 0.0),), MOVED, "the execution has steps under way"),
        (chain("a"), DONE, MOVED, "the execution is completed"),
        (chain("a"), DONE, BreakerChanged(0.0, "s", "a", "b", "why"), "the execution is completed"),
        (
            chain("a"),
            DONE,
            AttemptHeld("a", 0.0, "action", "rate"),
            "the step 'a' belongs to an execution that is completed",
        ),
        (chain("a"), (), AttemptAdmitted("x", 0.0, "action"), "the step 'x' is not part of"),
        (chain("a"), (), HedgeStarted("x", 0.0), "the step 'x' is not part of"),
    ],
)
def test_what_cannot_happen_is_refused_in_words(saga, before, event, words):
    assert refusal(after(saga, *before), event).startswith(words)
