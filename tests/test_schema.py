"""The published JSON Schema of the YAML form, and the example sagas in data/."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from sagakit import DefinitionError, Execution, Saga, Scenario, simulate
from sagakit.spec import StepSpec, json_schema

DATA = Path(__file__).parent.parent / "data"
SCHEMA = DATA / "saga.schema.json"
SAGAS = sorted((DATA / "sagas").glob("*.yaml"))

a_saga = pytest.mark.parametrize("path", SAGAS, ids=lambda path: path.stem)


def _validator() -> Any:
    return jsonschema.Draft202012Validator(msgspec.json.decode(SCHEMA.read_bytes()))


def _example(schema: Any) -> Any:
    """A value that fits a schema of the plain kind that the example sagas use for their input."""
    match schema:
        case None:
            return None
        case {"enum": [first, *_]} | {"default": first} | {"const": first}:
            return first
        case {"type": "object", "properties": dict(properties)}:
            return {key: _example(value) for key, value in properties.items()}
        case {"type": "array"}:
            return [_example(schema["items"])]
        case {"type": "string"}:
            return "ALFKI"
        case {"type": "integer" | "number"}:
            return schema.get("minimum", 0) + 1
        case {"type": "boolean"}:
            return True
    raise AssertionError(f"teach _example() this schema: {schema}")


def test_there_are_examples() -> None:
    assert {"checkout", "trip", "quotes", "shipment"} <= {path.stem for path in SAGAS}


def test_the_published_schema_is_current() -> None:
    current = msgspec.json.format(msgspec.json.encode(json_schema()), indent=2)
    assert SCHEMA.read_bytes() == current + b"\n", (
        "write it anew: python -c 'import msgspec, sagakit.spec as s; "
        "print(msgspec.json.format(msgspec.json.encode(s.json_schema()), indent=2).decode())'"
        " > data/saga.schema.json"
    )


def test_the_published_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(msgspec.json.decode(SCHEMA.read_bytes()))


def test_the_schema_describes_every_option_for_the_forms_that_are_drawn_from_it() -> None:
    definitions = json_schema()["$defs"]
    lacks = [
        f"{name}.{key}"
        for name, definition in definitions.items()
        for key, option in definition["properties"].items()
        if not option.get("description") and "$ref" not in str(option)  # what it is says it there
    ]
    assert not lacks, "describe it in the struct's docstring, under Parameters"


@a_saga
def test_an_example_fits_the_schema(path: Path) -> None:
    _validator().validate(yaml.safe_load(path.read_text("utf-8")))


@a_saga
def test_what_an_example_is_written_back_as_fits_the_schema_too(path: Path) -> None:
    _validator().validate(yaml.safe_load(Saga.from_yaml(path).to_yaml()))


@a_saga
def test_an_example_round_trips(path: Path) -> None:
    saga = Saga.from_yaml(path)
    assert Saga.from_yaml(saga.to_yaml()) == saga


@a_saga
def test_an_example_runs_to_completion_without_any_code(path: Path) -> None:
    saga = Saga.from_yaml(path)
    execution = simulate(saga, _example(saga.input_schema), seed=1)
    assert execution.status == "completed"


def _calls(execution: Execution, path: str = "") -> Iterator[str]:
    """The paths of all calls that could still be undone, those of the sagas within included."""
    plan = execution.saga.plan
    for name, kind, call in zip(plan.names, plan.kinds, plan.actions, strict=True):
        if name in execution.children:
            yield from _calls(execution.children[name], f"{path}{name}/")
        elif call is not None and kind != "retriable" and execution.states[name] == "succeeded":
            yield f"{path}{name}"


@a_saga
def test_an_example_can_be_undone_from_each_step_before_its_pivot(path: Path) -> None:
    saga = Saga.from_yaml(path)
    value = _example(saga.input_schema)
    found = list(_calls(simulate(saga, value, seed=1)))
    assert len(found) >= 4
    for name in found:
        execution = simulate(saga, value, scenario=Scenario().fail(name), seed=1)
        assert execution.status == "compensated", name


def test_the_examples_show_the_whole_language() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SAGAS)
    for name in StepSpec.__struct_encode_fields__:
        assert re.search(rf"\b{name}:", text), f"no example has {name}"


BAD = {
    "an unknown key of the saga": "saga: a\nstep: b\n",
    "an unknown key of a step": "saga: a\nsteps: [{step: b, pivto: true}]\n",
    "an unknown key of a policy": "saga: a\nsteps: [{step: b, retry: {atempts: 2}}]\n",
    "text for a number": "saga: a\nsteps: [{step: b, timeout: soon}]\n",
    "no name": "steps: [{step: b}]\n",
    "a step without a name": "saga: a\nsteps: [{action: b}]\n",
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_the_schema_and_the_reader_refuse_the_same(text: str) -> None:
    assert not _validator().is_valid(yaml.safe_load(text))
    with pytest.raises(DefinitionError):
        Saga.from_yaml(text)
