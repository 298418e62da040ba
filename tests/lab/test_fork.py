"""A recorded execution goes on from any event under other faults, in a world of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from worlds import Street

import sagakit
from sagakit import (
    Engine,
    Execution,
    Saga,
    SagaError,
    Scenario,
    await_event,
    for_each,
    fork,
    simulate,
    step,
    sub_saga,
)
from sagakit.errors import DefinitionChangedError, ScenarioError
from sagakit.events import AttemptLost, ExecutionMigrated, StepStarted, StepSucceeded

ORDER = {"teapots": 2}
SCENARIOS = {
    str(scenario): scenario
    for scenario in (
        Scenario(),
        Scenario().fail("reserve"),
        Scenario().lose_reply("charge", 1),
        Scenario().lose_reply("charge"),
        Scenario().time_out("charge"),
        Scenario().fail("confirm").fail_compensation("charge"),
        Scenario().lose_reply("confirm"),
        Scenario().fail("ship", 1),
        Scenario().cancel(3),
    )
}


@pytest.fixture
def street() -> Street:
    return Street()


def _in_flight(execution: Execution, at: int) -> bool:
    return bool(Execution(execution.saga, execution.events[: at + 1])._state.in_flight())


# -- the same faults again: the recorded execution again -----------------------------------------


@pytest.mark.parametrize("name", SCENARIOS)
def test_under_the_same_faults_it_goes_on_as_it_did_and_leaves_the_same_world(
    street: Street, name: str
) -> None:
    saga, scenario = street.checkout(), SCENARIOS[name]
    world = street.shop
    execution = simulate(saga, ORDER, scenario=scenario)
    forked = 0
    for at in range(len(execution.events) - 1):
        if _in_flight(execution, at):
            continue
        found = fork(execution, at, scenario=scenario, world=street.fresh)
        assert found.second.events == execution.events, at
        assert found.world.done == world.done, at
        assert found.world.undone == world.undone, at
        forked += 1
    assert forked >= 4


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_attempt_under_way_is_in_doubt_and_made_again_with_the_same_key(
    street: Street, name: str
) -> None:
    execution = simulate(street.checkout(), ORDER, scenario=SCENARIOS[name])
    for at in filter(lambda at: _in_flight(execution, at), range(len(execution.events) - 1)):
        found = fork(execution, at, world=street.fresh)
        lost = found.second.events[at + 1]
        assert isinstance(lost, AttemptLost)
        stands = lost.step in found.world.effects()
        wanted = {"completed": (True,), "compensated": (False,), "stuck": (True, False)}
        assert stands in wanted[found.second.status], (at, found)


# -- the actions ---------------------------------------------------------------------------------


def test_without_a_world_the_actions_are_called_from_the_event_on_alone(street: Street) -> None:
    saga = street.row("order", "charge", "ship")
    execution = simulate(saga)
    street.shop.calls.clear()
    found = fork(execution, 4, scenario=Scenario().fail("ship"))
    assert street.shop.calls == ["undo charge", "undo order"]
    assert found.world is None
    assert (found.first.status, found.second.status) == ("completed", "compensated")
    assert found.second.events[:5] == execution.events[:5]


def test_the_past_is_called_with_its_own_keys_input_and_results(street: Street) -> None:
    saga = street.row("order", "charge", "ship")
    execution = simulate(saga, ORDER, id="o-1")
    found = fork(execution, 4, scenario=Scenario().fail("ship"), world=street.fresh)
    assert found.world is street.shop
    assert found.world.calls == ["order", "charge", "undo charge", "undo order"]
    stuck = fork(execution, 4, scenario=_stuck("ship", "charge"), world=street.fresh)
    assert stuck.world.done == {
        "o-1/order/action": [ORDER, {}],
        "o-1/charge/action": [ORDER, {"order": "order done"}],
    }


def _stuck(step: str, compensation: str) -> Scenario:
    return Scenario().fail(step).fail_compensation(compensation)


def test_what_an_injected_fault_kept_from_happening_is_not_called_what_it_hid_is(
    street: Street,
) -> None:
    saga = street.row("order", "charge", "ship")
    for scenario, calls in (
        (Scenario().fail("charge"), ["order"]),
        (Scenario().time_out("charge"), ["order"]),
        (Scenario().lose_reply("charge"), ["order", "charge"]),
    ):
        execution = simulate(saga, scenario=scenario)
        given_up = fork(execution, 4, scenario=_stuck("ship", "order"), world=street.fresh)
        assert [call for call in given_up.world.calls if "undo" not in call] == calls


def test_what_a_reconcile_denied_later_is_not_called(street: Street) -> None:
    answers = {"confirm": False}

    def silent(ctx: Any) -> None:
        street.shop.calls.append("silent")
        raise TimeoutError("nobody knows")

    saga = Saga(
        "s",
        step(street.act, street.undo, name="order"),
        step(silent, street.undo, reconcile=lambda: answers["confirm"]),
        step(street.act, street.undo, name="ship"),
    )
    for said, calls in ((False, ["order"]), (True, ["order", "silent"])):
        answers["confirm"] = said
        street.fresh()
        execution = simulate(saga)
        doubted = next(n for n, e in enumerate(execution.events) if "InDoubt" in type(e).__name__)
        found = fork(execution, doubted, world=street.fresh)
        assert found.world.calls[: len(calls)] == calls
        assert "silent" not in found.world.calls[len(calls) :]
        after = fork(execution, doubted + 2, world=street.fresh) if said else None
        assert after is None or after.world.calls.count("silent") == 1


def test_a_world_in_which_the_past_cannot_have_happened_is_refused(street: Street) -> None:
    saga = street.row("order", "charge")
    execution = simulate(saga, id="o-1")

    def used() -> Any:
        street.shop.undone.add("o-1/order/action")
        return street.shop

    with pytest.raises(SagaError, match=r"the action of 'order' succeeded then, and raised Term"):
        fork(execution, 3, world=used)


# -- the scenario ---------------------------------------------------------------------------------


def test_attempts_and_times_of_the_scenario_count_from_the_executions_beginning(
    street: Street,
) -> None:
    execution = simulate(street.checkout(), scenario=Scenario().fail("charge", 1))
    failed = next(e for e in execution.events if "AttemptFailed" in type(e).__name__)
    found = fork(execution, failed, scenario=Scenario().fail("charge", 2), world=street.fresh)
    starts = [event for event in found.second.events if isinstance(event, StepStarted)]
    assert [event.at for event in starts if event.step == "charge"] == [0, 1, 3]
    again = fork(execution, failed, scenario=Scenario().cancel(2), world=street.fresh)
    assert again.second.cancellation is not None
    assert again.second.cancellation.at == 2


def test_the_coordinator_may_crash_again_behind_the_event(street: Street) -> None:
    execution = simulate(street.row("a", "b", "c"))
    scenario = Scenario().crash(5).crash(6).crash(8, written=False)
    found = fork(execution, 2, scenario=scenario, world=street.fresh)
    lost = [n for n, e in enumerate(found.second.events) if isinstance(e, AttemptLost)]
    assert lost == [6, 8]
    assert found.second.status == "completed"
    again = fork(found.second, found.second.events[8], world=street.fresh)
    assert again.at == 8, "though event 6 says the same"
    with pytest.raises(ScenarioError, match="event 2 is written: that lies in the past"):
        fork(execution, 2, scenario=Scenario().crash(2))


def test_a_signal_of_the_past_is_not_taken_twice(street: Street) -> None:
    saga = Saga(
        "s",
        await_event("paid", timeout=60),
        step(street.act, street.undo, name="ship"),
        await_event("received", timeout=60),
    )
    scenario = Scenario().signal("paid", at=5).signal("received", at=20)
    execution = simulate(saga, scenario=scenario)
    assert execution.status == "completed"
    shipped = next(e for e in execution.events if isinstance(e, StepSucceeded) and e.step == "ship")
    same = fork(execution, shipped, scenario=scenario, world=street.fresh)
    assert same.second.events == execution.events
    silent = fork(execution, shipped, world=street.fresh)
    assert silent.second.status == "compensated"
    assert silent.second.duration == 65
    assert silent.world.done == {}


# -- sagas in sagas -------------------------------------------------------------------------------


def _nested(street: Street) -> Saga:
    bank = Saga(
        "bank",
        step(street.act, street.undo, name="hold"),
        step(street.act_slowly, street.undo_slowly, name="take"),
    )
    return Saga(
        "order",
        step(street.act, street.undo, name="order"),
        sub_saga(bank, name="pay"),
        for_each("lines", lambda ctx: ctx.input, step(street.act, street.undo), limit=1),
        step(street.act, street.undo, name="ship"),
    )


def test_what_those_that_do_steps_have_done_is_part_of_the_past(street: Street) -> None:
    execution = simulate(_nested(street), ["tea", "cups"], id="o-1")
    world = street.shop
    assert len(world.done) == 6
    for at in range(len(execution.events) - 1):
        found = fork(execution, at, world=street.fresh)
        assert found.second.status == "completed", at
        assert found.world.done == world.done, at
        undone = fork(execution, at, scenario=Scenario().fail("ship"), world=street.fresh)
        ship = isinstance(execution.events[at], StepStarted | StepSucceeded)
        if not (ship and execution.events[at].step == "ship"):
            assert undone.second.status == "compensated", at
            assert undone.world.done == {}, at


def test_faults_reach_into_the_sagas_that_do_steps(street: Street) -> None:
    execution = simulate(_nested(street), ["tea", "cups"])
    begun = next(e for e in execution.events if isinstance(e, StepSucceeded) and e.step == "pay")
    found = fork(execution, begun, scenario=Scenario().fail("lines/1"), world=street.fresh)
    assert found.second.status == "compensated"
    assert found.second.children["pay"].status == "compensated"
    assert found.world.done == {}
    assert ("lines/1", "outcome") in [(d.step, d.what) for d in found.differences]


def test_an_execution_that_does_a_step_cannot_go_on_alone(street: Street) -> None:
    execution = simulate(_nested(street), ["tea"], id="o-1")
    with pytest.raises(SagaError, match=r"'o-1/pay' does step 'pay' of execution 'o-1'.*'pay/…'"):
        fork(execution.children["pay"], 1)


# -- from a journal -------------------------------------------------------------------------------


def test_an_execution_in_a_journal_goes_on_in_virtual_time(street: Street, tmp_path: Path) -> None:
    def quick(ctx: Any) -> str:
        return street.act(ctx)

    saga = Saga("s", *(step(quick, street.undo, name=name) for name in "abc"))
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(saga, ORDER, id="o-1")
        execution = engine.status("o-1")
        found = fork(execution, 4, scenario=_stuck("c", "b"), world=street.fresh)
        assert found.second.status == "stuck"
        assert set(found.world.done) == {"o-1/a/action", "o-1/b/action"}
        assert engine.status("o-1").status == "completed", "the journal is not touched"
    with Engine(path) as engine:
        remembered = engine.status("o-1")
        with pytest.raises(DefinitionChangedError, match="the definition it is pinned to"):
            fork(remembered, 4)
        found = fork(remembered, 4, scenario=_stuck("c", "b"), saga=saga, world=street.fresh)
        assert set(found.world.done) == {"o-1/a/action", "o-1/b/action"}


@dataclass
class Receipt:
    number: int


def test_the_past_is_given_results_of_the_types_that_the_definition_declares(
    street: Street, tmp_path: Path
) -> None:
    def charge(ctx: Any) -> Receipt:
        return Receipt(7)

    def ship(ctx: Any) -> None:
        street.shop.done["ship"] = ctx.results["charge"].number

    saga = Saga("s", step(charge), step(ship), step(street.act, name="end"))
    with Engine(tmp_path / "sagas.db") as engine:
        engine.run(saga, id="o-1")
    with Engine(tmp_path / "sagas.db") as engine:
        remembered = engine.status("o-1")
    found = fork(remembered, 4, saga=saga, world=street.fresh)
    assert found.world.done["ship"] == 7


def test_an_execution_of_another_version_is_refused(street: Street) -> None:
    execution = simulate(street.row("a", "b"))
    newer = Saga("row", *street.row("a", "b", "c").steps, version=2)
    with pytest.raises(DefinitionChangedError, match=r"pinned to version \(none\).* version 2"):
        fork(execution, 2, saga=newer)
    with pytest.raises(DefinitionChangedError):
        fork(Execution(newer, execution.events[:3]), 2)


def test_before_a_migration_it_is_of_the_older_version(street: Street) -> None:
    old = street.row("a", "b")
    new = Saga("row", *street.row("a", "b").steps, version=2)
    events = list(simulate(old).events)
    moved = ExecutionMigrated(0.0, new.version, new.fingerprint, "ann", "better")
    execution = Execution(new, [*events[:3], moved, *events[3:]])
    assert fork(execution, 3).second.status == "completed"
    with pytest.raises(DefinitionChangedError, match="pinned to version"):
        fork(execution, 2)
    assert fork(execution, 2, saga=old).second.status == "completed"


# -- wrong questions -------------------------------------------------------------------------------


def test_a_wrong_event_is_refused_with_the_cure(street: Street) -> None:
    execution = simulate(street.row("a", "b"), id="r-1")
    last = len(execution.events) - 1
    for at in (-1, last + 1):
        with pytest.raises(SagaError, match=f"has no event {at}: its 6 events .* 0 to {last}"):
            fork(execution, at)
    with pytest.raises(SagaError, match=r"is completed at event 5 \(ExecutionCompleted\): nothing"):
        fork(execution, last)
    for at in (True, "a", 1.0):
        with pytest.raises(SagaError, match="give the number of an event"):
            fork(execution, at)  # type: ignore[arg-type]
    stranger = StepStarted("z", 1, 0.0)
    with pytest.raises(SagaError, match="has no such event: StepStarted of 'z'"):
        fork(execution, stranger)
    with pytest.raises(ScenarioError, match="has no step 'z' to fail"):
        fork(execution, 2, scenario=Scenario().fail("z"))


def test_nothing_is_called_and_no_world_is_made_for_a_wrong_question(street: Street) -> None:
    execution = simulate(street.row("a", "b"))
    street.shop.calls.clear()
    shop = street.shop
    with pytest.raises(SagaError):
        fork(execution, 99, world=street.fresh)
    with pytest.raises(ScenarioError):
        fork(execution, 2, scenario=Scenario().fail("z"), world=street.fresh)
    newer = Saga("row", *street.row("a", "b").steps, version=2)
    with pytest.raises(DefinitionChangedError):
        fork(execution, 2, saga=newer, world=street.fresh)
    assert street.shop is shop
    assert shop.calls == []


# -- what is shown ---------------------------------------------------------------------------------


def test_both_are_shown_side_by_side(street: Street) -> None:
    execution = simulate(street.row("order", "charge", "ship"), id="o-1")
    at = execution.events[4]
    found = fork(execution, at, scenario=Scenario().fail("ship"), world=street.fresh)
    assert repr(found) == (
        "<Fork of 'row' at event 4 (StepSucceeded of 'charge'): "
        "completed and compensated, 4 differences>"
    )
    assert isinstance(found, sagakit.comparison.Comparison)
    assert "fork at 4 of o-1" in found.picture().svg
    assert found._repr_html_().startswith('<img src="data:image/svg+xml;base64,')


async def _forked(execution: Execution, street: Street) -> Any:
    return fork(execution, 4, world=street.fresh)


def test_it_works_inside_a_running_loop_as_in_a_notebook(street: Street) -> None:
    import asyncio

    execution = simulate(street.checkout())
    found = asyncio.run(_forked(execution, street))
    assert found.second.status == "completed"
    assert len(found.world.done) == 5
