"""The payment service: a ledger in double entry, in integer cents.

Each charge or refund moves money between two accounts, the customer's and the shop's, as two
entries that sum to zero; nothing is ever changed or deleted. Nothing here forbids to charge an
order twice: that one request has one effect is the participant's work, and the books see it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.engine import Connection

from sagakit.services.call import Cents, Name
from sagakit.services.database import open_database
from sagakit.services.participant import Participant

SHOP = "shop"

tables = MetaData()
entries = Table(
    "entries",
    tables,
    Column("entry_id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False),
    Column("account", String, nullable=False),  # "shop" or "customer:VINET"
    Column("kind", String, nullable=False),  # charge or refund
    Column("cents", Integer, nullable=False),  # what the account gains; negative: what it loses
)
_ADD = insert(entries)


class ChargeRequest(msgspec.Struct, frozen=True):
    """What the payment service reads of the saga's input."""

    order_id: int
    customer: Name
    amount_cents: Cents


class PaymentService:
    """The ledger, in a database of its own (``None``: in memory)."""

    def __init__(self, path: Path | None = None) -> None:
        self.engine = open_database(path, tables)
        self.participant = Participant("payment", self.engine)
        self.charge_payment = self.participant.action(charge_payment)
        self.refund_payment = self.charge_payment.compensation(refund_payment)


def charge_payment(connection: Connection, request: ChargeRequest) -> dict[str, Any]:
    """Move the order's amount from the customer to the shop."""
    _transfer(connection, "charge", request, request.amount_cents)
    return msgspec.structs.asdict(request)


def refund_payment(connection: Connection, charge: ChargeRequest) -> dict[str, Any]:
    """Move what was charged back to the customer."""
    _transfer(connection, "refund", charge, -charge.amount_cents)
    return msgspec.structs.asdict(charge)


def _transfer(connection: Connection, kind: str, charge: ChargeRequest, cents: int) -> None:
    same = {"order_id": charge.order_id, "kind": kind}
    connection.execute(
        _ADD,
        [
            same | {"account": f"customer:{charge.customer}", "cents": -cents},
            same | {"account": SHOP, "cents": cents},
        ],
    )
