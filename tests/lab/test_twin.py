"""The checkout world in memory answers as the one with four databases does."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from sagakit import Scenario, simulate
from sagakit.lab import explore
from sagakit.lab.faults import single_faults
from sagakit.lab.twin import ORDER, Twin
from sagakit.services import CheckoutWorld

STOCK = {11: 22, 42: 26}


def told(execution: Any) -> list[str]:
    return [f"{type(event).__name__} {getattr(event, 'step', '')}" for event in execution.events]


@pytest.mark.parametrize(
    "scenario", list(single_faults(Twin(confirms_stock=True).saga, ORDER)), ids=str
)
def test_it_ends_as_the_real_world_does(scenario: Scenario) -> None:
    twin = Twin(STOCK, confirms_stock=True)
    mine = simulate(twin.saga, ORDER, scenario=scenario, id="order-1")
    with CheckoutWorld(stock=STOCK, expires_after=1e9) as world:
        real = simulate(world.saga, ORDER, scenario=scenario, id="order-1")
        books = world.books(unfinished={"order-1"} if real.status == "stuck" else ())
    assert mine.status == real.status
    assert told(mine) == told(real)
    assert mine.results == real.results
    assert twin.books().balanced == books.balanced
    assert sum(twin.shelf.values()) == books.units_left
    kept = sum(cents if kind == "charge" else -cents for _, kind, cents in twin.entries.values())
    assert kept == books.kept_cents
    assert len(twin.deliveries) == books.deliveries


def test_their_sagas_are_shaped_alike() -> None:
    with CheckoutWorld(stock=STOCK) as world:
        real, mine = world.saga, Twin(STOCK).saga
        assert [s.name for s in real.steps] == [s.name for s in mine.steps]
        assert [(s.retry, s.timeout, s.service) for s in real.steps] == [
            (s.retry, s.timeout, s.service) for s in mine.steps
        ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"lines": [{"product": 7, "quantity": 1}]}, "product 7 is not in the inventory"),
        ({"lines": [{"product": 11, "quantity": 23}]}, "23 units asked, 22 available"),
    ],
)
def test_what_the_shelf_lacks_is_refused(change: dict[str, Any], problem: str) -> None:
    twin = Twin(STOCK)
    execution = simulate(twin.saga, {**ORDER, **change})
    assert execution.status == "compensated"
    assert problem in execution.error.message
    assert twin.books().balanced


def test_books_that_contradict_each_other_say_where() -> None:
    twin = Twin(STOCK)
    simulate(twin.saga, ORDER, id="order-1")
    del twin.deliveries[0]
    twin.shelf[11] -= 1
    twin.entries[1] = (10248, "charge", 44000)
    assert twin.books().problems == (
        "order 10248 (confirmed): 88000 cents were kept",
        "order 10248 (confirmed): 0 deliveries",
        "product 11: 9 left of 22, 12 held",
    )
    assert twin.charges() == {10248: 2}


def test_the_real_world_can_be_explored_too() -> None:
    def fresh() -> CheckoutWorld:
        return CheckoutWorld(stock=STOCK, expires_after=1e9)

    real = explore(lambda world: world.saga, ORDER, world=fresh, faults=1)
    twin = Twin(STOCK, confirms_stock=True)
    mine = explore(twin.saga, ORDER, world=twin.fresh, faults=1)
    assert real.holds
    assert mine.holds
    assert (real.explored, real.statuses, real.matrix) == (
        mine.explored,
        mine.statuses,
        mine.matrix,
    )
