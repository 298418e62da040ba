"""Scenarios from Hypothesis: they fit, they meet everything, and they shrink."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import get_args

import pytest
from hypothesis import HealthCheck, Phase, find, given, seed, settings
from hypothesis import strategies as st
from sagas import sagas

from sagakit import (
    CircuitBreaker,
    Retry,
    Saga,
    Scenario,
    Service,
    await_event,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.lab import ORDER, Twin, bugs
from sagakit.lab.invariants import Judge
from sagakit.lab.strategies import scenarios
from sagakit.scenario import FaultKind

SEARCH = settings(
    max_examples=4000,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def nothing(ctx):
    return None


def three(ctx):
    return [1, 2, 3]


AGAIN = Retry(attempts=3)
INNER = Saga("inner", step(nothing, nothing, name="x"), await_event("stamped", timeout=90))
EVERYTHING = Saga(
    "everything",
    step(nothing, nothing, name="first", retry=AGAIN, service="bank", timeout=3),
    await_event("paid", timeout=100),
    sub_saga(INNER),
    for_each("lines", three, step(nothing, nothing, name="line")),
    for_each("parcels", three, INNER),
    pivot(nothing, name="point"),
    step(nothing, name="last"),
    services=[Service("bank", breaker=CircuitBreaker(failures=2, reset=5))],
)


@given(st.data())
@settings(max_examples=200, suppress_health_check=list(HealthCheck))
def test_every_scenario_fits_the_saga_that_it_was_made_for(data):
    saga = data.draw(sagas())
    faults = data.draw(st.integers(0, 4))
    scenario = data.draw(scenarios(saga, faults=faults))
    scenario.check(saga, crashes=True)
    assert len(scenario.faults) + len(scenario.crashes) <= faults
    assert all(fault.problem() == "" for fault in scenario.faults)
    assert Scenario.from_yaml(scenario.to_yaml()) == scenario
    assert eval(repr(scenario), {"Scenario": Scenario}) == scenario  # noqa: S307


@given(scenarios(EVERYTHING))
@settings(max_examples=150)
def test_an_execution_under_any_of_them_comes_to_rest(scenario):
    scenario.check(EVERYTHING, crashes=True)
    execution = simulate(EVERYTHING, scenario=scenario)
    assert execution.status in ("completed", "compensated", "stuck")


def met(strategy, seeds=8):
    """What a good number of them have: counts. One run varies what it had before, so there are
    several."""
    seen: Counter = Counter()

    @given(strategy)
    @settings(SEARCH, derandomize=False, max_examples=500, phases=[Phase.generate])
    def look(scenario):
        sizes = len(scenario.faults) + len(scenario.crashes)
        seen["size", sizes] += 1
        for fault in scenario.faults:
            count = "for good" if fault.for_good else "once" if fault.attempt else "first"
            seen[fault.kind, fault.side] += 1
            seen[count] += 1
            seen[fault.step, fault.side] += 1
        for crash in scenario.crashes:
            seen["crash", crash.written, crash.to] += 1
        for what in scenario.interventions:
            seen[type(what).__name__, getattr(what, "to", "")] += 1

    for number in range(seeds):
        seed(number)(look)()
    return seen


def test_every_kind_of_failure_meets_every_step_on_both_sides():
    seen = met(scenarios(EVERYTHING))
    for kind in get_args(FaultKind):
        assert seen[kind, "action"], kind
        if kind not in ("late", "reorder", "drop"):
            assert seen[kind, "compensation"], kind
    assert all(seen[how] for how in ("once", "first", "for good"))
    for name in ("first", "inner/x", "lines/0", "lines/2", "parcels/1/x"):
        assert seen[name, "action"], name
        assert seen[name, "compensation"], name
    for name in ("paid", "inner/stamped", "parcels/2/stamped", "point", "last"):
        assert seen[name, "action"], name
    for where in ("", "inner", "lines", "parcels", "parcels/1"):
        assert seen["crash", True, where], where
        assert seen["crash", False, where], where
    for where in ("", "inner", "parcels/2"):
        assert seen["Signal", where], where
    assert seen["Cancellation", ""]
    assert all(seen["size", size] for size in range(4))
    assert not seen["size", 4]


def test_what_is_not_wanted_does_not_come():
    quiet = scenarios(
        EVERYTHING,
        faults=2,
        crashes=False,
        signals=False,
        cancels=False,
        only=lambda fault: fault.kind == "repeat",
    )
    seen = met(quiet, 1)
    assert {what[0] for what in seen if len(what) == 2 and what[1] == "action"} >= {"repeat"}
    assert not {what for what in seen if what[0] in ("crash", "Signal", "Cancellation", "fail")}
    assert not seen["size", 3]


def test_nothing_behind_the_pivot_fails_for_good():
    seen = set()

    @given(scenarios(EVERYTHING))
    @settings(SEARCH, max_examples=500, phases=[Phase.generate])
    def look(scenario):
        seen.update(fault.for_good for fault in scenario.faults if fault.step == "last")

    look()
    assert seen == {False}


def test_payloads_are_drawn_by_event():
    strategy = scenarios(EVERYTHING, signals={"paid": st.integers(1, 9)})
    found = find(
        strategy, lambda s: any(w.event == "paid" for w in s.interventions), settings=SEARCH
    )
    assert {w.event: w.payload for w in found.interventions} == {"paid": 1, "stamped": None}


def test_the_simplest_scenario_lets_the_saga_through():
    simplest = find(scenarios(EVERYTHING), lambda _: True, settings=SEARCH)
    assert (simplest.faults, simplest.crashes) == ((), ())
    assert simulate(EVERYTHING, scenario=simplest).status == "completed"


def broken(bug, scenario):
    world = bug.world()
    execution = simulate(bug.buggy, bug.input, scenario=scenario)
    return list(Judge(world, ()).violated(world, execution))


@pytest.mark.parametrize("more", [{}, {"crashes": False, "cancels": False}])
def test_a_counterexample_shrinks_to_the_two_faults_that_it_takes(more):
    bug = bugs()["refund_twice"]
    strategy = scenarios(bug.buggy, faults=5, **more)
    least = find(strategy, lambda scenario: broken(bug, scenario), settings=SEARCH)
    assert len(least.faults) + len(least.crashes) + len(least.interventions) == 2, least
    for one in least.faults:
        rest = Scenario(tuple(f for f in least.faults if f is not one), "", (), least.crashes)
        assert not broken(bug, rest), "each of them is needed"


def test_the_mended_one_holds_under_all_of_them():
    twin = Twin()

    @given(scenarios(twin.saga))
    @settings(max_examples=100)
    def holds(scenario):
        world = twin.fresh()
        execution = simulate(twin.saga, ORDER, scenario=scenario)
        assert not list(Judge(world, ()).violated(world, execution))

    holds()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"faults": -1}, "faults is -1; give 0 or more"),
        ({"signals": {"piad": st.none()}}, "saga 'everything' never waits for the event 'piad'"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        scenarios(EVERYTHING, **wrong)


@pytest.mark.parametrize("module", ["strategies", "machine"])
def test_without_hypothesis_the_error_names_the_extra(module):
    code = f"import sys; sys.modules['hypothesis'] = None\nimport sagakit.lab.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'sagakit[hypothesis]'" in done.stderr.splitlines()[-1]


def test_the_lab_and_the_pytest_plugin_do_without_hypothesis():
    code = "import sys, sagakit.lab, sagakit.pytest_plugin; assert 'hypothesis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
