"""Waiting for the world: events from outside, times, and an operator who calls it off."""

from __future__ import annotations

import enum
import uuid

import pytest
from world import World, kinds

from sagakit import Saga, Scenario, await_event, pivot, simulate, step, sub_saga, timer
from sagakit.drivers.simulated import resume
from sagakit.errors import ScenarioError, TerminalError


class Number(int, enum.Enum):
    SEVEN = 7


def paid(**options):
    return await_event("paid", **options)


def test_a_step_waits_for_its_event_and_its_result_is_the_payload(drive):
    world = World()
    saga = Saga("s", world.step("a"), paid(), world.step("b"))
    execution = drive(saga, scenario=Scenario().signal("paid", {"sum": 42}, at=0.25))
    assert execution.status == "completed"
    assert execution.results["paid"] == {"sum": 42}
    assert kinds(execution.events, "paid") == ["WaitStarted", "StepSucceeded"]
    assert world.calls == ["a", "b"]


def test_an_event_that_comes_before_the_wait_is_kept_for_it(drive):
    world = World()
    saga = Saga("s", step(world.sleeper("slow", 0.25), world.action("undo")), paid())
    execution = drive(saga, scenario=Scenario().signal("paid", 1, at=0.05))
    assert execution.status == "completed"
    assert execution.results["paid"] == 1
    names = [type(event).__name__ for event in execution.events]
    assert names.index("SignalReceived") < names.index("WaitStarted")


def test_each_wait_takes_one_signal_in_the_order_in_which_they_came(drive):
    saga = Saga("s", paid(name="first"), paid(name="second"))
    scenario = Scenario().signal("paid", 1, at=0.1).signal("paid", 2, at=0.2)
    assert dict(drive(saga, scenario=scenario).results) == {"first": 1, "second": 2}


def test_two_waits_side_by_side_take_the_signal_meant_for_each(drive):
    saga = Saga(
        "s",
        paid(name="left", after=(), correlate=lambda: "l"),
        paid(name="right", after=(), correlate=lambda: "r"),
    )
    scenario = Scenario().signal("paid", "R", at=0.05, correlation="r")
    scenario = scenario.signal("paid", "L", at=0.15, correlation="l")
    assert dict(drive(saga, scenario=scenario).results) == {"right": "R", "left": "L"}


def test_a_wait_that_nobody_ends_fails_after_its_timeout(drive):
    world = World()
    saga = Saga("s", world.step("a"), paid(timeout=0.25), world.step("never"))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert execution.failed_step == "paid"
    assert execution.error.name == "TimeoutError"
    assert world.calls == ["a", "undo a"]


def test_or_goes_on_without_the_event(drive):
    world = World()
    saga = Saga("s", world.pivot("p"), paid(timeout=0.25, on_timeout="continue"), world.last("b"))
    execution = drive(saga)
    assert execution.status == "completed"
    assert execution.results["paid"] is None


def test_an_event_after_the_timeout_changes_nothing(drive):
    world = World()
    undo = world.sleeper("undo a", 0.5)
    saga = Saga("s", step(world.action("a"), undo, name="a"), paid(timeout=0.15))
    execution = drive(saga, scenario=Scenario().signal("paid", at=0.3))
    assert execution.status == "compensated"
    assert "SignalReceived" in [type(event).__name__ for event in execution.events]
    assert "paid" not in execution.results


