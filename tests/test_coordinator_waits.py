"""The coordinator by example: what waits for the world, what ends a wait, what calls it off."""

from __future__ import annotations

import pytest
from pure import ERROR
from states import CANCELLED, act, after, begun, chain, ran, refusal, resolved, undo

from sagakit import Retry, Saga, await_event, pivot, step, timer
from sagakit.coordinator import decide, evolve, letters, why_not_cancel
from sagakit.events import (
    AttemptLost,
    CompensationStarted,
    DeadlinePassed,
    EndExecution,
    EndWait,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionStuck,
    PassDeadline,
    RunAction,
    RunCompensation,
    SignalReceived,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepSkipped,
    StepStarted,
    StepSucceeded,
    WaitStarted,
)


def waiting(name, **options):
    """A step that waits for the event ``e``, beside the others."""
    return await_event("e", name=name, after=(), **options)


def signal(id, event="e", payload=None, correlation=None):
    return SignalReceived(0.0, event, id, payload, correlation)


TWO = Saga("s", waiting("a"), waiting("b"))
BOTH = WaitStarted("a", 0.0, "e"), WaitStarted("b", 1.0, "e")
BESIDE = Saga("s", waiting("w"), step(act, undo, name="a", after=()))
W = WaitStarted("w", 0.0, "e")
WAITS_LATE = pivot(act, name="p"), await_event("e", name="w")


# -- at rest --------------------------------------------------------------------------------


def test_an_execution_rests_once_it_waits_and_nothing_else_goes_on():
    state = begun(BESIDE)
    assert (state.status, state.resting) == ("running", False)
    assert decide(state, 0.0) == [RunAction("w", 1), RunAction("a", 1)]
    evolve(state, W)
    assert (state.status, state.resting) == ("running", False), "a is ready"
    assert decide(state, 0.0) == [RunAction("a", 1)]
    evolve(state, StepStarted("a", 1, 0.0))
    assert (state.status, state.resting) == ("running", False), "a runs"
    evolve(state, StepAttemptFailed("a", 1, 0.0, ERROR, 5.0))
    assert (state.status, state.resting) == ("running", False), "a is due at its time"
    evolve(state, StepStarted("a", 2, 5.0))
    evolve(state, StepSucceeded("a", 2, 5.0))
    assert (state.status, state.resting) == ("waiting", True)
    assert decide(state, 9e9) == []
    assert state.next_due() is None


def test_an_execution_without_a_wait_does_not_rest():
    state = after(chain("a"), *ran("a"))
    assert not state.resting
    assert state.status == "running"


def test_a_wait_for_a_time_is_no_work_that_is_due():
    saga = Saga("s", timer("t", 5, after=()), timer("u", 7, after=()))
    state = after(saga, WaitStarted("t", 0.0, None, None, 5.0))
    assert not state.resting
    evolve(state, WaitStarted("u", 0.0, None, None, 7.0))
    assert (state.status, state.next_due()) == ("waiting", 5.0)
    evolve(state, StepSucceeded("t", 1, 5.0))
    assert (state.status, state.next_due()) == ("waiting", 7.0)
    evolve(state, StepSucceeded("u", 1, 7.0))
    assert (state.status, state.next_due()) == ("running", None)
    assert decide(state, 7.0) == [EndExecution("completed")]


def test_whether_an_execution_rests_but_for_the_steps_that_sagas_do():
    state = after(BESIDE, W, StepStarted("a", 1, 0.0, "x/a"))
    assert state.rests(1)
    assert not state.rests(0)
    assert not begun(BESIDE).rests(0), "two are ready"
    assert not begun(BESIDE).rests(2)


def test_backward_recovery_forgets_the_waits_and_their_times():
    saga = Saga(
        "s",
        step(act, undo, name="a"),
        await_event("e", name="w", timeout=5),
        step(act, name="b", after=()),
    )
    state = after(
        saga,
        *ran("a"),
        StepStarted("b", 1, 0.0),
        WaitStarted("w", 0.0, "e", None, 5.0),
        StepFailed("b", 1, 0.0, ERROR),
        CompensationStarted("a", 1, 0.0),
    )
    assert str(state.state_of("w")) == "pending"
    assert (state.waiting, state.next_due()) == ({}, None)
    assert state.rests(1), "if a saga did that step, it could say whether all of them rest"
    assert not state.resting


