"""A hand-made call, and the steps of the checkout driven by hand."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sagakit.errors import TerminalError
from sagakit.services import CheckoutWorld

ORDER: dict[str, Any] = {
    "order_id": 1,
    "customer": "VINET",
    "ship_city": "Reims",
    "ship_country": "France",
    "shipper": "Federal Shipping",
    "lines": [{"product": 11, "quantity": 4}, {"product": 42, "quantity": 2}],
    "amount_cents": 12_345,
}
STOCK = {11: 10, 42: 5}


def order(**changes: Any) -> dict[str, Any]:
    return {**ORDER, **changes}


def call(
    step: str, data: Mapping[str, Any] = ORDER, kind: str = "action", execution: str = ""
) -> Any:
    """A ``ctx`` as a coordinator would make it; the same arguments give the same key."""
    execution = execution or f"order-{data['order_id']}"
    return SimpleNamespace(
        input=data,
        results={},
        result=None,
        execution_id=execution,
        attempt=1,
        idempotency_key=f"{execution}/{step}/{kind}",
    )


def undo(step: str, data: Mapping[str, Any] = ORDER) -> Any:
    return call(step, data, "compensation")


def check_out(world: CheckoutWorld, data: Mapping[str, Any] = ORDER) -> bool:
    """The whole checkout, forward or back; whether it completed."""
    world.order.create_order(call("create_order", data))
    world.payment.charge_payment(call("charge_payment", data))
    try:
        world.inventory.reserve_stock(call("reserve_stock", data))
    except TerminalError:
        world.payment.refund_payment(undo("charge_payment", data))
        world.order.cancel_order(undo("create_order", data))
        return False
    world.order.confirm_order(call("confirm_order", data))
    world.shipping.schedule_delivery(call("schedule_delivery", data))
    return True
