"""Rules 2 to 6: backward recovery, doubt, the pivot, and what gets stuck."""

from __future__ import annotations

import asyncio

import pytest
from world import World, kinds

from sagakit import Happened, InDoubtError, Retry, Saga, Scenario, TerminalError, pivot, step

# -- rule 2 ---------------------------------------------------------------------------------


def test_completed_steps_are_compensated_in_reverse_order_and_the_failed_one_is_not(drive):
    world = World()
    saga = Saga(
        "s", world.step("a"), world.step("b"), world.step("c", ValueError("no")), world.step("d")
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls == ["a", "b", "c", "undo b", "undo a"]
    assert execution.failed_step == "c"
    assert execution.compensated_steps == ("b", "a")
    assert execution.states == {
        "a": "compensated",
        "b": "compensated",
        "c": "failed",
        "d": "pending",
    }


def test_compensation_follows_the_graph_backward(drive):
    world = World()
    saga = Saga(
        "diamond",
        world.step("top"),
        world.step("left", after="top"),
        world.step("right", after="top"),
        world.step("bottom", ValueError(), after=("left", "right")),
    )
    drive(saga)
    assert sorted(world.undone[:2]) == ["left", "right"]
    assert world.undone[2] == "top"


def test_a_running_branch_settles_before_anything_is_undone(drive):
    world = World()

    async def slow():
        await asyncio.sleep(0.05)
        world.calls.append("slow ended")

    saga = Saga(
        "s",
        world.step("a"),
        step(slow, world.action("undo slow"), after="a"),
        world.step("bad", ValueError(), after="a"),
        world.step("never", after="slow"),
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls.index("slow ended") < world.calls.index("undo slow")
    assert world.undone == ["slow", "a"]
    assert "never" not in world.calls


def test_a_branch_that_waits_for_its_retry_is_not_tried_again(drive):
    world = World()

    async def bad():
        await asyncio.sleep(0.02)
        raise ValueError

    saga = Saga(
        "s",
        world.step("flaky", ValueError(), retry=Retry(10, wait=0.2)),
        step(bad, after=()),
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls == ["flaky"]
    assert execution.states["flaky"] == "failed"


def test_a_step_without_a_compensation_is_kept_and_those_before_it_are_undone(drive):
    world = World()
    saga = Saga(
        "s", world.step("a"), world.step("read", compensation=None), world.step("c", ValueError())
    )
    execution = drive(saga)
    assert world.undone == ["a"]
    assert execution.states["read"] == "kept"


def test_a_skipped_step_is_not_undone_but_the_order_holds_through_it(drive):
    world = World()
    saga = Saga(
        "s",
        world.step("a"),
        world.step("b", when=False),
        world.step("c"),
        world.step("d", ValueError()),
    )
    assert drive(saga).status == "compensated"
    assert world.undone == ["c", "a"]


def test_what_user_code_raised_is_kept_whole(drive):
    def charge():
        try:
            {}["card"]
        except KeyError as error:
            raise RuntimeError("the card is gone") from error

    error = drive(Saga("s", step(charge))).error
    assert (error.type, error.message) == ("RuntimeError", "the card is gone")
    assert "in charge" in error.traceback
    assert "KeyError: 'card'" in error.traceback
    assert "direct cause" in error.traceback
    assert "sagakit/drivers" not in error.traceback


# -- rule 3 ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [InDoubtError("no reply"), TimeoutError(), ConnectionResetError(), BrokenPipeError()],
    ids=lambda error: type(error).__name__,
)
def test_a_step_in_doubt_is_compensated_too(drive, error):
    world = World()
    execution = drive(Saga("s", world.step("a"), world.step("b", error)))
    assert execution.status == "compensated"
    assert world.undone == ["b", "a"]
    assert "StepInDoubt" in kinds(execution.events, "b")


def test_a_refused_connection_sent_nothing_and_is_not_in_doubt(drive):
    world = World()
    drive(Saga("s", world.step("a"), world.step("b", ConnectionRefusedError())))
    assert world.undone == ["a"]


def test_a_timeout_is_in_doubt_and_the_late_answer_is_ignored(drive):
    world = World()
    saga = Saga("s", step(world.sleeper("slow", 0.3), world.action("undo slow"), timeout=0.02))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["slow"]
    assert "slow ended" not in world.calls
    assert execution.error.type == "TimeoutError"
    assert "0.02 s" in execution.error.message


def test_an_action_that_was_cancelled_is_in_doubt(drive):
    world = World()

    async def give_up():
        raise asyncio.CancelledError

    saga = Saga("s", world.step("a"), step(give_up, world.action("undo give_up")))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.undone == ["give_up", "a"]


def test_doubt_outlives_a_later_attempt_that_clearly_failed(drive):
    world = World()
    saga = Saga("s", world.step("a", TimeoutError(), ValueError("no"), retry=Retry(2)))
    assert drive(saga).status == "compensated"
    assert world.undone == ["a"]


def test_a_step_in_doubt_whose_reconcile_says_yes_goes_on(drive):
    world = World()
    saga = Saga(
        "s",
        world.step("a", TimeoutError(), reconcile=lambda ctx: Happened({"paid": 1})),
        world.step("b"),
    )
    execution = drive(saga)
    assert execution.status == "completed"
    assert execution.results == {"a": {"paid": 1}, "b": None}


def test_a_step_in_doubt_whose_reconcile_says_no_has_nothing_to_undo(drive):
    world = World()
    saga = Saga("s", world.step("a", TimeoutError(), reconcile=lambda ctx: False))
    assert drive(saga).status == "compensated"
    assert world.undone == []


@pytest.mark.parametrize("answer", [None, "yes", 1], ids=repr)
def test_a_reconcile_that_gives_no_clear_answer_leaves_the_doubt(drive, answer):
    world = World()
    execution = drive(Saga("s", world.step("a", TimeoutError(), reconcile=lambda: answer)))
    assert world.undone == ["a"]
    assert any("return True, False or Happened" in error.message for _, error in execution.errors)


# -- rule 4 ---------------------------------------------------------------------------------


def test_after_the_pivot_a_step_is_retried_until_it_succeeds(drive):
    world = World()
    retry = Retry(attempts=2, wait=0.0001, backoff=1)
    saga = Saga("s", world.pivot("p"), world.last("z", *[ValueError()] * 7, None, retry=retry))
    execution = drive(saga)
    assert execution.status == "completed"
    assert world.calls.count("z") == 8


def test_after_the_pivot_a_terminal_error_leaves_the_execution_stuck(drive):
    world = World()
    saga = Saga("s", world.step("a"), world.pivot("p"), world.last("z", TerminalError("gone")))
    execution = drive(saga)
    assert execution.status == "stuck"
    assert execution.stuck_steps == ("z",)
    assert world.undone == []
    assert execution.error.message == "gone"


def test_a_stuck_branch_lets_the_other_branches_finish(drive):
    world = World()
    saga = Saga(
        "s",
        world.pivot("p"),
        world.last("bad", TerminalError(), after="p"),
        world.last("good", after="p"),
        world.last("better", after="good"),
    )
    execution = drive(saga)
    assert execution.status == "stuck"
    assert world.calls == ["p", "bad", "good", "better"] or world.calls[-1] == "better"


def test_a_pivot_that_fails_is_the_last_chance_to_turn_back(drive):
    world = World()
    assert drive(Saga("s", world.step("a"), world.pivot("p", ValueError()))).status == "compensated"
    assert world.undone == ["a"]


def test_a_pivot_in_doubt_is_retried_with_its_key(drive):
    world = World()
    retry = Retry(2, wait=0.001)
    saga = Saga("s", world.step("a"), world.pivot("p", TimeoutError(), None, retry=retry))
    execution = drive(saga)
    assert execution.status == "completed"
    assert world.keys["p"] == {f"{execution.id}/p/action"}


@pytest.mark.parametrize(
    ("answer", "status", "undone"),
    [(True, "completed", []), (False, "compensated", ["a"]), (None, "stuck", [])],
)
def test_a_pivot_in_doubt_is_reconciled_and_never_guessed(drive, answer, status, undone):
    world = World()
    confirm = world.action("p", TimeoutError())
    saga = Saga("s", world.step("a"), pivot(confirm, name="p", reconcile=lambda: answer))
    execution = drive(saga)
    assert execution.status == status
    assert world.undone == undone


def test_a_pivot_in_doubt_that_nobody_can_reconcile_is_stuck(drive):
    world = World()
    execution = drive(Saga("s", world.step("a"), world.pivot("p", TimeoutError())))
    assert execution.status == "stuck"
    assert execution.stuck_steps == ("p",)
    assert world.undone == []


def test_a_pivot_in_doubt_is_not_undone_because_a_later_attempt_was_refused(drive):
    world = World()
    saga = Saga(
        "s", world.step("a"), world.pivot("p", TimeoutError(), TerminalError(), retry=Retry(3))
    )
    assert drive(saga).status == "stuck"
    assert world.undone == []


# -- rules 5 and 6 --------------------------------------------------------------------------


def test_a_compensation_is_retried_by_its_own_policy(drive):
    world = World()
    undo = world.action("undo a", ValueError(), ValueError(), None)
    saga = Saga(
        "s",
        world.step("a", compensation=undo, compensation_retry=Retry(3, wait=0.001)),
        world.step("b", ValueError()),
    )
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls.count("undo a") == 3
    assert len(world.keys["undo a"]) == 1


def test_a_compensation_that_gives_up_leaves_the_execution_stuck_and_all_is_kept(drive):
    world = World()
    undo = world.action("undo b", ValueError("bank is down"))
    saga = Saga(
        "s",
        world.step("a"),
        world.step("b", compensation=undo, compensation_retry=Retry(2, wait=0.001)),
        world.step("other", after=()),
        world.step("c", ValueError("first"), after=("b", "other")),
    )
    execution = drive(saga)
    assert execution.status == "stuck"
    assert execution.stuck_steps == ("b",)
    assert "undo a" not in world.calls
    assert "undo other" in world.calls
    messages = [error.message for _, error in execution.errors]
    assert messages == ["first", "bank is down", "bank is down"]


def test_a_terminal_error_in_a_compensation_gives_up_at_once(drive):
    world = World()
    undo = world.action("undo a", TerminalError())
    retry = Retry(9, wait=0.001)
    saga = Saga(
        "s",
        world.step("a", compensation=undo, compensation_retry=retry),
        world.step("b", ValueError()),
    )
    assert drive(saga).status == "stuck"
    assert world.calls.count("undo a") == 1


def test_a_compensation_that_takes_too_long_is_tried_again(drive):
    world = World()
    times = [0.3, 0.0]

    async def undo():
        await asyncio.sleep(times.pop(0))

    saga = Saga(
        "s",
        world.step(
            "a",
            compensation=undo,
            compensation_timeout=0.02,
            compensation_retry=Retry(2, wait=0.001),
        ),
        world.step("b", ValueError()),
    )
    assert drive(saga).status == "compensated"
    assert times == []


def test_a_terminal_error_is_not_retried(drive):
    world = World()
    execution = drive(
        Saga("s", world.step("a"), world.step("b", TerminalError("no"), retry=Retry(5)))
    )
    assert execution.status == "compensated"
    assert world.calls == ["a", "b", "undo a"]


# -- scenarios ------------------------------------------------------------------------------


def test_faults_apply_without_changing_the_actions(drive):
    world = World()
    saga = Saga(
        "s",
        world.step("a"),
        world.step("b", retry=Retry(2, wait=0.001)),
        world.step("c", timeout=0.02),
    )
    assert drive(saga, scenario=Scenario().fail("b")).compensated_steps == ("a",)
    assert drive(saga, scenario=Scenario().fail("b", attempt=1)).status == "completed"
    assert drive(saga, scenario=Scenario().slow("c", 0.3)).compensated_steps == ("c", "b", "a")
    assert drive(saga, scenario=Scenario().time_out("c")).error.type == "TimeoutError"
    world.calls.clear()
    assert drive(saga, scenario=Scenario().lose_reply("b")).compensated_steps == ("b", "a")
    assert world.calls == ["a", "b", "b", "undo b", "undo a"]
    stuck = drive(saga, scenario=Scenario().fail("c").fail_compensation("b"))
    assert (stuck.status, stuck.stuck_steps) == ("stuck", ("b",))
