"""The named scenarios in data/scenarios: each says what it stands for, and fits a saga there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import jsonschema
import msgspec
import pytest
import yaml

from sagakit import Execution, Saga, Scenario, simulate
from sagakit.errors import ScenarioError
from sagakit.scenario import FaultKind, Signal, library

DATA = Path(__file__).parents[2] / "data"
SCHEMA = msgspec.json.decode((DATA / "scenario.schema.json").read_bytes())

# Each is meant for one saga, and has one outcome there.
MEANT = {
    "bank-refuses": ("checkout", "compensated"),
    "bank-restarts": ("checkout", "completed"),
    "breaker-open": ("quotes", "completed"),
    "carrier-down": ("checkout", "completed"),
    "delivered-twice": ("checkout", "completed"),
    "duplicate-action": ("troubled/order", "completed"),
    "flaky-refund": ("checkout", "compensated"),
    "lost-reply": ("checkout", "completed"),
    "lost-request": ("checkout", "compensated"),
    "not-compensated": ("troubled/order", "compensated"),
    "overtaken-by-compensation": ("checkout", "compensated"),
    "overtaken-by-retry": ("checkout", "completed"),
    "power-cut": ("checkout", "completed"),
    "refund-impossible": ("checkout", "stuck"),
    "second-thoughts": ("checkout", "compensated"),
    "slow-bank": ("checkout", "completed"),
    "slow-step": ("troubled/order", "completed"),
    "stuck-pending": ("troubled/order", "waiting"),
}

each = pytest.mark.parametrize("name", library())


def run(name: str) -> Execution:
    file, _ = MEANT[name]
    saga = Saga.from_yaml(DATA / "sagas" / f"{file}.yaml")
    value = {"customer": "ALFKI", "amount": 42} if saga.name == "checkout" else None
    return simulate(saga, value, scenario=Scenario.named(name))


def test_every_scenario_of_the_library_has_its_outcome_here() -> None:
    assert set(library()) == set(MEANT)


@each
def test_it_is_named_as_its_file_and_says_in_one_sentence_what_it_stands_for(name: str) -> None:
    scenario = Scenario.named(name)
    assert scenario.name == name
    assert scenario.description.endswith(".")
    assert scenario.description.count(". ") == 0
    assert scenario.faults or scenario.interventions or scenario.crashes


@each
def test_it_fits_the_schema_and_round_trips(name: str) -> None:
    path = DATA / "scenarios" / f"{name}.yaml"
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text("utf-8")))
    assert Scenario.from_yaml(Scenario.named(name).to_yaml()) == Scenario.from_yaml(path)


@each
def test_it_fits_its_saga_and_makes_a_difference_there(name: str) -> None:
    execution = run(name)
    assert execution.status == MEANT[name][1]
    file, _ = MEANT[name]
    saga = Saga.from_yaml(DATA / "sagas" / f"{file}.yaml")
    scenario = Scenario.named(name)
    signals = tuple(one for one in scenario.interventions if isinstance(one, Signal))
    calm = simulate(saga, execution.input, id=execution.id, scenario=Scenario((), "", signals))
    if name != "delivered-twice":  # nothing of it is to be seen in the events
        assert calm.log() != execution.log()


def test_all_kinds_of_fault_are_in_the_library() -> None:
    faults = [fault for name in library() for fault in Scenario.named(name).faults]
    assert {fault.kind for fault in faults} == set(get_args(FaultKind))
    assert {fault.side for fault in faults} == {"action", "compensation"}


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario named 'lost-replay' \(did you mean"):
        Scenario.named("lost-replay")
    with pytest.raises(ScenarioError, match=r"no scenario named 'xyz'; known are bank-refuses, "):
        Scenario.named("xyz")
    with pytest.raises(ScenarioError, match="no scenario named"):
        Scenario.named("../sagas/checkout")
