"""The process that is killed while it fulfils orders: it waits for their approval, pays in a saga
of its own, reserves line by line, and ships in another saga behind the pivot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kill_child import KillingJournal

from sagakit import Engine, Saga, await_event, for_each, pivot, step, sub_saga, timer
from sagakit.services import CheckoutWorld

STOCK = {1: 10, 2: 100}
PATIENCE = 0.05  # seconds that an order waits for its approval


def _order(number: int, last: int) -> dict[str, Any]:
    return {
        "order_id": number,
        "customer": "C1",
        "ship_city": "Reims",
        "ship_country": "France",
        "shipper": "Speedy Express",
        "lines": [
            {"product": 2, "quantity": 3},
            {"product": 2, "quantity": 1},
            {"product": 1, "quantity": last},
        ],
        "amount_cents": 1000 + number,
    }


# By what becomes of them, killed or not: the second asks for more than there is, and for the
# third nobody answers.
ORDERS = {"bought": _order(1, 2), "short": _order(2, 11), "unanswered": _order(3, 1)}
APPROVED = ["bought", "short"]


def number_of(ctx: Any) -> str:
    return str(ctx.input["order_id"])


def lines_of(ctx: Any) -> list[dict[str, Any]]:
    """What the inventory is asked for, one line at a time."""
    order = ctx.input
    return [{"order_id": order["order_id"], "lines": [line]} for line in order["lines"]]


def fulfilment(world: CheckoutWorld) -> Saga:
    order, payment, inventory = world.order, world.payment, world.inventory
    pay = Saga("pay", step(payment.charge_payment, payment.refund_payment), timer("clear", 0.01))
    ship = Saga("ship", timer("pack", 0.01), step(world.shipping.schedule_delivery))
    reserve = step(inventory.reserve_stock, inventory.release_stock)
    return Saga(
        "fulfilment",
        step(order.create_order, order.cancel_order),
        await_event("approved", correlate=number_of, timeout=PATIENCE),
        sub_saga(pay),
        for_each("lines", lines_of, reserve, limit=2),
        pivot(order.confirm_order, reconcile=order.confirm_order.reconcile),
        sub_saga(ship),
    )


def work(folder: str, kill_at: int | str, after: bool) -> None:
    """Recover what is there, then fulfil every order; die at the given commit."""
    at = Path(folder)
    journal = KillingJournal(at / "journal.db", at / "acknowledged", kill_at, after)
    with CheckoutWorld(at / "services", STOCK) as world:
        saga = fulfilment(world)
        with Engine(journal, sagas=[saga], concurrency=2) as engine:
            approve(engine)
            engine.recover(saga)
            futures = [engine.start(saga, order, id=id) for id, order in ORDERS.items()]
            for future in futures:
                future.result()


def approve(engine: Engine) -> None:
    """Whoever approves cannot know what has arrived, and says it again each time."""
    for id in APPROVED:
        number = str(ORDERS[id]["order_id"])
        engine.signal("approved", "by ann", correlation=number, id=f"approval of {id}", keep=600)