def test_an_execution_is_stuck_though_another_step_waits_for_a_time():
    saga = Saga("s", pivot(act, name="p"), timer("t", 5), step(act, name="z", after="p"))
    state = after(saga, *ran("p"), WaitStarted("t", 0.0, None, None, 5.0))
    assert decide(state, 0.0) == [RunAction("z", 1)]
    evolve(state, StepStarted("z", 1, 0.0))
    assert decide(state, 0.0) == []
    evolve(state, StepFailed("z", 1, 0.0, ERROR))
    assert decide(state, 0.0) == [EndExecution("stuck", ("z",))]
    assert decide(state, 5.0) == [EndWait("t")], "the time has come: that first"
    assert state.status == "running", "what needs an operator does not wait for the world"
    evolve(state, ExecutionStuck(0.0, ("z",)))
    assert (state.status, decide(state, 9.0)) == ("stuck", [])


def test_an_execution_is_stuck_though_another_step_waits_for_an_event():
    saga = Saga("s", *WAITS_LATE, step(act, name="z", after="p"))
    state = after(saga, *ran("p"), W, StepStarted("z", 1, 0.0))
    assert decide(state, 0.0) == []
    evolve(state, StepFailed("z", 1, 0.0, ERROR))
    assert decide(state, 0.0) == [EndExecution("stuck", ("z",))]


# -- what ends a wait -----------------------------------------------------------------------


def test_a_signal_ends_the_wait_that_it_is_for():
    state = after(TWO, *BOTH, signal("1", event="other"))
    assert (letters(state), decide(state, 0.0)) == ({}, [])
    mine = signal("2", payload=42)
    evolve(state, mine)
    assert letters(state) == {0: mine}
    assert decide(state, 0.0) == [EndWait("a")]
    assert not state.resting
    evolve(state, StepSucceeded("a", 1, 0.0, 42))
    assert (state.results, state.signals) == ({"a": 42}, {"1", "2"})
    assert state.mail == (signal("1", event="other"),), "the one that nobody took is still there"
    assert (decide(state, 0.0), state.status) == ([], "waiting")


def test_who_has_waited_longest_takes_what_came_first():
    first, second, third = signal("1"), signal("2"), signal("3")
    state = after(TWO, *BOTH, first, second, third)
    assert letters(state) == {0: first, 1: second}
    evolve(state, StepSucceeded("a", 1, 0.0))
    assert state.mail == (second, third)
    assert letters(state) == {1: second}
    assert decide(state, 0.0) == [EndWait("b")]


def test_a_signal_that_came_before_its_wait_is_taken_when_the_wait_begins():
    early = signal("1", payload="early")
    state = after(TWO, early)
    assert decide(state, 0.0) == [RunAction("a", 1), RunAction("b", 1)]
    evolve(state, BOTH[0])
    assert letters(state) == {0: early}
    assert set(decide(state, 0.0)) == {RunAction("b", 1), EndWait("a")}
    evolve(state, BOTH[1])
    assert decide(state, 0.0) == [EndWait("a")]


def test_a_signal_goes_to_the_wait_with_its_correlation_or_to_any():
    waits = WaitStarted("a", 0.0, "e", "7"), WaitStarted("b", 0.0, "e", "8")
    eight, any_one = signal("1", correlation="8"), signal("2")
    assert letters(after(TWO, *waits, eight)) == {1: eight}
    assert letters(after(TWO, *waits, any_one)) == {0: any_one}
    assert letters(after(TWO, *waits, any_one, eight)) == {0: any_one, 1: eight}
    assert letters(after(TWO, *waits, signal("3", correlation="9"))) == {}
    assert letters(after(TWO, *waits, signal("4", "other", correlation="7"))) == {}


def test_the_end_of_a_wait_is_not_the_end_of_what_runs_beside_it():
    state = after(BESIDE, W, StepStarted("a", 1, 0.0), signal("1"), StepSucceeded("w", 1, 0.0))
    assert (state.running, decide(state, 0.0)) == (1, [])
    evolve(state, StepSucceeded("a", 1, 0.0))
    assert decide(state, 0.0) == [EndExecution("completed")]


