"""What is asked wrongly is refused with the cure, where it would have given nothing or hung."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from sagakit import (
    Engine,
    Saga,
    SagaBuilder,
    Simulated,
    assert_saga,
    chaos,
    check,
    explore,
    fork,
    interleave,
    run,
    simulate,
    step,
)
from sagakit.errors import DefinitionError, SagaError, ScenarioError, SimulationError
from sagakit.lab import World, semantics


def act():
    pass


SAGA = Saga("s", step(act))
DAY = datetime.date(2026, 1, 2)


def test_a_listing_of_a_status_that_there_is_not_names_those_there_are():
    with Engine() as engine:
        with pytest.raises(SagaError, match="no status 'complete'; known are running, waiting, co"):
            engine.list(status="complete")
        for limit in (-1, 1.5, "3"):
            with pytest.raises(SagaError, match=r"limit is .*; give a number"):
                engine.list(limit=limit)
        engine.run(SAGA)
        assert engine.list(limit=0) == []
        assert len(engine.list(status="completed", limit=1)) == 1


@pytest.mark.parametrize("concurrency", ["3", 1.5, 0, None, True])
def test_a_concurrency_that_is_no_number_is_refused(concurrency):
    with pytest.raises(ValueError, match=r"concurrency is .*; give a whole number, 1 or more"):
        Engine(concurrency=concurrency)


def test_a_seed_that_is_no_number_is_refused():
    with pytest.raises(SimulationError, match="seed is 'x'; give a whole number"):
        simulate(SAGA, seed="x")


@pytest.mark.parametrize(
    "result", [{1: 2}, float("nan"), [object()], object(), {"day": DAY}, [DAY], (b"x",)]
)
def test_a_simulated_result_that_cannot_be_kept_is_refused_when_the_saga_is_built(result):
    with pytest.raises(
        DefinitionError, match=r"step 'x': the result of its simulated action.*data"
    ):
        Saga("s", step(Simulated("x", result=result)))


@pytest.mark.parametrize("ask", [check, explore, chaos, lambda it: assert_saga(it).survives()])
@pytest.mark.parametrize("given", [SagaBuilder("s"), "s.yaml", 5])
def test_what_is_no_saga_is_refused_with_the_cure(ask, given):
    with pytest.raises(DefinitionError, match=r"is not a Saga; of a SagaBuilder give .build()"):
        ask(given)


@pytest.mark.parametrize("result", [DAY, datetime.datetime(2026, 1, 2, 3), Decimal("1.10")])
def test_what_a_stand_in_returns_is_of_its_type_live_and_read_again(result, tmp_path):
    saga = Saga("s", step(Simulated("x", result=result)))
    assert simulate(saga).results == {"x": result}
    with Engine(tmp_path / "s.db") as engine:
        engine.run(saga, id="one")
    with Engine(tmp_path / "s.db", sagas=[saga]) as engine:
        assert engine.status("one").results == {"x": result}


def test_a_mapping_of_actions_is_refused_with_the_cure():
    with pytest.raises(DefinitionError, match="actions is a mapping; give a list"):
        Saga.from_yaml("saga: s\nsteps: [{step: act}]", actions={"act": act})


@pytest.mark.parametrize("given", ["bank-refuses", ["fail"], {"faults": []}])
@pytest.mark.parametrize(
    "ask",
    [
        lambda given: simulate(SAGA, scenario=given),
        lambda given: run(SAGA, scenario=given),
        lambda given: explore(SAGA, scenario=given),
        lambda given: chaos(SAGA, scenario=given),
        lambda given: fork(simulate(SAGA), 0, scenario=given),
        lambda given: semantics(SAGA, scenario=given),
        lambda given: interleave(SAGA, SAGA, world=World, scenarios=[given, None]),
        lambda given: Engine().run(SAGA, scenario=given),
    ],
)
def test_what_is_no_scenario_is_refused_with_the_cure(ask, given):
    with pytest.raises(ScenarioError, match=r"is not a Scenario; make one by .*Scenario\.named"):
        ask(given)


def test_a_single_function_where_a_list_is_due_is_refused_with_the_cure():
    with pytest.raises(TypeError, match=r"give a list: invariants=\[act\]"):
        explore(SAGA, invariants=act)
    with pytest.raises(TypeError, match=r"rules is .*; give a list of them"):
        semantics(SAGA, rules=act)
