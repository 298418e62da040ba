"""The books: what four services say together, and every place where they contradict each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine, Select, func, select

from sagakit.services.inventory import products, reservations
from sagakit.services.order import order_lines, orders
from sagakit.services.payment import SHOP, entries
from sagakit.services.shipping import deliveries


class Books(msgspec.Struct, frozen=True):
    """The state of the checkout world in numbers. Money is in integer cents, stock in units.

    ``units_opening`` = ``units_left`` + ``units_sold`` (held by confirmed orders) +
    ``units_reserved`` (held by others). ``problems`` names every imbalance.
    """

    pending: int
    confirmed: int
    cancelled: int
    charged_cents: int
    refunded_cents: int
    kept_cents: int
    units_opening: int
    units_left: int
    units_sold: int
    units_reserved: int
    deliveries: int
    problems: tuple[str, ...]
    balanced: bool


class _Charges(NamedTuple):
    """One order's entries in the ledger."""

    charges: int = 0  # how many times
    charged: int = 0  # cents
    refunded: int = 0  # cents
    total: int = 0  # cents over all accounts: double entry makes it zero


class _Read(NamedTuple):
    """All that the four databases hold, by order."""

    heads: Mapping[int, Any]  # order id -> row of orders
    asked: Mapping[int, Mapping[int, int]]  # order id -> product -> units
    charges: Mapping[int, _Charges]
    held: Mapping[int, Mapping[int, int]]  # order id -> product -> units
    deliveries: Mapping[int, int]
    shelf: Mapping[int, tuple[int, int]]  # product -> opening, left


def read_books(
    order: Engine, payment: Engine, inventory: Engine, shipping: Engine, unfinished: Container[str]
) -> Books:
    """Read the four databases, one after the other, and compare them.

    Parameters:
        unfinished: ids of executions under way or stuck, whose orders may be half done.
    """
    asked = select(order_lines.c.order_id, order_lines.c.product, order_lines.c.quantity)
    kept = select(reservations.c.order_id, reservations.c.product, reservations.c.quantity)
    seen = _Read(
        heads={row.order_id: row for row in _rows(order, select(orders))},
        asked=_units(order, asked),
        charges=_charges(payment),
        held=_units(inventory, kept.where(reservations.c.state == "held")),
        deliveries=Counter(row.order_id for row in _rows(shipping, select(deliveries))),
        shelf={row[0]: (row[1], row[2]) for row in _rows(inventory, select(products))},
    )
    states = Counter(row.state for row in seen.heads.values())
    held = {order_id: sum(units.values()) for order_id, units in seen.held.items()}
    sold = sum(n for i, n in held.items() if i in seen.heads and seen.heads[i].state == "confirmed")
    charged = sum(charge.charged for charge in seen.charges.values())
    refunded = sum(charge.refunded for charge in seen.charges.values())
    problems = (*_order_problems(seen, unfinished), *_ledger_problems(seen), *_stock_problems(seen))
    return Books(
        pending=states["pending"],
        confirmed=states["confirmed"],
        cancelled=states["cancelled"],
        charged_cents=charged,
        refunded_cents=refunded,
        kept_cents=charged - refunded,
        units_opening=sum(opening for opening, _ in seen.shelf.values()),
        units_left=sum(left for _, left in seen.shelf.values()),
        units_sold=sold,
        units_reserved=sum(held.values()) - sold,
        deliveries=sum(seen.deliveries.values()),
        problems=problems,
        balanced=not problems,
    )


# -- reading --------------------------------------------------------------------------------


def _rows(engine: Engine, query: Select[Any]) -> list[Any]:
    with engine.begin() as connection:
        return list(connection.execute(query).all())


def _units(engine: Engine, query: Select[Any]) -> dict[int, dict[int, int]]:
    found: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for order_id, product, quantity in _rows(engine, query):
        found[order_id][product] = found[order_id].get(product, 0) + quantity
    return dict(found)


def _charges(engine: Engine) -> dict[int, _Charges]:
    column = entries.c
    shop_charge = (column.account == SHOP) & (column.kind == "charge")
    shop_refund = (column.account == SHOP) & (column.kind == "refund")
    query = select(
        column.order_id,
        func.count().filter(shop_charge),
        func.coalesce(func.sum(column.cents).filter(shop_charge), 0),
        func.coalesce(-func.sum(column.cents).filter(shop_refund), 0),
        func.sum(column.cents),
    ).group_by(column.order_id)
    return {row[0]: _Charges(*row[1:]) for row in _rows(engine, query)}


# -- comparing ------------------------------------------------------------------------------


def _order_problems(seen: _Read, unfinished: Container[str]) -> Iterator[str]:
    known = {*seen.heads, *seen.charges, *seen.held, *seen.deliveries}
    for order_id in sorted(known):
        head = seen.heads.get(order_id)
        under_way = head is not None and head.execution_id in unfinished
        if head is not None and head.state == "confirmed":
            yield from _confirmed_problems(seen, head, under_way)
        elif head is not None and head.state == "pending" and under_way:
            continue  # it may be anywhere between created and undone
        elif head is not None and head.state == "pending":
            yield f"order {order_id} is still pending, but execution {head.execution_id} has ended"
        else:
            state = "cancelled" if head is not None else "unknown to the order service"
            yield from _void_problems(seen, order_id, state)


def _confirmed_problems(seen: _Read, head: Any, under_way: bool) -> Iterator[str]:
    name = f"confirmed order {head.order_id}"
    charge = seen.charges.get(head.order_id, _Charges())
    if charge.charges != 1:
        yield f"{name} was charged {charge.charges} times, not once"
    if charge.charged - charge.refunded != head.amount_cents:
        kept = charge.charged - charge.refunded
        yield f"{name} amounts to {head.amount_cents} cents, but {kept} cents were kept"
    asked, held = seen.asked.get(head.order_id, {}), seen.held.get(head.order_id, {})
    for product in sorted({*asked, *held}):
        want, have = asked.get(product, 0), held.get(product, 0)
        if want != have:
            yield f"{name} asked {want} units of product {product}, but holds {have}"
    count = seen.deliveries.get(head.order_id, 0)
    if count != 1 and not (under_way and count == 0):
        yield f"{name} has {count} deliveries, not one"


def _void_problems(seen: _Read, order_id: int, state: str) -> Iterator[str]:
    """An order that must have left no trace."""
    name = f"order {order_id} ({state})"
    charge = seen.charges.get(order_id, _Charges())
    if charge.charged != charge.refunded:
        yield f"{name} was charged {charge.charged} cents and refunded {charge.refunded}"
    for product, units in sorted(seen.held.get(order_id, {}).items()):
        yield f"{name} still holds {units} units of product {product}"
    if count := seen.deliveries.get(order_id, 0):
        yield f"{name} has {count} deliveries, not none"


def _ledger_problems(seen: _Read) -> Iterator[str]:
    for order_id, charge in sorted(seen.charges.items()):
        if charge.total:
            yield f"the ledger entries of order {order_id} sum to {charge.total} cents, not zero"


def _stock_problems(seen: _Read) -> Iterator[str]:
    held = Counter[int]()
    for units in seen.held.values():
        held.update(units)
    for product in sorted({*seen.shelf, *held}):
        opening, left = seen.shelf.get(product, (0, 0))
        if opening != left + held[product]:
            yield (
                f"product {product} began with {opening} units, but {left} are left"
                f" and {held[product]} are held by orders"
            )
