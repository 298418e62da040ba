"""The Northwind data as checkout inputs, and what a damaged file is told."""

from __future__ import annotations

import csv
import json
import shutil
from decimal import ROUND_HALF_UP, Decimal

import pytest

from sagakit.services import northwind
from sagakit.services.northwind import NorthwindError


def rows(name):
    path = northwind.data_folder() / "northwind" / name
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(northwind.data_folder() / "northwind", tmp_path / "northwind")


def damage(copy, name, old, new):
    path = copy / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def test_all_orders_lines_products_and_shippers_are_there():
    orders = list(northwind.orders())
    assert len(orders) == 830
    assert sum(len(order["lines"]) for order in orders) == 2155
    assert len(northwind.stock()) == 77
    assert sum(northwind.stock().values()) == 3119
    assert {order["shipper"] for order in orders} == {
        "Speedy Express",
        "United Package",
        "Federal Shipping",
    }


def test_orders_come_in_the_order_of_their_numbers():
    numbers = [order["order_id"] for order in northwind.orders()]
    assert numbers == list(range(10248, 11078))


def test_an_order_is_plain_json_data():
    first = next(northwind.orders())
    assert json.loads(json.dumps(first)) == first
    assert first == {
        "order_id": 10248,
        "customer": "VINET",
        "ship_city": "Reims",
        "ship_country": "France",
        "shipper": "Federal Shipping",
        "lines": [
            {"product": 11, "quantity": 12, "unit_price_cents": 1400, "discount_percent": 0},
            {"product": 42, "quantity": 10, "unit_price_cents": 980, "discount_percent": 0},
            {"product": 72, "quantity": 5, "unit_price_cents": 3480, "discount_percent": 0},
        ],
        "amount_cents": 44_000,
    }


def test_amounts_are_exact_and_rounded_half_up_once_per_order():
    expected = {}
    for row in rows("order_lines.csv"):
        exact = Decimal(row["unit_price"]) * int(row["quantity"]) * (1 - Decimal(row["discount"]))
        expected[int(row["order_id"])] = expected.get(int(row["order_id"]), Decimal(0)) + exact
    cents = {n: int((x * 100).quantize(Decimal(1), ROUND_HALF_UP)) for n, x in expected.items()}
    assert {order["order_id"]: order["amount_cents"] for order in northwind.orders()} == cents


@pytest.mark.parametrize(
    ("price", "percent", "cents"),
    [(1, 50, 1), (1, 51, 0), (3, 50, 2), (5, 50, 3), (101, 15, 86), (100, 100, 0)],
)
def test_half_a_cent_is_rounded_up(price, percent, cents):
    line = {"product": 1, "quantity": 1, "unit_price_cents": price, "discount_percent": percent}
    assert northwind.amount_cents([line]) == cents


def test_half_cents_of_several_lines_are_added_before_they_are_rounded():
    line = {"product": 1, "quantity": 1, "unit_price_cents": 1, "discount_percent": 50}
    assert northwind.amount_cents([line, line]) == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("order_lines.csv", "10248,42,9.80,10", "10248,42,9.80,ten", r"line 3: quantity 'ten'"),
        ("order_lines.csv", "10248,42,9.80,10", "10248,42,9.801,10", r"line 3: unit_price '9.801'"),
        ("order_lines.csv", "10248,42,9.80,10", "10248,42,NaN,10", r"line 3: unit_price 'NaN'"),
        ("order_lines.csv", "10248,42,9.80,10", "10248,42,x,10", r"line 3: unit_price 'x'"),
        ("order_lines.csv", "10248,42,9.80,10", "10248,42,-9.80,10", r"line 3: unit_price"),
        ("order_lines.csv", "10248,42,9.80,10,0", "10248,42,9.80", r"line 3: 3 values under 5"),
        ("order_lines.csv", "10248,42", "99,42", r"line 3: order_id '99' is not an order in"),
        ("order_lines.csv", "quantity", "amount", r"line 1: no column quantity"),
        ("orders.csv", "16,3,32.38", "16,9,32.38", r"line 2: shipper_id '9' is not a shipper"),
        ("orders.csv", "10248,VINET", "1,VINET", r"order_lines.csv, line 2: order_id '10248' is"),
        ("orders.csv", "10248,VINET", "10248,", r"line 2: customer_id '' is empty"),
        ("shippers.csv", "shipper_id", "id", r"line 1: no column shipper_id"),
        ("products.csv", ",39,0", ",-39,0", r"line 2: units_in_stock '-39' is below zero"),
        ("products.csv", "Chai", '"Chai', r"products.csv, line \d+"),
    ],
)
def test_a_damaged_file_is_named_with_line_and_cure(copy, name, old, new, message):
    damage(copy, name, old, new)
    with pytest.raises(NorthwindError, match=message) as caught:
        (list(northwind.orders(copy)), northwind.stock(copy))
    assert str(copy) in str(caught.value)
    assert "restore the file" in str(caught.value)


@pytest.mark.parametrize("name", ["orders.csv", "order_lines.csv", "shippers.csv"])
def test_a_missing_file_is_named_with_its_cure(copy, name):
    (copy / name).unlink()
    with pytest.raises(NorthwindError, match=rf"{name} is not there; restore the file"):
        list(northwind.orders(copy))


def test_a_file_in_another_encoding_is_named(copy):
    path = copy / "products.csv"
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    with pytest.raises(NorthwindError, match=r"products\.csv, byte \d+: not UTF-8"):
        northwind.stock(copy)


def test_an_order_without_lines_is_named(copy):
    damage(copy, "orders.csv", "\n10248,", "\n1,VINET,,,,3,0,Reims,France\n10248,")
    with pytest.raises(NorthwindError, match=r"line 2: order_id '1' has no line"):
        list(northwind.orders(copy))
