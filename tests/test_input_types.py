"""The type of a saga's input: in its definition, its YAML form, and after a crash."""

from __future__ import annotations

import dataclasses
import pickle
from decimal import Decimal

import pytest

from sagakit import Engine, Saga, simulate, step, sub_saga
from sagakit.drivers.simulated import resume
from sagakit.errors import CodecError, ConflictError, DefinitionError, InputError
from sagakit.journal.sqlite import SqliteJournal


@dataclasses.dataclass(frozen=True)
class Order:
    amount: Decimal
    teapots: int = 1


@dataclasses.dataclass(frozen=True)
class OtherOrder:
    weight: float


def charge(ctx):
    return f"{type(ctx.input).__name__}"


SAGA = Saga("s", step(charge), input=Order)
ORDER = Order(Decimal("9.90"))


def test_the_input_is_a_type_or_a_json_schema():
    schema = {"type": "object"}
    assert Saga("s", step(charge), input=schema) == Saga("s", step(charge), input_schema=schema)
    assert Saga("s", step(charge)) != SAGA
    assert SAGA.input_type is Order
    assert pickle.loads(pickle.dumps(SAGA)) == SAGA


@pytest.mark.parametrize("kind", [object, 7, "Order", Saga])
def test_what_is_no_type_that_can_be_kept_is_refused(kind):
    with pytest.raises(DefinitionError, match=r"saga 's': input is .*; give a dataclass"):
        Saga("s", step(charge), input=kind)


def test_a_type_and_a_schema_are_one_too_many():
    with pytest.raises(DefinitionError, match="has input and input_schema; give one"):
        Saga("s", step(charge), input=Order, input_schema={})


def test_in_yaml_the_type_is_a_schema_and_comes_back_where_the_type_is_given():
    text = SAGA.to_yaml()
    assert "teapots" in text
    assert Saga.from_yaml(text, actions=[charge], input=Order) == SAGA
    plain = Saga.from_yaml(text, actions=[charge])
    assert simulate(plain, {"amount": "1.5"}).results == {"charge": "dict"}
    with pytest.raises(DefinitionError, match="is not the schema of the type given"):
        Saga.from_yaml(text, actions=[charge], input=OtherOrder)


def test_in_yaml_a_saga_within_cannot_have_a_type_and_is_refused():
    with pytest.raises(DefinitionError, match=r"step 's': the input of its saga is a type"):
        Saga("outer", sub_saga(SAGA)).to_yaml()


def test_after_a_crash_the_input_has_its_type(tmp_path):
    path = tmp_path / "journal.db"
    events = simulate(SAGA, ORDER).events
    with Engine(path, sagas=[SAGA]) as engine:
        engine.journal.append([(events[0].execution_id, 0, events[:2])])
    with Engine(path) as engine:
        (recovered,) = engine.recover(SAGA)
    assert recovered.results == {"charge": "Order"}
    assert recovered.input == ORDER
    assert resume(SAGA, events[:2]).input == ORDER
    journal = SqliteJournal(path, read_only=True)
    assert journal.read(recovered.id)[0].input == {"amount": "9.90", "teapots": 1}
    journal.close()


def test_a_stored_input_that_is_not_of_the_type_now_is_refused_when_it_goes_on():
    events = simulate(Saga("s", step(charge)), {"weight": 1}).events[:2]
    with pytest.raises(CodecError, match="saga 's': its stored input is not the declared Order"):
        resume(SAGA, events)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_the_same_id_with_an_input_that_only_looks_the_same_is_refused(where, tmp_path):
    def look():
        pass

    saga = Saga("plain", step(look))
    with Engine(None if where == "memory" else tmp_path / "journal.db") as engine:
        engine.run(SAGA, ORDER, id="order")
        assert engine.run(SAGA, {"amount": "9.90"}, id="order").input == ORDER  # the same one
        with pytest.raises(ConflictError):
            engine.run(SAGA, Order(Decimal("9.8")), id="order")
        engine.run(saga, {"b": [1], "a": None}, id="one")
        engine.run(saga, {"a": None, "b": [1]}, id="one")
        for other in (1.0, True):
            with pytest.raises(ConflictError, match="another input"):
                engine.run(saga, {"b": [other], "a": None}, id="one")


# -- errors of what is large ----------------------------------------------------------------


def nested(depth, innermost, name="in_a_part_with_a_long_name"):
    for _ in range(depth):
        innermost = {name: [innermost]}
    return innermost


def endless():
    ring = {"first": []}
    ring["first"].append(ring)
    return ring


@pytest.mark.parametrize("make", [endless, lambda: {"order": nested(30, object())}])
def test_an_error_in_what_is_nested_deeply_is_read_at_a_glance(make):
    with pytest.raises(InputError) as caught:
        simulate(Saga("s", step(charge)), make())
    execution = simulate(Saga("s", step(make, name="make")))
    assert execution.status == "compensated"
    for text in (str(caught.value), execution.error.message):
        assert len(text) < 400
        assert "['first'][0]" in text or "['order']['in_a" in text  # where it begins
        assert "…" in text
        assert "contains itself" in text or "[0] is of type object" in text  # and where it ends


def test_what_a_schema_says_of_a_large_input_is_read_at_a_glance():
    saga = Saga("s", step(charge), input={"type": "object", "properties": {"n": {"type": "null"}}})
    with pytest.raises(InputError, match=r"\$\.n: .*….* is not of type 'null'") as caught:
        simulate(saga, {"n": list(range(10_000))})
    assert len(str(caught.value)) < 500
