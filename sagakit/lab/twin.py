"""The checkout world in memory: what ``services/`` does with four databases, done with tables.

It answers as `sagakit.services.CheckoutWorld` does: each step's request once, whatever is
delivered twice, late, or to be undone before it came. A test holds the two against each other. It
needs no database, can be set back in a microsecond, and so is the world to explore in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from sagakit.errors import TerminalError
from sagakit.lab.table import Table, World
from sagakit.saga import Saga
from sagakit.spec import Retry
from sagakit.steps import Happened, Step, pivot, step

Effect = Callable[[Any], Mapping[str, Any]]

ORDER: Mapping[str, Any] = {
    "order_id": 10248,
    "customer": "VINET",
    "amount_cents": 44000,
    "ship_city": "Reims",
    "ship_country": "France",
    "shipper": "Federal Shipping",
    "lines": [{"product": 11, "quantity": 12}, {"product": 42, "quantity": 10}],
}
"""An order as the saga takes it: the first of Northwind's."""


class TwinBooks(NamedTuple):
    """Whether the services agree, and every place where they contradict each other."""

    balanced: bool
    problems: tuple[str, ...]


_LATE = {"undone": "was undone before", "fenced": "was fenced before it came"}


class Twin(World):
    """Order, payment, inventory and shipping in memory, and the saga across them.

    ``explore(twin.saga, ORDER, world=twin.fresh)``.

    Parameters:
        stock: units per product to begin with.
        confirms_stock: the saga has one more step before the pivot, as that of a
            ``CheckoutWorld`` in which reservations expire. Here they do not.
    """

    inbox: Table  # execution/step -> (state, what was answered)
    orders: Table  # order -> (state, execution, cents)
    entries: Table  # number -> (order, "charge" or "refund", cents)
    shelf: Table  # product -> units left
    held: Table  # order -> ((product, units), ...)
    deliveries: Table  # number -> order

    def __init__(
        self, stock: Mapping[int, int] | None = None, *, confirms_stock: bool = False
    ) -> None:
        self._stock = {11: 22, 42: 26} if stock is None else dict(stock)
        self._confirms_stock = confirms_stock
        super().__init__(inbox={}, orders={}, entries={}, shelf=self._stock, held={}, deliveries={})
        vars(self).update(self.tables())  # an attribute is found faster than `__getattr__` finds it

    @cached_property
    def saga(self) -> Saga:
        """``checkout``, step by step the one of the real world."""
        return Saga("checkout", *self.steps(), version="1")

    def steps(self, **instead: Step) -> tuple[Step, ...]:
        """The steps of the saga, some of them replaced: ``charge_payment=step(…)``."""
        made = {
            "create_order": step(
                self.create_order, self.cancel_order, idempotent=True, service="order"
            ),
            "charge_payment": step(
                self.charge_payment,
                self.refund_payment,
                retry=Retry(attempts=3, wait=0.5),
                timeout=2,
                idempotent=True,
                service="payment",
            ),
            "reserve_stock": step(
                self.reserve_stock, self.release_stock, idempotent=True, service="inventory"
            ),
            "confirm_stock": step(
                self.confirm_stock, reconcile=self.reconcile, idempotent=True, service="inventory"
            ),
            "confirm_order": pivot(
                self.confirm_order, reconcile=self.reconcile, idempotent=True, service="order"
            ),
            "schedule_delivery": step(self.schedule_delivery, idempotent=True, service="shipping"),
        }
        if not self._confirms_stock:
            del made["confirm_stock"]
        strange = instead.keys() - made.keys()
        if strange:
            raise KeyError(f"the checkout has no step {', '.join(sorted(strange))}")
        return tuple((made | instead).values())

    # -- the services' actions and compensations --------------------------------------------

    def create_order(self, ctx: Any) -> dict[str, Any]:
        """Store the order as pending; ``TerminalError`` when its number is taken."""
        return self.act(ctx, self.create)

    def cancel_order(self, ctx: Any) -> None:
        """Cancel a pending order; ``TerminalError`` when it was confirmed."""
        self.undo(ctx, lambda reply: self.move(reply["order_id"], "cancelled"))

    def charge_payment(self, ctx: Any) -> dict[str, Any]:
        """Move the order's amount from the customer to the shop."""
        return self.act(ctx, lambda order: self.transfer("charge", order))

    def refund_payment(self, ctx: Any) -> None:
        """Move what was charged back to the customer."""
        self.undo(ctx, lambda charge: self.transfer("refund", charge))

    def reserve_stock(self, ctx: Any) -> dict[str, Any]:
        """Take all lines off the shelf, or none; ``TerminalError`` when units lack."""
        return self.act(ctx, self.reserve)

    def release_stock(self, ctx: Any) -> None:
        """Put back what the order holds."""
        self.undo(ctx, self.release)

    def confirm_stock(self, ctx: Any) -> dict[str, Any]:
        """Keep what the order holds; ``TerminalError`` when it holds nothing."""
        held = f"{ctx.execution_id}/reserve_stock/action"

        def confirmed(_: Any) -> Mapping[str, Any]:
            state, answer = self.inbox.get(held, ("missing", None))
            if state != "done":
                raise TerminalError(f"'{held}' cannot be confirmed: it is {state}")
            return dict(answer)

        return self.act(ctx, confirmed)

    def confirm_order(self, ctx: Any) -> dict[str, Any]:
        """The pivot: from here the order is not taken back."""
        return self.act(ctx, lambda order: self.move(order["order_id"], "confirmed"))

    def schedule_delivery(self, ctx: Any) -> dict[str, Any]:
        """Book the shipper for the order's address."""
        return self.act(ctx, self.schedule, keep_refusal=False)

    def reconcile(self, ctx: Any) -> Any:
        """Whether an action's effect stands; if not, it never will."""
        step = ctx.action_key
        state, answer = self.inbox.setdefault(step, ("fenced", None))
        return Happened(dict(answer)) if state == "done" else False

    # -- each request once ------------------------------------------------------------------

    def act(self, ctx: Any, effect: Effect, *, keep_refusal: bool = True) -> dict[str, Any]:
        """Do an action's effect once, however often its request arrives, and never once it was
        undone: `Participant.act` in memory."""
        key = ctx.action_key
        row = self.inbox.get(key)
        if row is None:
            try:
                reply = effect(ctx.input)
            except TerminalError as refusal:
                if keep_refusal:
                    self.inbox[key] = ("refused", str(refusal))
                raise
            self.inbox[key] = ("done", tuple(reply.items()))
            return dict(reply)
        state, answer = row
        if state == "done":
            return dict(answer)
        if state == "refused":
            raise TerminalError(answer)
        raise TerminalError(f"the late action '{key}' is refused: its step {_LATE[state]}")

    def undo(self, ctx: Any, undo: Callable[[Any], Any]) -> None:
        """Undo an action's effect once, if there is one: `Participant.compensate` in memory."""
        key = ctx.action_key
        state, answer = self.inbox.get(key, (None, None))
        if state is None:
            self.inbox[key] = ("fenced", None)
        elif state == "done":
            undo(dict(answer))
            self.inbox[key] = ("undone", answer)

    # -- what the services do, without a thought of keys -------------------------------------

    def create(self, order: Any) -> dict[str, Any]:
        """Store the order as pending."""
        order_id = order["order_id"]
        if order_id in self.orders:
            state = self.orders[order_id][0]
            raise TerminalError(f"order {order_id} exists already ({state})")
        self.orders[order_id] = ("pending", order["amount_cents"])
        return {"order_id": order_id, "state": "pending"}

    def move(self, order_id: int, to: str) -> dict[str, Any]:
        """From pending to another state."""
        state, cents = self.orders.get(order_id, ("not there", 0))
        if state != "pending":
            raise TerminalError(f"order {order_id} cannot become {to}: it is {state}")
        self.orders[order_id] = (to, cents)
        return {"order_id": order_id, "state": to}

    def transfer(self, kind: str, order: Any) -> dict[str, Any]:
        """A ``charge`` or a ``refund`` of the order's amount."""
        charge = {name: order[name] for name in ("order_id", "customer", "amount_cents")}
        number = len(self.entries)
        self.entries[number] = (order["order_id"], kind, order["amount_cents"])
        return charge

    def reserve(self, order: Any) -> dict[str, Any]:
        """Take all lines off the shelf, or none."""
        wanted: dict[int, int] = {}
        for line in order["lines"]:
            wanted[line["product"]] = wanted.get(line["product"], 0) + line["quantity"]
        for product, units in wanted.items():
            left = self.shelf.get(product)
            if left is None:
                raise TerminalError(f"product {product} is not in the inventory")
            if left < units:
                raise TerminalError(f"product {product}: {units} units asked, {left} available")
        for product, units in wanted.items():
            self.shelf[product] -= units
        self.held[order["order_id"]] = tuple(wanted.items())
        return {"order_id": order["order_id"], "units": sum(wanted.values())}

    def release(self, reserved: Mapping[str, Any]) -> None:
        """Put back what the order holds."""
        for product, units in self.held.pop(reserved["order_id"], ()):
            self.shelf[product] += units

    def schedule(self, order: Any) -> dict[str, Any]:
        """Book the shipper."""
        self.deliveries[len(self.deliveries)] = order["order_id"]
        names = {"order_id": "order_id", "shipper": "shipper"}
        names |= {"city": "ship_city", "country": "ship_country"}
        return {name: order[source] for name, source in names.items()}

    # -- what stands in it ------------------------------------------------------------------

    def effects(self) -> dict[str, int]:
        """By step: how often its effect stands now."""
        states = [state for state, _ in self.orders.values()]
        return {
            "create_order": len(states) - states.count("cancelled"),
            "charge_payment": sum(self.charges().values()),
            "reserve_stock": len(self.held),
            "confirm_order": states.count("confirmed"),
            "schedule_delivery": len(self.deliveries),
        }

    def charges(self) -> dict[int, int]:
        """By order: how often it was charged and not refunded."""
        net: dict[int, int] = {}
        for order_id, kind, _ in self.entries.values():
            net[order_id] = net.get(order_id, 0) + (1 if kind == "charge" else -1)
        return net

    def ledgers(self) -> dict[str, dict[str, int]]:
        """What each service's books hold now, in the words of ``CheckoutWorld.ledgers``."""
        states = [state for state, _ in self.orders.values()]
        charged, refunded = (
            sum(cents for _, what, cents in self.entries.values() if what == kind)
            for kind in ("charge", "refund")
        )
        held = {order: sum(units for _, units in lines) for order, lines in self.held.items()}
        confirmed = (order for order, (state, _) in self.orders.items() if state == "confirmed")
        sold = sum(held.get(order, 0) for order in confirmed)
        return {
            "order": {
                f"orders {state}": states.count(state)
                for state in ("pending", "confirmed", "cancelled")
            },
            "payment": {
                "cents charged": charged,
                "cents refunded": refunded,
                "cents kept": charged - refunded,
            },
            "inventory": {
                "units left": sum(self.shelf.values()),
                "units reserved": sum(held.values()) - sold,
                "units sold": sold,
            },
            "shipping": {"deliveries": len(self.deliveries)},
        }

    def books(self) -> TwinBooks:
        """What the four services say together, once nothing is under way."""
        problems = (*self._order_problems(), *self._stock_problems())
        return TwinBooks(not problems, problems)

    def _order_problems(self) -> Iterator[str]:
        kept: dict[int, int] = {}
        for order_id, kind, cents in self.entries.values():
            kept[order_id] = kept.get(order_id, 0) + (cents if kind == "charge" else -cents)
        delivered = list(self.deliveries.values())
        for order_id in sorted({*self.orders, *kept, *self.held, *delivered}):
            state, cents = self.orders.get(order_id, ("unknown to the order service", 0))
            confirmed = state == "confirmed"
            if kept.get(order_id, 0) != (cents if confirmed else 0):
                yield f"order {order_id} ({state}): {kept.get(order_id, 0)} cents were kept"
            if (order_id in self.held) != confirmed:
                yield f"order {order_id} ({state}): {self.held.get(order_id, ())} are held"
            if delivered.count(order_id) != confirmed:
                yield f"order {order_id} ({state}): {delivered.count(order_id)} deliveries"

    def _stock_problems(self) -> Iterator[str]:
        gone: dict[int, int] = {}
        for lines in self.held.values():
            for product, units in lines:
                gone[product] = gone.get(product, 0) + units
        for product, units in self._stock.items():
            if units != self.shelf[product] + gone.get(product, 0):
                left = self.shelf[product]
                yield f"product {product}: {left} left of {units}, {gone.get(product, 0)} held"
