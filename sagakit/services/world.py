"""The checkout world: four services, each with its own database, and the saga across them."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType

from sagakit.saga import Saga
from sagakit.services import northwind
from sagakit.services.books import Books, read_books
from sagakit.services.inventory import InventoryService
from sagakit.services.order import OrderService
from sagakit.services.payment import PaymentService
from sagakit.services.shipping import ShippingService
from sagakit.spec import Retry
from sagakit.steps import pivot, step

DATABASES = ("order.db", "payment.db", "inventory.db", "shipping.db")


class CheckoutWorld:
    """Order, payment, inventory and shipping.

    Parameters:
        folder: where the four SQLite files are, or will be; ``None`` keeps them in memory. A
            folder that has them continues with what they hold: it is not stocked again.
        stock: units per product to begin with; the Northwind products' when left out.
        expires_after: seconds for which the inventory holds an order's units. With a limit the
            saga has one more step, ``confirm_stock`` before the pivot; ``None``: no limit.
        now: the time in seconds since 1970, by which they expire.

    One world can serve several threads. Give each journal its own world: the services remember
    every idempotency key, so an execution id that comes again is answered from memory.
    """

    def __init__(
        self,
        folder: Path | None = None,
        stock: Mapping[int, int] | None = None,
        *,
        expires_after: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        at = [None if folder is None else folder / name for name in DATABASES]
        self.order = OrderService(at[0])
        self.payment = PaymentService(at[1])
        self.inventory = InventoryService(
            at[2],
            northwind.stock() if stock is None else stock,
            expires_after=expires_after,
            now=now,
        )
        self._confirms_stock = expires_after is not None
        self.shipping = ShippingService(at[3])

    @cached_property
    def saga(self) -> Saga:
        """``checkout``: a chain that charges before it reserves, so a lack of stock refunds."""
        order, payment, inventory = self.order, self.payment, self.inventory
        confirmed = step(
            inventory.confirm_stock,
            reconcile=inventory.confirm_stock.reconcile,
            idempotent=True,
            service="inventory",
        )
        return Saga(
            "checkout",
            step(order.create_order, order.cancel_order, idempotent=True, service="order"),
            step(
                payment.charge_payment,
                payment.refund_payment,
                retry=Retry(attempts=3, wait=0.5),
                timeout=2,
                idempotent=True,
                service="payment",
            ),
            step(
                inventory.reserve_stock,
                inventory.release_stock,
                idempotent=True,
                service="inventory",
            ),
            *([confirmed] if self._confirms_stock else []),
            pivot(
                order.confirm_order,
                reconcile=order.confirm_order.reconcile,
                idempotent=True,
                service="order",
            ),
            step(self.shipping.schedule_delivery, idempotent=True, service="shipping"),
            version="1",
        )

    def books(self, unfinished: Container[str] = ()) -> Books:
        """What the four services hold, compared. Ask while nothing runs: it reads one by one.

        Parameters:
            unfinished: ids of executions that are under way or stuck; their orders may be
                pending, and a confirmed one may wait for its delivery.
        """
        return read_books(
            self.order.engine,
            self.payment.engine,
            self.inventory.engine,
            self.shipping.engine,
            unfinished,
        )

    def ledgers(self) -> dict[str, dict[str, int]]:
        """What each service's books hold now, by service: money in cents, stock in units."""
        books = self.books()
        return {
            "order": {
                "orders pending": books.pending,
                "orders confirmed": books.confirmed,
                "orders cancelled": books.cancelled,
            },
            "payment": {
                "cents charged": books.charged_cents,
                "cents refunded": books.refunded_cents,
                "cents kept": books.kept_cents,
            },
            "inventory": {
                "units left": books.units_left,
                "units reserved": books.units_reserved,
                "units sold": books.units_sold,
            },
            "shipping": {"deliveries": books.deliveries},
        }

    def requests(self) -> int:
        """How many steps the four services have been asked for (a compensation is not another)."""
        services = (self.order, self.payment, self.inventory, self.shipping)
        return sum(service.participant.requests() for service in services)

    def close(self) -> None:
        """Close the databases; what was in memory is gone. Closing twice is harmless."""
        for service in (self.order, self.payment, self.inventory, self.shipping):
            service.engine.dispose()

    def __enter__(self) -> CheckoutWorld:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
