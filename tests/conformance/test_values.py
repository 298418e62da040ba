"""Rule 10: what a step returned is what the journal can give back, in every driver."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any

import attrs
import msgspec
import pytest
from world import World

from sagakit import Saga, step


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
    [Decimal(1), {"at": NOW}, [Receipt(1, Decimal(1))], Colour.RED, float("nan"), {1: 2}, 2**70],
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
