"""Each of the four services by itself, and the refusals it gives."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from checkout_by_hand import ORDER, STOCK, call, check_out, order, undo
from sqlalchemy import text

from sagakit.errors import TerminalError
from sagakit.services import CheckoutWorld
from sagakit.steps import Happened


@pytest.fixture(params=[False, True], ids=["in memory", "on disk"])
def world(request, tmp_path):
    with CheckoutWorld(tmp_path / "world" if request.param else None, STOCK) as world:
        yield world


def shelf(world: CheckoutWorld) -> dict[int, int]:
    with world.inventory.engine.begin() as connection:
        rows = connection.execute(text("SELECT product, units_left FROM products")).all()
    return {row[0]: row[1] for row in rows}


def test_every_result_survives_json_unchanged(world):
    results = [
        world.order.create_order(call("create_order")),
        world.payment.charge_payment(call("charge_payment")),
        world.inventory.reserve_stock(call("reserve_stock")),
        world.inventory.release_stock(undo("reserve_stock")),
        world.payment.refund_payment(undo("charge_payment")),
        world.order.cancel_order(undo("create_order")),
        world.shipping.schedule_delivery(call("schedule_delivery")),
    ]
    assert json.loads(json.dumps(results)) == results
    assert results[1] == {"order_id": 1, "customer": "VINET", "amount_cents": 12_345}


def test_an_order_number_can_be_used_once(world):
    world.order.create_order(call("create_order"))
    with pytest.raises(TerminalError, match=r"order 1 exists already \(pending\)"):
        world.order.create_order(call("create_order", execution="another"))
    world.order.cancel_order(undo("create_order"))
    with pytest.raises(TerminalError, match=r"exists already \(cancelled\)"):
        world.order.create_order(call("create_order", execution="a third"))


def test_an_order_that_is_confirmed_cannot_be_cancelled(world):
    world.order.create_order(call("create_order"))
    world.order.confirm_order(call("confirm_order"))
    with pytest.raises(TerminalError, match="order 1 cannot become cancelled: it is confirmed"):
        world.order.cancel_order(undo("create_order"))


def test_an_order_that_is_cancelled_or_missing_cannot_be_confirmed(world):
    with pytest.raises(TerminalError, match="order 1 cannot become confirmed: it is not there"):
        world.order.confirm_order(call("confirm_order"))
    world.order.create_order(call("create_order"))
    world.order.cancel_order(undo("create_order"))
    with pytest.raises(TerminalError, match="cannot become confirmed: it is cancelled"):
        world.order.confirm_order(call("confirm_order", execution="another"))


def test_the_confirmation_in_doubt_is_answered_and_fenced(world):
    world.order.create_order(call("create_order"))
    assert world.order.confirm_order.reconcile(call("confirm_order")) is False
    with pytest.raises(TerminalError, match="refuses the late action 'order-1/confirm_order"):
        world.order.confirm_order(call("confirm_order"))
    reply = world.order.confirm_order(call("confirm_order", execution="another"))
    assert world.order.confirm_order.reconcile(
        call("confirm_order", execution="another")
    ) == Happened(reply)


def test_a_reservation_takes_all_lines_of_an_order(world):
    reply = world.inventory.reserve_stock(call("reserve_stock"))
    assert reply == {"order_id": 1, "units": 6}
    assert shelf(world) == {11: 6, 42: 3}


def test_a_lack_of_one_product_takes_nothing_and_names_it(world):
    lines = [{"product": 11, "quantity": 4}, {"product": 42, "quantity": 6}]
    with pytest.raises(TerminalError, match="product 42: 6 units asked, 5 available"):
        world.inventory.reserve_stock(call("reserve_stock", order(lines=lines)))
    assert shelf(world) == STOCK


def test_two_lines_of_one_product_are_counted_together(world):
    lines = [{"product": 42, "quantity": 3}, {"product": 42, "quantity": 3}]
    with pytest.raises(TerminalError, match="product 42: 6 units asked, 5 available"):
        world.inventory.reserve_stock(call("reserve_stock", order(lines=lines)))


def test_a_product_nobody_knows_is_refused_by_name(world):
    lines = [{"product": 99, "quantity": 1}]
    with pytest.raises(TerminalError, match="product 99 is not in the inventory"):
        world.inventory.reserve_stock(call("reserve_stock", order(lines=lines)))


def test_a_release_puts_back_exactly_what_was_held(world):
    world.inventory.reserve_stock(call("reserve_stock"))
    world.inventory.reserve_stock(call("reserve_stock", order(order_id=2)))
    world.inventory.release_stock(undo("reserve_stock"))
    world.inventory.release_stock(undo("reserve_stock"))
    assert shelf(world) == {11: 6, 42: 3}


def test_orders_racing_for_the_last_units_never_take_more_than_there_are(world):
    def reserve(number):
        lines = [{"product": 11, "quantity": 3}]
        try:
            world.inventory.reserve_stock(
                call("reserve_stock", order(order_id=number, lines=lines))
            )
        except TerminalError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(reserve, range(16))) == 3
    assert shelf(world)[11] == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount_cents": 123.45}, "amount_cents"),
        ({"amount_cents": "123"}, "amount_cents"),
        ({"amount_cents": 0}, "amount_cents"),
        ({"customer": ""}, "customer"),
        ({"lines": [{"product": 11, "quantity": 0}]}, "quantity"),
    ],
)
def test_an_input_that_cannot_be_right_is_refused_with_the_field_named(world, changes, named):
    with pytest.raises(
        TerminalError, match=rf"service 'order' cannot read the request of.*{named}"
    ):
        world.order.create_order(call("create_order", order(**changes)))


def test_an_input_that_lacks_a_field_is_refused_with_the_field_named(world):
    data = {name: value for name, value in ORDER.items() if name != "shipper"}
    with pytest.raises(TerminalError, match=r"service 'shipping'.*`shipper`"):
        world.shipping.schedule_delivery(call("schedule_delivery", data))


@pytest.mark.parametrize("data", [None, 7, "order 7", [1, 2]])
def test_an_input_that_is_no_order_at_all_is_refused(world, data):
    with pytest.raises(
        TerminalError,
        match="service 'payment' cannot read the request of 'charge_payment': Expected",
    ):
        world.payment.charge_payment(call("charge_payment", data, execution="odd"))


def test_a_delivery_refused_for_its_address_can_be_retried_with_the_same_key(world):
    with pytest.raises(TerminalError):
        world.shipping.schedule_delivery(call("schedule_delivery", order(ship_city="")))
    reply = world.shipping.schedule_delivery(call("schedule_delivery"))
    assert reply == {
        "order_id": 1,
        "shipper": "Federal Shipping",
        "city": "Reims",
        "country": "France",
    }


def test_every_step_delivered_twice_has_one_effect(world):
    assert check_out(world)
    before = world.books()
    assert check_out(world)
    assert world.books() == before
    assert before.balanced


def test_money_in_the_ledger_is_whole_cents_on_two_accounts(world):
    world.payment.charge_payment(call("charge_payment"))
    with world.payment.engine.begin() as connection:
        rows = connection.execute(text("SELECT account, cents, typeof(cents) FROM entries")).all()
    assert {tuple(row) for row in rows} == {
        ("customer:VINET", -12_345, "integer"),
        ("shop", 12_345, "integer"),
    }
