"""The shipping service: a delivery is scheduled after the pivot and never taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.engine import Connection

from sagakit.services.call import Name
from sagakit.services.database import open_database
from sagakit.services.participant import Participant

tables = MetaData()
deliveries = Table(
    "deliveries",
    tables,
    Column("delivery_id", Integer, primary_key=True),
    Column("order_id", Integer, nullable=False),
    Column("shipper", String, nullable=False),
    Column("city", String, nullable=False),
    Column("country", String, nullable=False),
)
_ADD = insert(deliveries)


class DeliveryRequest(msgspec.Struct, frozen=True):
    """What the shipping service reads of the saga's input."""

    order_id: int
    shipper: Name
    ship_city: Name
    ship_country: Name


class ShippingService:
    """Deliveries, in a database of their own (``None``: in memory)."""

    def __init__(self, path: Path | None = None) -> None:
        self.engine = open_database(path, tables)
        self.participant = Participant("shipping", self.engine)
        # A refusal is not kept: nothing is undone after the pivot, so an operator who cured its
        # cause retries with the same key.
        self.schedule_delivery = self.participant.action(schedule_delivery, keep_refusal=False)


def schedule_delivery(connection: Connection, request: DeliveryRequest) -> dict[str, Any]:
    """Book the shipper for the order's address."""
    row = {
        "order_id": request.order_id,
        "shipper": request.shipper,
        "city": request.ship_city,
        "country": request.ship_country,
    }
    connection.execute(_ADD, row)
    return row
