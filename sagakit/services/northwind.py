"""The Northwind orders as inputs of the checkout saga: 830 orders, 2155 lines, 77 products."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from sagakit.errors import SagaError
from sagakit.packaged import data_places

_CURE = "restore the file from the sagakit repository, or install sagakit again"
_CENT = Decimal("0.01")
_COLUMNS = {
    "orders.csv": ("order_id", "customer_id", "shipper_id", "ship_city", "ship_country"),
    "order_lines.csv": ("order_id", "product_id", "unit_price", "quantity", "discount"),
    "products.csv": ("product_id", "units_in_stock"),
    "shippers.csv": ("shipper_id", "company_name"),
}


class NorthwindError(SagaError):
    """The data is missing or malformed; the message names the file, the line and the cure."""


def data_folder() -> Path:
    """The folder ``data``: inside the installed package, or beside it in a checkout.

    Raises:
        NorthwindError: it is in neither place.
    """
    places = data_places("northwind")
    for place in places:
        if place.is_dir():
            return place.parent
    looked = " and ".join(map(str, places))
    raise NorthwindError(f"the Northwind data is not there: looked in {looked}; {_CURE}")


def stock(folder: Path | None = None) -> dict[int, int]:
    """Units in stock per product id.

    Parameters:
        folder: holds the CSV files; ``data_folder() / "northwind"`` when left out.

    Raises:
        NorthwindError: ``products.csv`` is missing or malformed.
    """
    table = _table(folder, "products.csv")
    return {row.whole("product_id"): row.whole("units_in_stock") for row in table}


def orders(folder: Path | None = None) -> Iterator[dict[str, Any]]:
    """The orders, in the order of their numbers, as plain JSON data.

    Each is ``{"order_id", "customer", "ship_city", "ship_country", "shipper", "lines",
    "amount_cents"}``; a line is ``{"product", "quantity", "unit_price_cents",
    "discount_percent"}``, all integers. ``amount_cents`` is the sum of the lines less their
    discounts, computed exactly and rounded half up once, per order.

    Parameters:
        folder: holds the CSV files; ``data_folder() / "northwind"`` when left out.

    Raises:
        NorthwindError: a file is missing or malformed, or names what another lacks.
    """
    heads = list(_table(folder, "orders.csv"))
    shippers = {
        row.whole("shipper_id"): row.text("company_name") for row in _table(folder, "shippers.csv")
    }
    lines: defaultdict[int, list[dict[str, int]]] = defaultdict(list)
    numbers = {row.whole("order_id") for row in heads}
    for row in _table(folder, "order_lines.csv"):
        order_id = row.whole("order_id")
        if order_id not in numbers:
            raise row.error("order_id", "is not an order in orders.csv")
        lines[order_id].append(_line(row))
    for row in sorted(heads, key=lambda row: row.whole("order_id")):
        shipper = shippers.get(row.whole("shipper_id"))
        if shipper is None:
            raise row.error("shipper_id", "is not a shipper in shippers.csv")
        order_id = row.whole("order_id")
        if order_id not in lines:
            raise row.error("order_id", "has no line in order_lines.csv")
        yield {
            "order_id": order_id,
            "customer": row.text("customer_id"),
            "ship_city": row.text("ship_city"),
            "ship_country": row.text("ship_country"),
            "shipper": shipper,
            "lines": lines[order_id],
            "amount_cents": amount_cents(lines[order_id]),
        }


def amount_cents(lines: list[dict[str, int]]) -> int:
    """What the lines cost less their discounts, in cents, rounded half up once for all."""
    exact = sum(
        (
            Decimal(line["unit_price_cents"] * line["quantity"] * (100 - line["discount_percent"]))
            for line in lines
        ),
        Decimal(0),
    )
    return int((exact / 100).quantize(Decimal(1), ROUND_HALF_UP))


def _line(row: _Row) -> dict[str, int]:
    return {
        "product": row.whole("product_id"),
        "quantity": row.whole("quantity"),
        "unit_price_cents": row.hundredths("unit_price"),
        "discount_percent": row.hundredths("discount"),
    }


# -- reading CSV with the file and line at hand ---------------------------------------------

_T = TypeVar("_T")


class _Row:
    """One line of a file; every complaint names the file, the line and the column."""

    def __init__(self, path: Path, number: int, values: dict[str, str]) -> None:
        self._place = f"{path}, line {number}"
        self._values = values

    def error(self, column: str, what: str) -> NorthwindError:
        value = self._values.get(column)
        return NorthwindError(f"{self._place}: {column} {value!r} {what}; {_CURE}")

    def text(self, column: str) -> str:
        value = self._values[column].strip()
        if not value:
            raise self.error(column, "is empty")
        return value

    def whole(self, column: str) -> int:
        number = self._number(column, int, "is not a whole number")
        if number < 0:
            raise self.error(column, "is below zero")
        return number

    def hundredths(self, column: str) -> int:
        """A decimal number with at most two places, times 100."""
        number = self._number(column, Decimal, "is not a decimal number")
        if not number.is_finite() or number < 0 or number != number.quantize(_CENT):
            raise self.error(column, "is not a number from 0 up with at most two decimal places")
        return int(number * 100)

    def _number(self, column: str, convert: Callable[[str], _T], what: str) -> _T:
        try:
            return convert(self._values[column])
        except (ValueError, InvalidOperation):
            raise self.error(column, what) from None


def _table(folder: Path | None, name: str) -> Iterator[_Row]:
    """The rows of one CSV file, after a look at its header."""
    path = (data_folder() / "northwind" if folder is None else folder) / name
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        raise NorthwindError(f"{path} is not there; {_CURE}") from None
    except UnicodeDecodeError as error:
        raise NorthwindError(f"{path}, byte {error.start}: not UTF-8 text; {_CURE}") from None
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = next(reader, [])
        missing = [column for column in _COLUMNS[name] if column not in header]
        if missing:
            raise NorthwindError(f"{path}, line 1: no column {', '.join(missing)}; {_CURE}")
        for values in reader:
            if len(values) != len(header):
                count = f"{len(values)} values under {len(header)} columns"
                raise NorthwindError(f"{path}, line {reader.line_num}: {count}; {_CURE}")
            yield _Row(path, reader.line_num, dict(zip(header, values, strict=True)))
    except csv.Error as error:
        raise NorthwindError(f"{path}, line {reader.line_num}: {error}; {_CURE}") from None