def test_a_wait_is_called_off_when_a_step_beside_it_fails(drive):
    world = World()
    saga = Saga(
        "s",
        world.step("a"),
        paid(after="a", compensation=world.action("undo paid")),
        world.step("bad", ValueError(), after="a"),
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert execution.states["paid"] == "pending"
    assert world.undone == ["a"]


def test_a_wait_may_be_the_pivot_and_is_compensated_if_it_happened_before_one(drive):
    world = World()
    saga = Saga(
        "s",
        paid(compensation=world.action("undo paid")),
        await_event("approved", pivot=True, timeout=0.25),
        world.last("b"),
    )
    execution = drive(saga, scenario=Scenario().signal("paid"))
    assert execution.status == "compensated"
    assert world.undone == ["paid"]
    scenario = Scenario().signal("paid").signal("approved", at=0.05)
    assert drive(saga, scenario=scenario).status == "completed"


def test_a_timer_waits_for_its_time_and_for_nothing_else(drive):
    world = World()
    saga = Saga("s", timer("cool", 0.25), world.step("b"))
    execution = drive(saga)
    assert execution.status == "completed"
    assert execution.duration >= 0.25


def test_seconds_and_correlation_may_be_asked_of_the_input(drive):
    saga = Saga(
        "s",
        timer("cool", lambda ctx: ctx.input["wait"]),
        paid(correlate=lambda ctx: ctx.input["order"]),
    )
    scenario = Scenario().signal("paid", at=0.25, correlation="7")
    execution = drive(saga, {"wait": 0.1, "order": 7}, scenario=scenario)
    assert execution.status == "completed"


@pytest.mark.parametrize("value", [7, "7", uuid.UUID(int=7), Number.SEVEN])
def test_a_correlation_is_text_a_whole_number_or_a_uuid(drive, value):
    text = str(value) if isinstance(value, uuid.UUID) else "7"
    saga = Saga("s", paid(correlate=lambda: value, timeout=5))
    for correlation in (text, value):
        scenario = Scenario().signal("paid", at=0.25, correlation=correlation)
        assert drive(saga, scenario=scenario).status == "completed"


@pytest.mark.parametrize("value", [["a"], {"a": 1}, 7.0, True, b"7", "", " ", object()])
def test_what_no_signal_could_give_as_a_correlation_fails_its_step(drive, value):
    world = World()
    execution = drive(Saga("s", world.step("a"), paid(correlate=lambda: value, timeout=5)))
    assert execution.status == "compensated"
    assert (execution.failed_step, execution.error.type) == ("paid", "TypeError")
    assert "saga 's': step 'paid': its correlate gave" in execution.error.message
    assert "; give text, an int or a UUID" in execution.error.message
    if not isinstance(value, str):
        with pytest.raises(ScenarioError, match=r"its correlation is a .*; give text, an int"):
            Scenario().signal("paid", correlation=value)


@pytest.mark.parametrize("seconds", [lambda: 1 / 0, lambda: "soon", lambda: float("inf")])
def test_a_function_that_cannot_say_how_long_fails_its_step(drive, seconds):
    world = World()
    execution = drive(Saga("s", world.step("a"), timer("cool", seconds)))
    assert execution.status == "compensated"
    assert execution.failed_step == "cool"


def test_a_skipped_wait_waits_for_nobody(drive):
    assert drive(Saga("s", paid(when=False))).states == {"paid": "skipped"}


# -- stuck, and still waiting ---------------------------------------------------------------


@pytest.mark.parametrize("wait", ["coroutine", "plain"])
def test_a_signal_to_what_is_stuck_is_recorded_and_leaves_it_stuck(drive, wait):
    world = World()
    first = step(world.sleeper("a", 0.0)) if wait == "coroutine" else world.last("a")
    bad = world.last("bad", TerminalError(), after="a")
    saga = Saga("s", world.pivot("p"), first, bad, paid(after="a"))
    execution = drive(saga, scenario=Scenario().signal("paid", 5, at=0.25).cancel(at=0.3))
    assert execution.status == "stuck"
    names = [type(event).__name__ for event in execution.events]
    assert names[-2:] == ["ExecutionStuck", "SignalReceived"]
    assert list(execution.waiting_for) == ["paid"]


def test_so_is_one_to_what_is_stuck_inside(drive):
    world = World()
    inner = Saga("in", world.pivot("p"), world.last("bad", TerminalError()), paid(after="p"))
    saga = Saga("s", sub_saga(inner, pivot=True))
    execution = drive(saga, scenario=Scenario().signal("paid", 5, at=0.25, to="in"))
    assert execution.status == execution.children["in"].status == "stuck"
    names = [type(event).__name__ for event in execution.children["in"].events]
    assert names[-2:] == ["ExecutionStuck", "SignalReceived"]


# -- called off -----------------------------------------------------------------------------


def test_an_operator_calls_an_execution_off_and_it_is_compensated(drive):
    world = World()
    saga = Saga("s", world.step("a"), paid(), world.pivot("p"))
    execution = drive(saga, scenario=Scenario().cancel(at=0.1, by="ann", why="changed her mind"))
    assert execution.status == "compensated"
    assert (execution.cancellation.by, execution.cancellation.why) == ("ann", "changed her mind")
    assert world.calls == ["a", "undo a"]
    assert execution.error is None
    assert "cancelled by ann" in repr(execution)


def test_what_is_under_way_is_let_finish_and_then_undone(drive):
    world = World()
    saga = Saga(
        "s", step(world.sleeper("slow", 0.3), world.action("undo slow")), world.step("never")
    )
    execution = drive(saga, scenario=Scenario().cancel(at=0.1))
    assert execution.status == "compensated"
    assert world.calls == ["slow", "slow ended", "undo slow"]


def test_a_retry_that_waits_is_not_made(drive):
    world = World()
    from sagakit import Retry

    saga = Saga("s", world.step("a"), world.step("b", ValueError(), retry=Retry(9, wait=9)))
    execution = drive(saga, scenario=Scenario().cancel(at=0.1))
    assert execution.status == "compensated"
    assert world.calls == ["a", "b", "undo a"]


def test_after_the_pivot_it_is_too_late(drive):
    world = World()
    saga = Saga("s", world.step("a"), world.pivot("p"), timer("cool", 0.3), world.last("b"))
    execution = drive(saga, scenario=Scenario().cancel(at=0.1))
    assert execution.status == "completed"
    assert execution.cancellation is None


# -- over a restart -------------------------------------------------------------------------


def test_a_timer_of_thirty_days_counts_from_its_beginning_in_virtual_time():
    world = World()
    saga = Saga("s", world.step("a"), timer("cool", 30 * 86400), world.step("b"))
    waiting = [e for e in simulate(saga).events if e.at == 0.0]
    assert type(waiting[-1]).__name__ == "WaitStarted"
    for at in (0.0, 29 * 86400.0):
        execution = resume(saga, waiting, at=at)
        assert execution.status == "completed"
        assert execution.events[-1].at == 30 * 86400.0
    late = resume(saga, waiting, at=31 * 86400.0)
    assert (late.status, late.events[-1].at) == ("completed", 31 * 86400.0)


# -- mistakes -------------------------------------------------------------------------------


def test_a_scenario_that_cannot_happen_is_refused(drive):
    saga = Saga("s", paid(), pivot(lambda: None, name="p"))
    with pytest.raises(ScenarioError, match="never waits for the event 'payed'"):
        drive(saga, scenario=Scenario().signal("payed"))
    with pytest.raises(ScenarioError, match="step 'paid' calls nothing"):
        drive(saga, scenario=Scenario().fail("paid"))
