"""The inventory service: units of products, and which order holds them.

A reservation takes all lines of an order or none. Units leave the shelf when they are reserved; a
confirmed order keeps them, they are sold; a compensation puts them back. With ``expires_after``
an order that is not confirmed in time loses them, so that a coordinator that died cannot keep them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection

from sagakit.errors import TerminalError
from sagakit.services.call import Line
from sagakit.services.database import open_database
from sagakit.services.participant import Participant

tables = MetaData()
products = Table(
    "products",
    tables,
    Column("product", Integer, primary_key=True, autoincrement=False),
    Column("opening", Integer, nullable=False),  # units when the world began
    Column("units_left", Integer, CheckConstraint("units_left >= 0"), nullable=False),
)
reservations = Table(
    "reservations",
    tables,
    Column("reservation_id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False, index=True),
    Column("product", ForeignKey("products.product"), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("state", String, nullable=False),  # held or released
)
_LEFT = select(products.c.units_left).where(products.c.product == bindparam("id"))
_TAKE = (
    update(products)
    .where(products.c.product == bindparam("id"), products.c.units_left >= bindparam("units"))
    .values(units_left=products.c.units_left - bindparam("units"))
)
_PUT_BACK = (
    update(products)
    .where(products.c.product == bindparam("id"))
    .values(units_left=products.c.units_left + bindparam("units"))
)
_OF_ORDER = (reservations.c.order_id == bindparam("order")) & (reservations.c.state == "held")
_HOLD = insert(reservations)
_HELD = (
    select(reservations.c.product.label("id"), reservations.c.quantity.label("units"))
    .where(_OF_ORDER)
    .order_by(reservations.c.product)
)
_RELEASE = update(reservations).where(_OF_ORDER).values(state="released")


class ReserveRequest(msgspec.Struct, frozen=True):
    """What the inventory service reads of the saga's input."""

    order_id: int
    lines: tuple[Line, ...]


class InventoryService:
    """Stock and reservations, in a database of their own (``None``: in memory).

    Parameters:
        path: the SQLite file.
        stock: units per product to begin with; a database that has products keeps its own.
        expires_after: seconds after which the units of an order go back to the shelf unless
            ``confirm_stock`` came; ``None``: they wait for ever. ``participant.sweep()``, called
            now and then, brings back those of an order that nobody asks about any more.
        now: the time in seconds since 1970.
    """

    def __init__(
        self,
        path: Path | None,
        stock: Mapping[int, int],
        *,
        expires_after: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.engine = open_database(path, tables)
        self.participant = Participant("inventory", self.engine, now)
        self.reserve_stock = self.participant.action(reserve_stock, expires_after=expires_after)
        self.release_stock = self.reserve_stock.compensation(release_stock)
        self.confirm_stock = self.reserve_stock.confirmation(confirm_stock)
        with self.engine.begin() as connection:
            opened_before = connection.execute(select(products.c.product).limit(1)).first()
            if stock and not opened_before:
                rows = [{"product": p, "opening": n, "units_left": n} for p, n in stock.items()]
                connection.execute(insert(products), rows)


def reserve_stock(connection: Connection, request: ReserveRequest) -> dict[str, Any]:
    """Take all lines off the shelf; ``TerminalError`` when a product has too few units."""
    wanted = Counter[int]()
    for line in request.lines:
        wanted[line.product] += line.quantity
    for product, quantity in sorted(wanted.items()):  # one order for all: no deadlocks
        _take(connection, product, quantity)
    same = {"order_id": request.order_id, "state": "held"}
    rows = [same | {"product": p, "quantity": q} for p, q in sorted(wanted.items())]
    if rows:
        connection.execute(_HOLD, rows)
    return {"order_id": request.order_id, "units": wanted.total()}


def release_stock(connection: Connection, reserved: dict[str, Any]) -> dict[str, Any]:
    """Put back what the order holds."""
    order_id = reserved["order_id"]
    held = connection.execute(_HELD, {"order": order_id}).mappings().all()
    if held:
        connection.execute(_PUT_BACK, [dict(row) for row in held])
        connection.execute(_RELEASE, {"order": order_id})
    return reserved


def confirm_stock(_connection: Connection, reserved: dict[str, Any]) -> dict[str, Any]:
    """Keep what the order holds, though its time will pass; ``TerminalError`` when it has."""
    return reserved


def _take(connection: Connection, product: int, quantity: int) -> None:
    if connection.execute(_TAKE, {"id": product, "units": quantity}).rowcount == 1:
        return
    available = connection.execute(_LEFT, {"id": product}).scalar_one_or_none()
    if available is None:
        raise TerminalError(f"product {product} is not in the inventory")
    raise TerminalError(f"product {product}: {quantity} units asked, {available} available")
