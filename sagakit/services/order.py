"""The order service: an order is pending until it is confirmed or cancelled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
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
from sagakit.services.call import Call, Cents, Line, Name
from sagakit.services.database import open_database
from sagakit.services.participant import Participant

tables = MetaData()
orders = Table(
    "orders",
    tables,
    Column("order_id", Integer, primary_key=True, autoincrement=False),
    Column("execution_id", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("amount_cents", Integer, nullable=False),
    Column("state", String, nullable=False),  # pending, confirmed or cancelled
)
order_lines = Table(
    "order_lines",
    tables,
    Column("line_id", Integer, primary_key=True),
    Column("order_id", ForeignKey("orders.order_id"), nullable=False),
    Column("product", Integer, nullable=False),
    Column("quantity", Integer, nullable=False),
)
_ADD = insert(orders)
_ADD_LINES = insert(order_lines)
_STATE = select(orders.c.state).where(orders.c.order_id == bindparam("id"))
_MOVE = (
    update(orders)
    .where(orders.c.order_id == bindparam("id"), orders.c.state == "pending")
    .values(state=bindparam("to"))
)


class OrderRequest(msgspec.Struct, frozen=True):
    """What the order service reads of the saga's input."""

    order_id: int
    customer: Name
    amount_cents: Cents
    lines: tuple[Line, ...]


class OrderId(msgspec.Struct, frozen=True):
    """All that confirming or cancelling an order needs to know."""

    order_id: int


class OrderService:
    """Orders and their lines, in a database of their own (``None``: in memory)."""

    def __init__(self, path: Path | None = None) -> None:
        self.engine = open_database(path, tables)
        self.participant = Participant("order", self.engine)
        self.create_order = self.participant.action(create_order)
        self.cancel_order = self.create_order.compensation(cancel_order)
        self.confirm_order = self.participant.action(confirm_order)


def create_order(connection: Connection, request: OrderRequest, ctx: Call) -> dict[str, Any]:
    """Store the order as pending; ``TerminalError`` when its number is taken."""
    order_id = request.order_id
    state = _state(connection, order_id)
    if state is not None:
        raise TerminalError(
            f"order {order_id} exists already ({state}); give a new order its own number"
        )
    head = msgspec.structs.asdict(request) | {"execution_id": ctx.execution_id}
    lines = [{"order_id": order_id} | msgspec.structs.asdict(line) for line in head.pop("lines")]
    connection.execute(_ADD, head | {"state": "pending"})
    if lines:
        connection.execute(_ADD_LINES, lines)
    return {"order_id": order_id, "state": "pending"}


def cancel_order(connection: Connection, order: OrderId) -> dict[str, Any]:
    """Cancel a pending order; ``TerminalError`` when it was confirmed."""
    return _move(connection, order.order_id, "cancelled")


def confirm_order(connection: Connection, order: OrderId) -> dict[str, Any]:
    """The pivot: from here the order is not taken back."""
    return _move(connection, order.order_id, "confirmed")


def _state(connection: Connection, order_id: int) -> str | None:
    return connection.execute(_STATE, {"id": order_id}).scalar_one_or_none()


def _move(connection: Connection, order_id: int, state: str) -> dict[str, Any]:
    """From pending to ``state``, or a refusal that says what stands in the way."""
    if connection.execute(_MOVE, {"id": order_id, "to": state}).rowcount != 1:
        found = _state(connection, order_id)
        raise TerminalError(
            f"order {order_id} cannot become {state}: it "
            + (f"is {found}" if found else "is not there")
        )
    return {"order_id": order_id, "state": state}
