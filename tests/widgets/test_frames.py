"""The frames of the player are what the coordinator itself comes to, event by event."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from sagas import sagas

from sagakit import Execution, Saga, Scenario, await_event, for_each, simulate, step, sub_saga
from sagakit.coordinator import replay
from sagakit.errors import SimulationError
from sagakit.lab import ORDER, Twin, World
from sagakit.lab.faults import single_faults
from sagakit.services import CheckoutWorld
from sagakit.story import join
from sagakit.widgets.film import Film, film
from sagakit.widgets.frames import MOST_COPIES, scenes, states_at


def _states_of(execution: Execution, path: str = "") -> dict[str, str]:
    found = {join(path, name): state for name, state in execution.states.items()}
    for name, child in execution.children.items():
        found |= _states_of(child, join(path, name))
    return found


def _filmed(saga: Saga, scenario: Scenario | None = None, input: Any = None) -> Film:
    return film(saga, input, scenario or Scenario(), 0, None)


def _ledgers_at(shown: dict[str, Any], event: int) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    rows, changes = shown["ledgers"]["rows"], shown["ledgers"]["changes"]
    for place in range(0, len(changes), 3):
        number, row, value = changes[place : place + 3]
        if number > event:
            break
        found[tuple(rows[row])] = value
    return {key: value for key, value in found.items() if value is not None}


@settings(max_examples=50, deadline=None)
@given(sagas(most=4), st.data())
def test_every_frame_is_what_a_replay_of_the_events_so_far_gives(saga, data):
    scenario = data.draw(st.sampled_from(list(single_faults(saga))))
    try:
        made = _filmed(saga, scenario)
    except SimulationError:
        reject()
    shown, history = scenes(made), made.execution.history()
    told = None if scenario == Scenario() else scenario
    assert history == simulate(saga, scenario=told).history()
    for place, (path, _) in enumerate(history):
        events = [event for where, event in history[: place + 1] if where == path]
        plan = _inside(made.execution, path).saga.plan
        now = dict(zip(plan.names, replay(plan, events).steps, strict=True))
        seen = states_at(shown, place)
        assert {name: seen.get(join(path, name), now[name]) for name in now} == now
    last, known = states_at(shown, len(history)), _states_of(made.execution)
    assert all(known.get(path, "pending") == state for path, state in last.items())


def _inside(execution: Execution, path: str) -> Execution:
    for name in filter(None, path.split("/")):
        execution = execution.children[name]
    return execution


def test_the_ledgers_change_with_the_event_that_tells_of_the_change():
    twin = Twin()
    made = film(twin.saga, ORDER, Scenario().fail("confirm_order"), 0, twin.fresh)
    shown = scenes(made)
    kept = [
        _ledgers_at(shown, place)["payment", "cents kept"]
        for place in range(len(made.execution.events))
    ]
    told = [
        (type(event).__name__, event.step)
        for place, event in enumerate(made.execution.events)
        if place and kept[place] != kept[place - 1]
    ]
    assert told == [
        ("StepSucceeded", "charge_payment"),
        ("CompensationSucceeded", "charge_payment"),
    ]
    assert kept[0] == kept[-1] == 0
    assert max(kept) == ORDER["amount_cents"]


def test_an_effect_whose_reply_is_lost_stands_in_the_ledgers():
    twin = Twin()
    made = film(twin.saga, ORDER, Scenario().lose_reply("charge_payment", 1), 0, twin.fresh)
    place = next(
        n for n, e in enumerate(made.execution.events) if type(e).__name__ == "StepAttemptFailed"
    )
    assert _ledgers_at(scenes(made), place)["payment", "cents charged"] == ORDER["amount_cents"]


def test_an_event_tells_once_which_attempt_it_is_of():
    made = film(Twin().saga, ORDER, Scenario().lose_reply("charge_payment", 1), 0, None)
    told = [one for one in scenes(made)["events"]["detail"] if "attempt 2" in one]
    assert [one.count("attempt 2") for one in told] == [1, 1]
    assert "attempt" not in scenes(made)["events"]


def test_ledgers_outlive_a_crash_that_loses_an_event():
    twin = Twin()
    made = film(twin.saga, ORDER, Scenario().crash(4, written=False), 0, twin.fresh)
    shown = scenes(made)
    assert made.execution.status == "completed"
    assert _ledgers_at(shown, 10**9)["payment", "cents charged"] == ORDER["amount_cents"]
    assert [one[1] for one in shown["struck"]] == ["crash"]


def test_twin_and_real_services_keep_the_same_ledgers():
    twin = Twin()
    scenario = Scenario().lose_reply("charge_payment", 1).fail("confirm_order")
    stock = {11: 22, 42: 26}
    in_memory = film(twin.saga, ORDER, scenario, 0, twin.fresh)
    in_sql = film(lambda world: world.saga, ORDER, scenario, 0, lambda: CheckoutWorld(stock=stock))
    assert in_sql.ledgers == in_memory.ledgers


def test_of_a_world_without_ledgers_its_tables_are_shown_row_by_row():
    world = World(accounts={"ALFKI": 100})

    def pay(ctx):
        world.accounts["ALFKI"] -= 40

    shown = scenes(film(Saga("pay", step(pay)), None, Scenario(), 0, world.fresh))
    assert shown["ledgers"]["rows"] == [["accounts", "ALFKI"]]
    assert shown["ledgers"]["changes"] == [0, 0, 100, 2, 0, 60]


def test_a_saga_without_a_world_has_no_ledgers():
    assert scenes(_filmed(Saga("s", step(lambda: 1, name="a"))))["ledgers"] == {
        "rows": [],
        "changes": [],
    }


def test_a_world_is_closed_when_its_film_is_made_whatever_happens():
    closed = []

    class Shop:
        def close(self):
            closed.append(self)

    saga = Saga("s", step(lambda: 1, name="a"))
    film(saga, None, Scenario(), 0, Shop)
    with pytest.raises(Exception, match="has no step 'b'"):
        film(saga, None, Scenario().fail("b"), 0, Shop)
    assert len(closed) == 2


def test_of_very_many_items_a_few_are_drawn_and_the_rest_counted():
    def act(ctx):
        if ctx.input == 77:
            raise ValueError("no")

    saga = Saga("many", for_each("all", lambda ctx: list(range(100)), step(act, name="one")))
    shown = scenes(_filmed(saga))
    outer, *copies = shown["nodes"]
    assert len(copies) == MOST_COPIES
    assert outer["more"] == 100 - MOST_COPIES
    assert "all/77" in {node["path"] for node in copies}  # the one that failed is rare
    assert states_at(shown, 10**9)["all/77"] == "failed"
    assert len(shown["paths"]) > len(shown["nodes"])  # events of the others are told, too


def test_steps_inside_others_know_where_they_stand_even_before_they_begin():
    inner = Saga("inner", step(lambda: 1, name="deep"))
    saga = Saga("outer", step(lambda: 1, name="first"), sub_saga(inner, name="second"))
    shown = scenes(_filmed(saga, Scenario().fail("first")))
    assert [(node["path"], node["inside"]) for node in shown["nodes"]] == [
        ("first", -1),
        ("second", -1),
        ("second/deep", 1),
    ]


def test_faults_strike_where_the_attempt_or_the_wait_begins():
    saga = Saga(
        "s",
        step(lambda: 1, lambda: 2, name="a"),
        await_event("paid", name="b", timeout=5),
    )
    scenario = Scenario().slow("a", 3).signal("paid", at=1).drop_signal("b")
    shown = scenes(_filmed(saga, scenario))
    words, events = shown["words"], shown["events"]
    assert [(words[events["what"][e]], what, n) for e, what, n in shown["struck"]] == [
        ("step started", "fault", 0),
        ("wait started", "fault", 1),
    ]


def test_the_status_of_each_frame_is_told():
    saga = Saga("s", step(lambda: 1, name="a"), await_event("never", name="b"))
    assert scenes(_filmed(saga))["statuses"][1::2] == ["running", "waiting"]
