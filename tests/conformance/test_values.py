"""Rule 10: what a step returned is what the journal can give back, in every driver."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any, TypedDict

import attrs
import msgspec
import pytest
from world import World

from sagakit import Saga, StepContext, for_each, step, sub_saga
from sagakit.errors import InputError


@dataclasses.dataclass(frozen=True)
class Receipt:
    number: int
    amount: Decimal


@attrs.frozen
class Parcel:
    weight: float
    labels: list[str]


class Seat(msgspec.Struct, frozen=True):
    row: int
    letter: str


class Colour(enum.Enum):
    RED = "red"


NOW = datetime.datetime(2026, 11, 23, 6, 13, tzinfo=datetime.UTC)
VALUES: list[tuple[Any, Any]] = [
    (Decimal("12.50"), Decimal),
    (NOW, datetime.datetime),
    (NOW.date(), datetime.date),
    (datetime.timedelta(days=30), datetime.timedelta),
    (uuid.UUID(int=7), uuid.UUID),
    (Colour.RED, Colour),
    (Receipt(1, Decimal("9.99")), Receipt),
    (Parcel(1.5, ["fragile"]), Parcel),
    (Seat(3, "C"), Seat),
    ((1, "a"), tuple[int, str]),
    ({1, 2}, set[int]),
    (b"\x00\xff", bytes),
    ({1: Decimal("2.5")}, dict[int, Decimal]),
    ([Receipt(1, Decimal(0))], list[Receipt]),
    (None, Receipt | None),
    ({"plain": [1, 2.5, "x", None, True]}, Any),
    ("ünïcode", str),
    (2**63 - 1, int),
    (3.5, float),
]


@pytest.mark.parametrize(("value", "kind"), VALUES, ids=[repr(value)[:30] for value, _ in VALUES])
def test_an_annotated_result_comes_back_equal_and_of_its_type(drive, value, kind):
    seen = []

    def give():
        return value

    give.__annotations__["return"] = kind

    def take(ctx):
        seen.append(ctx.results["give"])

    execution = drive(Saga("s", step(give), step(take)))
    assert execution.status == "completed", execution.error
    assert seen == [value]
    assert type(seen[0]) is type(value)
    assert execution.results["give"] == value


@pytest.mark.parametrize(
    "value",
    [
        Decimal(1),
        {"at": NOW},
        [Receipt(1, Decimal(1))],
        Colour.RED,
        float("nan"),
        {1: 2},
        2**70,
        {1, 2},
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unannotated_result_that_would_change_is_refused_and_its_effect_undone(drive, value):
    world = World()

    def give():
        return value

    saga = Saga("s", world.step("a"), step(give, world.action("undo give")), world.step("c"))
    execution = drive(saga)
    assert execution.status == "compensated"
    assert world.calls == ["a", "undo give", "undo a"]
    assert "saga 's': step 'give' returned" in execution.error.message
    assert "annotate" in execution.error.message


def test_a_result_that_is_not_what_its_annotation_says_is_refused(drive):
    def give() -> int:
        return "seven"  # type: ignore[return-value]

    execution = drive(Saga("s", step(give)))
    assert execution.status == "compensated"
    assert "annotated int" in execution.error.message


def test_an_unannotated_tuple_is_a_list_at_once_not_only_after_a_crash(drive):
    seen = []
    execution = drive(
        Saga(
            "s",
            step(lambda: (1, 2), name="give"),
            step(lambda ctx: seen.append(ctx.results["give"]), name="take"),
        )
    )
    assert execution.status == "completed"
    assert seen == [[1, 2]]


class Line(msgspec.Struct, frozen=True):
    sku: str
    price: Decimal


@dataclasses.dataclass(frozen=True)
class Order:
    amount: Decimal
    due: datetime.date
    lines: list[Line]
    colour: Colour = Colour.RED


@attrs.frozen
class Trip:
    id: uuid.UUID
    at: datetime.datetime


class Booking(TypedDict):
    seat: Seat
    price: Decimal


ORDER = Order(Decimal("9.90"), NOW.date(), [Line("tea", Decimal("4.95"))])
INPUTS: list[tuple[Any, Any]] = [
    (ORDER, Order),
    (Trip(uuid.UUID(int=7), NOW), Trip),
    (Seat(3, "C"), Seat),
    ({"seat": Seat(3, "C"), "price": Decimal("1.10")}, Booking),
    ({1: Decimal("2.5")}, dict[int, Decimal]),
    (None, Seat | None),
    (Colour.RED, Colour),
]


@pytest.mark.parametrize(("value", "kind"), INPUTS, ids=[repr(value)[:30] for value, _ in INPUTS])
def test_an_input_is_of_its_declared_type_in_every_action(drive, value, kind):
    seen = []
    look = [step(lambda ctx: seen.append(ctx.input), name=name) for name in "ab"]
    saga = Saga("s", *look, input=kind)
    execution = drive(saga, value)
    assert execution.status == "completed", execution.error
    assert seen == [value, value]
    assert type(seen[0]) is type(value)
    assert execution.input == value
    assert type(execution.input) is type(value)


def test_plain_data_that_fits_becomes_the_declared_type(drive):
    def look(ctx: StepContext[Order]) -> Decimal:
        return ctx.input.amount

    plain = msgspec.to_builtins(ORDER)
    execution = drive(Saga("s", step(look), input=Order), plain)
    assert execution.input == ORDER
    assert execution.results["look"] == ORDER.amount


@pytest.mark.parametrize("value", [None, 7, {"amount": "much"}, Seat(1, "A")])
def test_an_input_of_another_type_is_refused_before_anything_runs(drive, value):
    world = World()
    with pytest.raises(InputError, match="saga 's': its input is not the declared Order"):
        drive(Saga("s", world.step("a"), input=Order), value)
    assert not world.calls


def test_an_input_without_a_declared_type_is_plain_data_at_once(drive):
    seen = []
    given = {
        "amount": Decimal("1.10"),
        "at": NOW,
        "id": uuid.UUID(int=7),
        "c": Colour.RED,
        "o": ORDER,
    }
    execution = drive(Saga("s", step(lambda ctx: seen.append(ctx.input), name="look")), given)
    assert execution.status == "completed", execution.error
    assert seen == [msgspec.to_builtins(given)] == [execution.input]
    assert seen[0]["amount"] == "1.10"
    assert seen[0]["o"]["lines"] == [{"sku": "tea", "price": "4.95"}]


class Tags(msgspec.Struct):
    names: frozenset[str]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        {1: 2},
        object(),
        2**70,
        {"x": [Decimal("nan"), {2: 1}]},
        {1, 2},
        {"tags": frozenset("ab"), "at": NOW},
        [Tags(frozenset("ab"))],
    ],
)
def test_an_input_that_json_has_no_form_for_is_refused(drive, value):
    world = World()
    with pytest.raises(InputError, match=r"saga 's': its input.*Saga\(input=…\)"):
        drive(Saga("s", world.step("a")), value)
    assert not world.calls


def test_the_saga_that_does_a_step_has_a_type_of_its_own_and_items_are_plain(drive):
    seen = []
    inner = Saga("inner", step(lambda ctx: seen.append(ctx.input), name="look"), input=Line)

    def first(ctx):
        return ctx.input.lines[0]

    def lines(ctx):
        return ctx.input.lines

    each = for_each("each", lines, step(lambda ctx: seen.append(ctx.input), name="look"))
    outer = Saga("outer", sub_saga(inner, input=first), each, input=Order)
    execution = drive(outer, ORDER)
    assert execution.status == "completed", execution.error
    assert seen == [Line("tea", Decimal("4.95")), {"sku": "tea", "price": "4.95"}]
