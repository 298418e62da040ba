"""The checkout with stock that is held for a time only."""

from __future__ import annotations

import itertools

import pytest
from checkout_by_hand import ORDER, STOCK, call, order, undo

from sagakit.drivers.simulated import simulate
from sagakit.errors import TerminalError
from sagakit.scenario import Scenario
from sagakit.services import CheckoutWorld

LIMIT = 900


class Clock:
    time = 0.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def world(clock):
    with CheckoutWorld(stock=STOCK, expires_after=LIMIT, now=clock) as world:
        world.order.create_order(call("create_order"))
        yield world


def units_left(world):
    return world.books(unfinished={"order-1"}).units_left


def test_a_hold_expires_then_its_compensation_arrives(world, clock):
    world.inventory.reserve_stock(call("reserve_stock"))
    clock.time = LIMIT
    assert world.inventory.participant.sweep() == 1
    assert units_left(world) == 15
    assert world.inventory.release_stock(undo("reserve_stock")) is None
    assert units_left(world) == 15


def test_a_hold_expires_then_its_confirmation_arrives(world, clock):
    world.inventory.reserve_stock(call("reserve_stock"))
    clock.time = LIMIT
    with pytest.raises(TerminalError, match=r"'order-1/reserve_stock/action': it expired before"):
        world.inventory.confirm_stock(call("confirm_stock"))
    assert units_left(world) == 15


def test_a_hold_is_confirmed_then_its_time_is_up(world, clock):
    reply = world.inventory.reserve_stock(call("reserve_stock"))
    assert world.inventory.confirm_stock(call("confirm_stock")) == reply
    clock.time = LIMIT
    assert world.inventory.participant.sweep() == 0
    assert world.inventory.confirm_stock(call("confirm_stock")) == reply
    assert units_left(world) == 9


def test_a_coordinator_that_died_does_not_keep_the_stock_from_others(world, clock):
    lines = [{"product": 42, "quantity": 5}]
    world.inventory.reserve_stock(call("reserve_stock", order(lines=lines)))
    other = order(order_id=2, lines=lines)
    clock.time = LIMIT
    world.inventory.participant.sweep()
    assert world.inventory.reserve_stock(call("reserve_stock", other))["units"] == 5


STEPS = ("create_order", "charge_payment", "reserve_stock", "confirm_stock", "confirm_order")


@pytest.mark.parametrize("fault", ["fail", "lose_reply", "time_out"])
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("in_time", [True, False], ids=["in time", "too late"])
def test_any_single_fault_with_or_without_expiry_ends_with_balanced_books(name, fault, in_time):
    ticks = itertools.count(step=LIMIT / 10 if in_time else LIMIT)  # each look takes so long
    with CheckoutWorld(stock=STOCK, expires_after=LIMIT, now=lambda: next(ticks)) as world:
        scenario = getattr(Scenario(), fault)(name)
        execution = simulate(world.saga, ORDER, scenario=scenario)
        assert execution.status in ("completed", "compensated")
        assert in_time or execution.status == "compensated"
        world.inventory.participant.sweep()
        books = world.books()
    assert books.problems == ()
    assert books.confirmed == (execution.status == "completed")


def test_without_a_limit_the_saga_is_what_it_was():
    with CheckoutWorld(stock=STOCK) as world:
        assert [step.name for step in world.saga.steps] == [
            "create_order", "charge_payment", "reserve_stock", "confirm_order", "schedule_delivery",
        ]  # fmt: skip
    with CheckoutWorld(stock=STOCK, expires_after=LIMIT) as world:
        names = [step.name for step in world.saga.steps]
        assert names.index("confirm_stock") + 1 == names.index("confirm_order")
        assert simulate(world.saga, ORDER).status == "completed"
        assert world.books().balanced