def test_a_time_ends_a_wait_and_so_does_a_failure():
    saga = Saga("s", step(act, undo, name="a"), await_event("e", name="w", timeout=5))
    state = after(saga, *ran("a"), WaitStarted("w", 1.0, "e", None, 6.0))
    assert (decide(state, 5.9), decide(state, 6.0)) == ([], [EndWait("w")])
    evolve(state, StepFailed("w", 1, 6.0, ERROR))
    assert (state.running, state.waiting) == (0, {})
    assert decide(state, 6.0) == [RunCompensation("a", 1)]


def test_a_wait_that_a_signal_ends_has_no_time_any_more():
    state = after(TWO, WaitStarted("a", 0.0, "e", None, 6.0), BOTH[1], signal("1"))
    assert decide(state, 6.0) == [EndWait("a")], "once, though both are reasons to"
    evolve(state, StepSucceeded("a", 1, 0.0))
    assert (state.next_due(), decide(state, 9.0)) == (None, [])
    assert state.status == "waiting"


def test_a_wait_that_its_time_ends_takes_no_signal_of_another():
    state = after(TWO, WaitStarted("a", 0.0, "e", "7", 6.0), BOTH[1], signal("1", correlation="8"))
    evolve(state, StepSucceeded("a", 1, 6.0))
    assert len(state.mail) == 1


def test_what_ends_a_wait_must_name_its_attempt():
    state = after(TWO, *BOTH)
    for attempt in (0, 2):
        why = f"the step 'a' is at attempt 1, not {attempt}"
        assert refusal(state, StepSucceeded("a", attempt, 0.0)) == why
        assert refusal(state, StepFailed("a", attempt, 0.0, ERROR)) == why
    evolve(state, StepSucceeded("a", 1, 0.0))


def test_a_wait_that_an_operator_begins_again_has_the_next_number():
    saga = Saga("s", *WAITS_LATE)
    failed = StepFailed("w", 1, 0.0, ERROR), ExecutionStuck(0.0, ("w",))
    state = after(saga, *ran("p"), W, *failed, resolved("retry", "w"))
    assert decide(state, 0.0) == [RunAction("w", 2)]
    evolve(state, W)
    evolve(state, StepSucceeded("w", 2, 0.0))
    assert decide(state, 0.0) == [EndExecution("completed")]


def test_a_signal_for_a_stuck_execution_is_kept_until_it_goes_on():
    saga = Saga("s", *WAITS_LATE, step(act, name="z", after="p"))
    stuck = StepStarted("z", 1, 0.0), StepFailed("z", 1, 0.0, ERROR), ExecutionStuck(0.0, ("z",))
    state = after(saga, *ran("p"), W, *stuck)
    evolve(state, signal("1"))
    assert (state.status, decide(state, 0.0)) == ("stuck", [])
    assert letters(state) == {1: signal("1")}


# -- calling it off -------------------------------------------------------------------------


def test_a_cancelled_execution_undoes_what_was_done_and_waits_for_nothing():
    state = after(BESIDE, W, *ran("a"), CANCELLED)
    assert decide(state, 0.0) == [RunCompensation("a", 1)]
    assert (state.waiting, str(state.state_of("w"))) == ({}, "pending")
    assert (state.status, state.turned_back) == ("running", True)


def test_a_cancellation_lets_what_runs_settle():
    state = after(BESIDE, W, StepStarted("a", 1, 0.0), CANCELLED)
    assert decide(state, 0.0) == []
    evolve(state, StepSucceeded("a", 1, 0.0))
    assert decide(state, 0.0) == [RunCompensation("a", 1)]


PIVOTAL = Saga("s", step(act, undo, name="a"), pivot(act, name="p"), step(act, name="z"))
TO_PIVOT = ran("a")
DOUBT = StepStarted("p", 1, 0.0), StepInDoubt("p", 1, 0.0, ERROR)


@pytest.mark.parametrize(
    ("saga", "before"),
    [
        (chain("a", "b"), ()),
        (chain("a", "b"), (*ran("a"), *ran("b"))),
        (PIVOTAL, ()),
        (PIVOTAL, (StepStarted("a", 1, 0.0),)),
        (PIVOTAL, TO_PIVOT),
        (Saga("s", await_event("e", name="w", pivot=True), step(act, name="z")), (W,)),
    ],
    ids=["begun", "done", "before", "running before", "pivot untried", "pivot waits"],
)
def test_an_execution_can_be_called_off_until_its_pivot_is_tried(saga, before):
    state = after(saga, *before)
    assert why_not_cancel(state) == ""
    assert evolve(state, CANCELLED).turned_back


