"""What the palette and the inspector of a designer are made of."""

from __future__ import annotations

from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from sagakit import Saga, simulate
from sagakit.connectors import CATALOGUE
from sagakit.connectors.forms import CONNECTORS
from sagakit.spec import json_schema

pytest.importorskip("celpy")

SCHEMA = json_schema()
every_entry = pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.kind)


def test_every_kind_is_there_once() -> None:
    assert [entry.kind for entry in CATALOGUE] == [*CONNECTORS, "cel"]
    assert {"http", "graphql", "soap", "sql", "publish"} == set(CONNECTORS)


@every_entry
def test_an_example_step_is_sound_and_can_be_simulated(entry: Any) -> None:
    text = yaml.safe_dump({"saga": "s", "steps": [entry.step]})
    saga = Saga.from_yaml(text)
    assert Saga.from_yaml(saga.to_yaml()) == saga
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))
    given = {"amount": 1, "sku": "a", "n": 1, "order": "o"}
    assert simulate(saga, given).status == "completed"


@every_entry
def test_every_option_has_a_title_and_a_description(entry: Any) -> None:
    properties = SCHEMA["$defs"][entry.schema]["properties"]
    assert properties
    lacking = [
        name
        for name, option in properties.items()
        if not (option.get("description") and option.get("title"))
    ]
    assert lacking == []


@every_entry
def test_the_schema_offers_it_where_it_can_stand_and_nowhere_else(entry: Any) -> None:
    name = "Cel" if entry.kind == "cel" else f"{entry.schema}Form"
    reference = {"$ref": f"#/$defs/{name}"}
    offered = {
        role
        for struct in ("StepSpec", "WaitSpec", "ForEachSpec")
        for role, option in SCHEMA["$defs"][struct]["properties"].items()
        if reference in option.get("anyOf", ())
    }
    assert offered == set(entry.roles)


def test_the_schema_refuses_a_misspelled_option_of_a_connector() -> None:
    step = {"step": "a", "action": {"http": {"url": "https://x", "metod": "POST"}}}
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert not validator.is_valid({"saga": "s", "steps": [step]})
    step = {"step": "a", "when": {"http": {"url": "https://x"}}}
    assert not validator.is_valid({"saga": "s", "steps": [step]})


def test_the_options_in_the_schema_are_those_of_the_structs() -> None:
    for connector in CONNECTORS.values():
        names = set(SCHEMA["$defs"][connector.__name__]["properties"])
        assert names == {field.encode_name for field in msgspec.structs.fields(connector)}
