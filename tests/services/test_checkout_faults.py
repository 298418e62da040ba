"""The checkout in virtual time: whatever single fault strikes, the books balance."""

from __future__ import annotations

import pytest
from checkout_by_hand import ORDER, STOCK, order

from sagakit.drivers.simulated import simulate
from sagakit.scenario import Scenario
from sagakit.services import CheckoutWorld

STEPS = ("create_order", "charge_payment", "reserve_stock", "confirm_order", "schedule_delivery")
FAULTS = [
    pytest.param(
        getattr(Scenario(), kind)(step, attempt), id=f"{kind} {step} {attempt or 'always'}"
    )
    for step in STEPS
    for kind in ("fail", "lose_reply", "time_out")
    for attempt in (None, 1)
    if not (step == "schedule_delivery" and attempt is None)  # retried for ever
]


@pytest.fixture
def world():
    with CheckoutWorld(stock=STOCK) as world:
        yield world


@pytest.mark.parametrize("scenario", FAULTS)
def test_any_single_fault_ends_with_balanced_books(world, scenario):
    execution = simulate(world.saga, ORDER, scenario=scenario)
    books = world.books()
    assert execution.status in ("completed", "compensated")
    assert books.problems == ()
    assert books.confirmed == (execution.status == "completed")


def test_a_lack_of_stock_gives_the_money_back(world):
    execution = simulate(world.saga, order(lines=[{"product": 42, "quantity": 6}]))
    assert execution.status == "compensated"
    assert "product 42: 6 units asked, 5 available" in str(execution.error)
    books = world.books()
    assert (books.charged_cents, books.kept_cents) == (12_345, 0)
    assert books.problems == ()


def test_a_confirmation_whose_every_reply_is_lost_is_reconciled_forward(world):
    execution = simulate(world.saga, ORDER, scenario=Scenario().lose_reply("confirm_order"))
    assert execution.status == "completed"
    assert world.books().confirmed == 1


def test_a_confirmation_that_never_arrived_is_reconciled_backward(world):
    execution = simulate(world.saga, ORDER, scenario=Scenario().time_out("confirm_order"))
    assert execution.status == "compensated"
    assert world.books().cancelled == 1


@pytest.mark.parametrize("step", STEPS[:2])
def test_a_compensation_that_gives_up_leaves_a_stuck_execution_and_says_so(world, step):
    scenario = Scenario().fail("reserve_stock").fail_compensation(step)
    execution = simulate(world.saga, ORDER, scenario=scenario)
    assert execution.status == "stuck"
    assert world.books(unfinished={execution.id}).problems == ()
    assert any("pending" in problem for problem in world.books().problems)


def test_the_same_seed_on_a_fresh_world_gives_the_same_events():
    def events():
        with CheckoutWorld(stock=STOCK) as world:
            scenario = Scenario().lose_reply("charge_payment", 1).fail("confirm_order")
            return simulate(world.saga, ORDER, scenario=scenario, seed=7).events

    assert events() == events()