@pytest.mark.parametrize(
    ("saga", "before", "why"),
    [
        (PIVOTAL, (*TO_PIVOT, StepStarted("p", 1, 0.0)), "its pivot 'p' is running: there is no"),
        (
            Saga("s", pivot(act, name="p", retry=Retry(3)), step(act, name="z")),
            (StepStarted("p", 1, 0.0), StepAttemptFailed("p", 1, 0.0, ERROR, 5.0)),
            "its pivot 'p' is retrying: there is no way back",
        ),
        (PIVOTAL, (*TO_PIVOT, *DOUBT, ExecutionStuck(0.0, ("p",))), "it is stuck"),
        (PIVOTAL, (*TO_PIVOT, *DOUBT), "its pivot 'p' is stuck: there is no way back"),
        (
            Saga("s", pivot(act, name="p", when=False), step(act, name="z")),
            (StepSkipped("p", 0.0),),
            "its pivot 'p' is skipped: there is no way back",
        ),
        (PIVOTAL, (*TO_PIVOT, *ran("p")), "its pivot 'p' is succeeded: there is no way back"),
        (chain("a", "b"), (*ran("a"), CANCELLED), "it is being compensated already"),
        (chain("a"), (*ran("a"), ExecutionCompleted(0.0)), "it is completed"),
        (chain("a"), (CANCELLED, ExecutionCompensated(0.0)), "it is compensated"),
    ],
)
def test_why_an_execution_can_no_longer_be_called_off(saga, before, why):
    state = after(saga, *before)
    assert why_not_cancel(state).startswith(why)
    assert refusal(state, CANCELLED).startswith(f"the execution cannot be cancelled: {why}")


def test_a_pivot_that_a_crash_interrupted_is_tried_and_not_called_off():
    saga = Saga("s", pivot(act, name="p"), step(act, name="z"))
    state = after(saga, StepStarted("p", 1, 0.0), AttemptLost("p", 0.0))
    assert decide(state, 0.0) == [RunAction("p", 2)]
    assert why_not_cancel(state) == "its pivot 'p' is ready: there is no way back"


def test_a_deadline_ends_a_wait_and_begins_backward_recovery():
    saga = Saga("s", step(act, undo, name="a"), await_event("e", name="w"), deadline=10)
    state = after(saga, *ran("a"), W)
    assert (state.status, state.next_due()) == ("waiting", 10.0)
    assert decide(state, 10.0) == [PassDeadline()]
    evolve(state, DeadlinePassed(10.0))
    assert decide(state, 10.0) == [RunCompensation("a", 1)]


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("saga", "before", "event", "words"),
    [
        (TWO, (), WaitStarted("x", 0.0, "e"), "the step 'x' is not part of the saga"),
        (TWO, BOTH, BOTH[0], "the step 'a' is waiting"),
        (
            TWO,
            (CANCELLED, ExecutionCompensated(0.0)),
            BOTH[0],
            "the step 'a' belongs to an execution that is compensated",
        ),
        (BESIDE, (*ran("a"), CANCELLED), W, "the step 'w' belongs to an execution that is back"),
        (TWO, (signal("1"),), signal("1"), "the execution has the signal '1' already"),
        (
            chain("a"),
            (*ran("a"), ExecutionCompleted(0.0)),
            signal("1"),
            "the execution is completed",
        ),
        (TWO, BOTH, ExecutionCompleted(0.0), "the execution has steps under way"),
        (TWO, BOTH, ExecutionStuck(0.0, ()), "the execution is not stuck"),
        (
            Saga("s", pivot(act, name="p"), step(act, name="y"), step(act, name="z", after="p")),
            (
                *ran("p"),
                StepStarted("y", 1, 0.0),
                StepStarted("z", 1, 0.0),
                StepFailed("y", 1, 0.0, ERROR),
            ),
            ExecutionStuck(0.0, ("y",)),
            "the execution has steps under way",
        ),
    ],
)
def test_what_cannot_happen_is_refused_in_words(saga, before, event, words):
    assert refusal(after(saga, *before), event).startswith(words)
