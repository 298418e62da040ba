"""The coordinator dies where a scenario says so: with all that it works on, and only in virtual
time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sagakit import (
    Engine,
    Retry,
    Saga,
    SagaBuilder,
    Scenario,
    arun,
    for_each,
    run,
    simulate,
    sub_saga,
)
from sagakit import step as a_step
from sagakit.drivers.simulated import resume
from sagakit.errors import ScenarioError
from sagakit.events import AttemptLost

CALLS: list[str] = []


def note(name: str) -> Callable[[Any], None]:
    def act(ctx: Any) -> None:
        CALLS.append(f"{name} {ctx.attempt}")

    act.__name__ = name
    return act


def step(name: str) -> Any:
    return a_step(note(name), note(f"undo_{name}"), retry=Retry(2))


PAY = Saga("pay", step("authorise"), step("capture"))
ORDER = Saga("order", step("open"), sub_saga(PAY, name="pay"), a_step(note("ship")))
EACH = Saga("each", for_each("lines", lambda: [1, 2], step("reserve")))


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    CALLS.clear()


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (Scenario().crash(1, to="pay"), ["open 1", "authorise 2", "capture 1", "ship 1"]),
        (
            Scenario().crash(2, written=False, to="pay"),
            ["open 1", "authorise 1", "authorise 2", "capture 1", "ship 1"],
        ),
        (Scenario().crash(3, to="pay"), ["open 1", "authorise 1", "capture 2", "ship 1"]),
        (
            Scenario().crash(2, written=False, to="pay").crash(1),
            ["open 2", "authorise 1", "authorise 2", "capture 1", "ship 1"],
        ),
    ],
    ids=str,
)
def test_it_dies_at_an_event_of_a_saga_within(scenario: Scenario, expected: list[str]) -> None:
    assert simulate(ORDER, scenario=scenario).status == "completed"
    assert expected == CALLS


def test_it_dies_within_one_of_many() -> None:
    scenario = Scenario().crash(3, written=False, to="lines")
    assert simulate(EACH, scenario=scenario).status == "completed"
    assert sorted(CALLS) == ["reserve 1", "reserve 2", "reserve 2"]


def test_when_it_dies_all_that_it_works_on_dies_with_it() -> None:
    execution = simulate(ORDER, scenario=Scenario().crash(2, written=False, to="pay"))
    inside = execution.children["pay"]
    assert [event.step for event in inside.events if isinstance(event, AttemptLost)] == [
        "authorise"
    ]


def test_inside_keeps_the_crashes_and_takes_off_the_path() -> None:
    scenario = (
        Scenario().crash(1).crash(2, to="a").crash(3, written=False, to="a/b").crash(4, to="c")
    )
    assert scenario.inside("a") == Scenario().crash(2).crash(3, written=False, to="b")
    assert scenario.inside("d") is None


def test_a_resumed_execution_can_die_again() -> None:
    saga = Saga("s", step("a"), step("b"), step("c"))
    events = simulate(saga).events[:3]
    CALLS.clear()
    again = resume(saga, events, scenario=Scenario().crash(4, written=False))
    assert again.status == "completed"
    assert CALLS == ["b 1", "b 2", "c 1"]


def test_a_crash_that_is_never_reached_changes_nothing() -> None:
    assert simulate(ORDER, scenario=Scenario().crash(99, to="pay")).status == "completed"


def _start(saga: Saga, **options: Any) -> Any:
    with Engine() as engine:
        return engine.start(saga, **options)


def _engine(saga: Saga, **options: Any) -> Any:
    with Engine() as engine:
        return engine.run(saga, **options)


def _await(saga: Saga, **options: Any) -> Any:
    return asyncio.run(arun(saga, **options))


def _build(saga: Saga, **options: Any) -> Any:
    return SagaBuilder(saga.name).add_step(note("a")).execute(**options)


@pytest.mark.parametrize("drive", [run, _await, _engine, _start, _build])
@pytest.mark.parametrize("to", ["", "pay"])
def test_a_driver_that_cannot_die_says_so_before_anything_is_called(
    drive: Callable[..., Any], to: str
) -> None:
    said = "only virtual time can crash; run it with simulate.*kill the process"
    with pytest.raises(ScenarioError, match=said):
        drive(ORDER, scenario=Scenario().crash(3, to=to))
    assert CALLS == []
