"""The input schema that an entity gives, and a saga that takes it."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from sagakit import InputError, Saga, Simulated, simulate, step
from sagakit.entities import FIELD_TYPES, DataModel, Entity, Field, Relation
from sagakit.errors import DefinitionError

from .made import made
from .shop import shop

ID = Field("id", key=True)
ORDER: dict[str, Any] = {
    "id": "2f1c1d5e-8d0a-4b6e-9a52-5d0c9c6f3c11",
    "placed_at": "2026-11-30T09:00:00Z",
    "total": "12.50",
    "customer_id": "ALFKI",
    "lines": [{"id": 1, "quantity": 2, "product_sku": "tea"}],
}


def orders() -> Saga:
    return Saga("orders", step(Simulated("book"), name="book"), input=shop().input_schema())


def test_a_saga_takes_the_schema_and_its_input() -> None:
    assert simulate(orders(), ORDER).status == "completed"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"total": 12.5}, "$.total: 12.5 is not of type 'string'"),
        ({"total": "12.505050"}, "$.total: '12.505050' does not match"),
        ({"customer": "ALFKI"}, "('customer' was unexpected)"),
        ({"lines": [{"id": 1, "quantity": 2, "product_sku": "tea", "order_id": "x"}]},
         "$.lines[0]: Additional properties are not allowed ('order_id' was unexpected)"),
        ({"lines": [{"id": 1, "quantity": "two", "product_sku": "tea"}]},
         "$.lines[0].quantity: 'two' is not of type 'integer'"),
    ],
)  # fmt: skip
def test_an_input_that_does_not_fit_is_refused_with_its_place(
    change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        simulate(orders(), ORDER | change)
    assert said in str(caught.value)


def test_optional_fields_may_be_left_out_or_null_and_others_not() -> None:
    assert simulate(orders(), ORDER | {"note": None}).status == "completed"
    with pytest.raises(InputError, match="'total' is a required property"):
        simulate(orders(), {key: ORDER[key] for key in ORDER if key != "total"})


def test_each_service_s_entity_has_the_keys_of_what_belongs_elsewhere() -> None:
    customer = shop().input_schema("Customer")
    assert customer["properties"]["orders"] == {
        "type": "array", "items": {"type": "string", "format": "uuid"}
    }  # fmt: skip
    product = shop().input_schema("Product")
    tags = product["properties"]["tags"]["items"]
    assert (tags["required"], product["required"]) == (["word", "since"], ["sku", "price"])
    assert product["$defs"]["Product.parts"]["properties"]["parts"]["items"] == {
        "$ref": "#/$defs/Product.parts"
    }
    assert product["properties"]["part_of_sku"] == {"type": ["string", "null"]}


def test_what_people_are_told_is_in_the_schema() -> None:
    schema = shop().input_schema()
    assert (schema["title"], schema["description"]) == ("Order", "What a customer wants.")
    assert schema["properties"]["total"]["description"] == "In euro, taxes included."


@pytest.mark.parametrize("seed", range(25))
def test_models_at_random_give_a_schema_of_2020_12(seed: int) -> None:
    jsonschema.Draft202012Validator.check_schema(made(seed).input_schema())


def test_every_type_of_field_has_values_that_fit_and_others_that_do_not() -> None:
    fits = {
        "text": ("a", 1), "integer": (1, 1.5), "number": (1.5, "1"), "money": ("-0.10", "1,5"),
        "boolean": (True, 1), "date": ("2026-11-30", 3), "time": ("13:45:00", 3),
        "datetime": ("2026-11-30T13:45:00Z", 3), "uuid": ("7", 7),
    }  # fmt: skip
    assert fits.keys() | {"json"} == FIELD_TYPES.keys()
    for name, (good, bad) in fits.items():
        schema = DataModel((Entity("A", fields=(ID, Field("f", name))),)).input_schema("A")
        valid = jsonschema.Draft202012Validator(schema).is_valid
        assert valid({"id": "i", "f": good})
        assert not valid({"id": "i", "f": bad})


def test_an_input_that_nobody_named_is_refused() -> None:
    with pytest.raises(DefinitionError, match="names no input; set its 'input' to an entity"):
        DataModel((Entity("A", fields=(ID,)),)).input_schema()
    with pytest.raises(DefinitionError, match="has no entity 'B'; known are A"):
        DataModel((Entity("A", fields=(ID,)),)).input_schema("B")


def test_a_row_need_not_say_who_it_needs_first_where_that_is_a_circle() -> None:
    boss = Relation("boss", "Person")
    schema = DataModel((Entity("Person", fields=(ID,), relations=(boss,)),)).input_schema("Person")
    assert schema["required"] == ["id"]
