"""The steps that are no plain action: what they mean in every form of a definition."""

from __future__ import annotations

import re

import pytest

from sagakit import (
    DefinitionError,
    Retry,
    Saga,
    SagaBuilder,
    Scenario,
    await_event,
    choice,
    pivot,
    simulate,
    step,
    timer,
)
from sagakit.steps import Wait


def order(ctx):
    return ctx.input


def seconds():
    return 5


WAITS = Saga(
    "waits",
    step(seconds, name="a"),
    await_event("paid", correlate=order, timeout=seconds, name="payment"),
    await_event("approved", timeout=60, on_timeout="continue"),
    timer("cool", 3600),
    timer("asked", seconds),
)


def test_waits_round_trip_and_are_part_of_the_fingerprint():
    text = WAITS.to_yaml()
    assert Saga.from_yaml(text, [order, seconds]) == WAITS
    assert "wait:" in text
    twin = Saga.from_yaml(text)
    assert twin["payment"].action.event == "paid"
    assert simulate(twin, scenario=Scenario().signal("paid")).status == "completed"
    one = Saga("s", await_event("paid"))
    assert one.fingerprint != Saga("s", await_event("payed", name="paid")).fingerprint
    remembered = Saga.from_shape("waits", None, WAITS.shape)
    assert remembered.shape["steps"]["payment"] == WAITS.shape["steps"]["payment"]


def test_what_a_wait_takes_is_drawn():
    notes = {node.name: node.notes for node in WAITS.flow_nodes()}
    assert notes["payment"] == ("waits for paid", "at most seconds")
    assert notes["approved"] == ("waits for approved", "at most 60 s, then on")
    assert notes["cool"] == ("waits 3600 s",)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (await_event(""), "waits for the event ''; give printable text"),
        (step(Wait(), name="x"), "waits for nothing; give an event or a timeout"),
        (
            step(Wait(timeout=1.0), name="x"),
            "waits only for a time; let its on_timeout be 'continue'",
        ),
        (timer("x", 0), "timeout is 0.0; give seconds above 0, or a function"),
        (timer("x", float("nan")), "timeout is nan"),
        (await_event("x", on_timeout="stop"), "on_timeout is 'stop'; give 'fail' or 'continue'"),
        (await_event("x", correlate=5), "its correlate is 5, which cannot be called"),
        (
            step(Wait(event="x"), name="x", retry=Retry(2)),
            "waits and calls nothing; drop its retry",
        ),
        (step(Wait(event="x"), name="x", timeout=5), "waits and calls nothing; drop its timeout"),
    ],
)
def test_a_wait_that_makes_no_sense_is_named_with_its_cure(item, problem):
    with pytest.raises(DefinitionError, match=re.escape(problem)):
        Saga("s", item)


def test_no_wait_after_the_pivot_may_fail():
    with pytest.raises(DefinitionError, match="step 'x' stands after the pivot"):
        Saga("s", pivot(seconds), await_event("x", timeout=1))
    Saga("s", pivot(seconds), await_event("x", timeout=1, on_timeout="continue"))


def test_a_coroutine_cannot_say_how_long():
    async def slow():
        return 1

    with pytest.raises(DefinitionError, match="its timeout is a coroutine"):
        Saga("s", timer("x", slow))


def test_an_entry_with_an_action_and_a_wait_is_refused():
    with pytest.raises(DefinitionError, match="step 'x' has action and wait; keep one"):
        Saga.from_yaml("saga: s\nsteps:\n- step: x\n  action: a\n  wait: {event: e}\n")


def test_the_builder_takes_a_declared_step_and_replaces_it_when_its_cell_runs_again():
    saga = SagaBuilder("s").add_step(seconds)
    saga.add_step(await_event("paid"))
    saga.add_step(await_event("paid", timeout=3))
    assert saga.build() == Saga("s", step(seconds), await_event("paid", timeout=3))
    with pytest.raises(DefinitionError, match="'paid' is declared already; give its options there"):
        saga.add_step(await_event("paid"), after="seconds")


# -- steps that choose ----------------------------------------------------------------------


def pick(ctx):
    return ctx.input


def fly():
    pass


def drive():
    pass


def arrive():
    pass


ROUTES = Saga(
    "routes",
    step(seconds),
    *choice("route", pick, {"air": [step(fly), timer("land", 60)], "road": step(drive)}),
    step(arrive),
)


def test_a_choice_round_trips_and_what_stands_below_joins_its_branches():
    assert ROUTES["fly"].after == ROUTES["drive"].after == ("route",)
    assert ROUTES["arrive"].after == ("drive", "land")
    text = ROUTES.to_yaml()
    assert "after" not in text
    assert Saga.from_yaml(text, [seconds, pick, fly, drive, arrive]) == ROUTES
    twin = Saga.from_yaml(text)
    assert simulate(twin).results["route"] == "air", "simulated, it takes the first"
    assert Saga.from_yaml(twin.to_yaml()) == twin
    remembered = Saga.from_shape("routes", None, ROUTES.shape)
    assert remembered.shape["steps"]["fly"]["branch"] == ["route", "air"]
    assert remembered.shape["steps"]["route"]["chooses"] is True


def test_a_choice_is_drawn():
    notes = {node.name: node.notes for node in ROUTES.flow_nodes()}
    assert notes["route"] == ("chooses by pick",)
    assert notes["drive"] == ("if route is road",)


def test_a_choice_without_its_star_is_told_so():
    with pytest.raises(DefinitionError, match=r"is not a step; put a \* before it"):
        Saga("s", choice("route", pick, {"a": step(fly)}))


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (choice("c", pick, {}), "step 'c' chooses between no branches; give it some"),
        ([step(fly, branch=("no", "x"))], "and 'no' is no step that chooses"),
        ([step(drive), step(fly, branch=("drive", "x"))], "and 'drive' is no step that chooses"),
        (
            [*choice("c", pick, {"x": step(drive)}), step(fly, branch=("c", "y"), after=())],
            "does not come after 'c'; add it to its after",
        ),
        (choice("c", 5, {"x": step(fly)}), "its choice is 5, which cannot be called"),
    ],
)
def test_a_choice_that_makes_no_sense_is_named_with_its_cure(steps, problem):
    with pytest.raises(DefinitionError, match=re.escape(problem)):
        Saga("s", *steps)
