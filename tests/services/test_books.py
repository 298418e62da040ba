"""The books name every imbalance, each planted here by SQL on purpose."""

from __future__ import annotations

import pytest
from checkout_by_hand import STOCK, call, check_out, order
from sqlalchemy import text

from sagakit.services import CheckoutWorld

TOO_MUCH = [{"product": 11, "quantity": 4}, {"product": 42, "quantity": 9}]


@pytest.fixture
def world():
    """Order 1 is confirmed, order 2 cancelled."""
    with CheckoutWorld(stock=STOCK) as world:
        assert check_out(world)
        assert not check_out(world, order(order_id=2, lines=TOO_MUCH))
        yield world


def plant(world, service, *statements):
    with getattr(world, service).engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_balanced_books_count_orders_money_and_units(world):
    books = world.books()
    assert (books.confirmed, books.cancelled, books.pending, books.deliveries) == (1, 1, 0, 1)
    assert (books.charged_cents, books.refunded_cents, books.kept_cents) == (24_690, 12_345, 12_345)
    assert (books.units_opening, books.units_left, books.units_sold) == (15, 9, 6)
    assert books.units_reserved == 0
    assert books.balanced
    assert books.problems == ()


ENTRY = "INSERT INTO entries (order_id, account, kind, cents) VALUES "
HOLD = "INSERT INTO reservations (order_id, product, quantity, state) VALUES "
DELIVER = "INSERT INTO deliveries (order_id, shipper, city, country) VALUES "


@pytest.mark.parametrize(
    ("service", "statements", "problems"),
    [
        pytest.param(
            "payment",
            [ENTRY + "(1, 'customer:VINET', 'charge', -12345), (1, 'shop', 'charge', 12345)"],
            [
                "confirmed order 1 was charged 2 times, not once",
                "confirmed order 1 amounts to 12345 cents, but 24690 cents were kept",
            ],
            id="charged twice",
        ),
        pytest.param(
            "payment",
            ["DELETE FROM entries WHERE order_id = 1"],
            [
                "confirmed order 1 was charged 0 times, not once",
                "confirmed order 1 amounts to 12345 cents, but 0 cents were kept",
            ],
            id="not charged",
        ),
        pytest.param(
            "payment",
            [ENTRY + "(1, 'customer:VINET', 'refund', 100), (1, 'shop', 'refund', -100)"],
            ["confirmed order 1 amounts to 12345 cents, but 12245 cents were kept"],
            id="refunded in part",
        ),
        pytest.param(
            "payment",
            ["UPDATE entries SET cents = cents + 1 WHERE order_id = 1 AND account <> 'shop'"],
            ["the ledger entries of order 1 sum to 1 cents, not zero"],
            id="one side of an entry changed",
        ),
        pytest.param(
            "payment",
            ["DELETE FROM entries WHERE order_id = 2 AND kind = 'refund'"],
            ["order 2 (cancelled) was charged 12345 cents and refunded 0"],
            id="refund lost",
        ),
        pytest.param(
            "payment",
            [ENTRY + "(7, 'customer:X', 'charge', -5), (7, 'shop', 'charge', 5)"],
            ["order 7 (unknown to the order service) was charged 5 cents and refunded 0"],
            id="a charge without an order",
        ),
        pytest.param(
            "inventory",
            [
                "UPDATE reservations SET quantity = 3 WHERE order_id = 1 AND product = 11",
                "UPDATE products SET units_left = units_left + 1 WHERE product = 11",
            ],
            ["confirmed order 1 asked 4 units of product 11, but holds 3"],
            id="too few units held",
        ),
        pytest.param(
            "inventory",
            [
                HOLD + "(1, 42, 2, 'held')",
                "UPDATE products SET units_left = units_left - 2 WHERE product = 42",
            ],
            ["confirmed order 1 asked 2 units of product 42, but holds 4"],
            id="reserved twice",
        ),
        pytest.param(
            "inventory",
            [
                HOLD + "(2, 42, 1, 'held')",
                "UPDATE products SET units_left = units_left - 1 WHERE product = 42",
            ],
            ["order 2 (cancelled) still holds 1 units of product 42"],
            id="cancelled but held",
        ),
        pytest.param(
            "inventory",
            ["UPDATE products SET units_left = 9 WHERE product = 42"],
            ["product 42 began with 5 units, but 9 are left and 2 are held by orders"],
            id="units out of nothing",
        ),
        pytest.param(
            "shipping",
            [DELIVER + "(1, 'Speedy Express', 'Reims', 'France')"],
            ["confirmed order 1 has 2 deliveries, not one"],
            id="delivered twice",
        ),
        pytest.param(
            "shipping",
            ["DELETE FROM deliveries"],
            ["confirmed order 1 has 0 deliveries, not one"],
            id="not delivered",
        ),
        pytest.param(
            "shipping",
            [DELIVER + "(2, 'Speedy Express', 'Reims', 'France')"],
            ["order 2 (cancelled) has 1 deliveries, not none"],
            id="cancelled but delivered",
        ),
        pytest.param(
            "order",
            ["UPDATE orders SET state = 'pending' WHERE order_id = 2"],
            ["order 2 is still pending, but execution order-2 has ended"],
            id="left pending",
        ),
        pytest.param(
            "order",
            ["UPDATE orders SET amount_cents = 1 WHERE order_id = 1"],
            ["confirmed order 1 amounts to 1 cents, but 12345 cents were kept"],
            id="total changed",
        ),
    ],
)
def test_a_planted_imbalance_is_named_exactly(world, service, statements, problems):
    plant(world, service, *statements)
    books = world.books()
    assert list(books.problems) == problems
    assert not books.balanced


def test_an_order_under_way_may_be_pending_and_charged(world):
    data = order(order_id=3)
    world.order.create_order(call("create_order", data))
    world.payment.charge_payment(call("charge_payment", data))
    assert world.books(unfinished={"order-3"}).balanced
    assert not world.books().balanced
    world.inventory.reserve_stock(call("reserve_stock", data))
    books = world.books(unfinished={"order-3"})
    assert books.balanced
    assert (books.units_sold, books.units_reserved) == (6, 6)


def test_a_confirmed_order_under_way_may_wait_for_its_delivery(world):
    plant(world, "shipping", "DELETE FROM deliveries")
    assert world.books(unfinished={"order-1"}).balanced


def test_an_order_under_way_is_excused_for_nothing_else(world):
    plant(world, "payment", "DELETE FROM entries WHERE order_id = 1")
    assert not world.books(unfinished={"order-1"}).balanced
