"""Four small pairs of sagas, each of which shows one anomaly, under each of the countermeasures.

They stand in one shop: customers with a credit, orders, stock in two warehouses. A pair is told as
somebody writes it who does not think of isolation, and again with each countermeasure that can be
applied to it; what differs is a step or two. `isolation_matrix` interleaves them all.

What went wrong is seen in two ways that know nothing of each other: the anomalies found in what was
read and written, and a rule of the shop that must hold in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sagakit.countermeasures import (
    SemanticLock,
    VersionFile,
    by_value,
    commutative_update,
    pessimistic_view,
    reread_value,
)
from sagakit.errors import TerminalError
from sagakit.lab import anomalies
from sagakit.lab.table import World
from sagakit.saga import Saga
from sagakit.steps import Step, pivot, step

WITHOUT = "without"
SEMANTIC_LOCK = "semantic lock"
COMMUTATIVE_UPDATE = "commutative update"
PESSIMISTIC_VIEW = "pessimistic view"
REREAD_VALUE = "reread value"
VERSION_FILE = "version file"
BY_VALUE = "by value"
COUNTERMEASURES = (
    SEMANTIC_LOCK,
    COMMUTATIVE_UPDATE,
    PESSIMISTIC_VIEW,
    REREAD_VALUE,
    VERSION_FILE,
    BY_VALUE,
)

Rows = Mapping[str, Mapping[Any, Any]]
_NOTHING_GIVES = "no step gives others anything to take, so there is none to move"
_ALFKI = "ALFKI"


class Pair(msgspec.Struct, frozen=True):
    """Two sagas that show an anomaly.

    Parameters:
        anomaly: its name.
        story: what happens, in a sentence.
        world: opens the shop afresh.
        inputs: what the two are given.
        sagas: the two by the countermeasure that they have, or ``"without"``.
        unfit: why the other countermeasures cannot be applied.
        rule: whether the shop is in order in the end, by the rows of its tables.
    """

    anomaly: str
    story: str
    world: Callable[[], World]
    inputs: tuple[Any, Any]
    sagas: Mapping[str, tuple[Saga, Saga]]
    unfit: Mapping[str, str]
    rule: Callable[[Rows], bool]


def pairs() -> tuple[Pair, ...]:
    """The four of them."""
    return lost_update(), dirty_read(), non_repeatable_read(), write_skew()


def lost_update() -> Pair:
    """Two orders of one customer, for 60 and for 30 of a credit of 100."""
    shop = World(credit={_ALFKI: 100}, locks={_ALFKI: None}, operations={}, orders={})
    lock, file = SemanticLock(shop.locks), VersionFile(shop.operations, int.__add__, 100)

    def check_credit(ctx: Any) -> int:
        return _enough(shop.credit[_ALFKI], ctx.input)

    def spend_credit(ctx: Any) -> None:
        shop.credit[_ALFKI] = ctx.results["check_credit"] - ctx.input
        shop.orders[ctx.execution_id] = ctx.input

    def lock_credit(ctx: Any) -> None:
        lock.take(_ALFKI, ctx.execution_id)

    def unlock(ctx: Any) -> None:
        lock.free(_ALFKI, ctx.execution_id)

    def spend_and_unlock(ctx: Any) -> None:
        spend_credit(ctx)
        unlock(ctx)

    def spend_difference(ctx: Any) -> None:
        commutative_update(shop.credit, _ALFKI, -ctx.input, least=0)
        shop.orders[ctx.execution_id] = ctx.input

    def spend_if_unchanged(ctx: Any) -> None:
        seen = ctx.results["check_credit"]
        reread_value(shop.credit, _ALFKI, seen, seen - ctx.input)
        shop.orders[ctx.execution_id] = ctx.input

    def check_file(ctx: Any) -> int:
        return _enough(file.value(_ALFKI), ctx.input)

    def record_spending(ctx: Any) -> None:
        file.record(_ALFKI, ctx.execution_id, -ctx.input)
        shop.orders[ctx.execution_id] = ctx.input

    def check_and_spend(ctx: Any) -> None:
        shop.credit[_ALFKI] = check_credit(ctx) - ctx.input
        shop.orders[ctx.execution_id] = ctx.input

    def order(*steps: Step) -> tuple[Saga, Saga]:
        return (Saga("order", *steps),) * 2

    def rule(rows: Rows) -> bool:
        """The credit that is gone is that of the orders."""
        spent = 100 - rows["credit"][_ALFKI] - sum(one.what for one in _operations(rows))
        return bool(spent == sum(rows["orders"].values()))

    check, spend = step(check_credit, read=True), step(spend_credit)
    return Pair(
        anomaly=anomalies.LOST_UPDATE,
        story="two orders look at a customer's credit, and each writes what it holds for the rest",
        world=shop.fresh,
        inputs=(60, 30),
        sagas={
            WITHOUT: order(check, spend),
            SEMANTIC_LOCK: order(step(lock_credit, unlock), check, step(spend_and_unlock)),
            COMMUTATIVE_UPDATE: order(check, step(spend_difference)),
            REREAD_VALUE: order(check, step(spend_if_unchanged)),
            VERSION_FILE: order(step(check_file, read=True), step(record_spending)),
            BY_VALUE: order(
                *by_value("stake", _input, 25, low=[check, spend], high=step(check_and_spend))
            ),
        },
        unfit={PESSIMISTIC_VIEW: _NOTHING_GIVES},
        rule=rule,
    )


def dirty_read() -> Pair:
    """A cancelled order frees 60 of credit and must take it back, for it is on its way already;
    another order for 60 comes in between, of which the customer has only 20."""
    shop = World(
        credit={_ALFKI: 20}, locks={_ALFKI: None}, operations={}, orders={}, parcels={7: "sent"}
    )
    lock, file = SemanticLock(shop.locks), VersionFile(shop.operations, int.__add__, 20)

    def free_credit(ctx: Any) -> None:
        shop.credit[_ALFKI] += ctx.input

    def take_back(ctx: Any) -> None:
        shop.credit[_ALFKI] -= ctx.input

    def stop_parcel() -> None:
        if shop.parcels[7] == "sent":
            raise TerminalError("parcel 7 has been sent")

    def lock_and_free(ctx: Any) -> None:
        lock.take(_ALFKI, ctx.execution_id)
        free_credit(ctx)

    def take_back_and_unlock(ctx: Any) -> None:
        take_back(ctx)
        unlock(ctx)

    def unlock(ctx: Any) -> None:
        lock.free(_ALFKI, ctx.execution_id)

    def add_credit(ctx: Any) -> None:
        commutative_update(shop.credit, _ALFKI, ctx.input)

    def subtract_credit(ctx: Any) -> None:
        commutative_update(shop.credit, _ALFKI, -ctx.input)

    def record_freeing(ctx: Any) -> None:
        file.record(_ALFKI, ctx.action_key, ctx.input)

    def withdraw_freeing(ctx: Any) -> None:
        file.withdraw(_ALFKI, ctx.action_key)

    def stop_and_free(ctx: Any) -> None:
        stop_parcel()
        free_credit(ctx)

    def check_credit(ctx: Any) -> int:
        return _enough(shop.credit[_ALFKI], ctx.input)

    def approve_order(ctx: Any) -> None:
        shop.orders[ctx.execution_id] = ctx.input

    def check_unlocked(ctx: Any) -> int:
        lock.check(_ALFKI, ctx.execution_id)
        return check_credit(ctx)

    def approve_if_unchanged(ctx: Any) -> None:
        reread_value(shop.credit, _ALFKI, ctx.results["check_credit"])
        approve_order(ctx)

    def check_file(ctx: Any) -> int:
        return _enough(file.value(_ALFKI), ctx.input)

    def check_and_approve(ctx: Any) -> None:
        check_credit(ctx)
        approve_order(ctx)

    def rule(rows: Rows) -> bool:
        """What is approved is covered by credit."""
        return bool(sum(rows["orders"].values()) <= rows["credit"][_ALFKI])

    free, stop = step(free_credit, take_back), pivot(stop_parcel)
    cancel = Saga("cancel", free, stop)
    check, approve = step(check_credit, read=True), step(approve_order)
    order = Saga("order", check, approve)
    high = by_value("stake", _input, 50, low=[free, step(stop_parcel)], high=step(stop_and_free))
    strict = by_value("stake", _input, 50, low=[check, approve], high=step(check_and_approve))
    return Pair(
        anomaly=anomalies.DIRTY_READ,
        story="an order is approved for credit that a cancellation has freed, and takes back",
        world=shop.fresh,
        inputs=(60, 60),
        sagas={
            WITHOUT: (cancel, order),
            SEMANTIC_LOCK: (
                Saga("cancel", step(lock_and_free, take_back_and_unlock), stop, step(unlock)),
                Saga("order", step(check_unlocked, read=True), approve),
            ),
            COMMUTATIVE_UPDATE: (Saga("cancel", step(add_credit, subtract_credit), stop), order),
            PESSIMISTIC_VIEW: (pessimistic_view(cancel, "free_credit"), order),
            REREAD_VALUE: (cancel, Saga("order", check, step(approve_if_unchanged))),
            VERSION_FILE: (
                Saga("cancel", step(record_freeing, withdraw_freeing), stop),
                Saga("order", step(check_file, read=True), approve),
            ),
            BY_VALUE: (Saga("cancel", *high), Saga("order", *strict)),
        },
        unfit={},
        rule=rule,
    )


def non_repeatable_read() -> Pair:
    """An order of 2 units is revised to 3 while it is charged and packed."""
    shop = World(orders={7: 2}, locks={7: None}, operations={}, charges={}, parcels={})
    lock, file = SemanticLock(shop.locks), VersionFile(shop.operations, int.__add__, 2)

    def charge_payment() -> int:
        units: int = shop.orders[7]
        shop.charges[7] = units
        return units

    def refund_payment() -> None:
        shop.charges.pop(7, None)

    def pack_parcel() -> None:
        shop.parcels[7] = shop.orders[7]

    def lock_and_charge(ctx: Any) -> None:
        lock.take(7, ctx.execution_id)
        charge_payment()

    def refund_and_unlock(ctx: Any) -> None:
        lock.free(7, ctx.execution_id)
        refund_payment()

    def pack_and_unlock(ctx: Any) -> None:
        pack_parcel()
        lock.free(7, ctx.execution_id)

    def pack_if_unchanged(ctx: Any) -> None:
        reread_value(shop.orders, 7, ctx.results["charge_payment"])
        shop.parcels[7] = ctx.results["charge_payment"]

    def charge_by_file() -> None:
        shop.charges[7] = file.value(7)

    def pack_by_file() -> None:
        shop.parcels[7] = file.value(7)

    def charge_and_pack() -> None:
        shop.charges[7] = shop.parcels[7] = shop.orders[7]

    def revise_order() -> None:
        shop.orders[7] = 3

    def revert_order() -> None:
        shop.orders[7] = 2

    def confirm_revision() -> None: ...

    def revise_unlocked(ctx: Any) -> None:
        lock.take(7, ctx.execution_id)
        revise_order()

    def revert_and_unlock(ctx: Any) -> None:
        revert_order()
        unlock(ctx)

    def unlock(ctx: Any) -> None:
        lock.free(7, ctx.execution_id)

    def add_unit() -> None:
        commutative_update(shop.orders, 7, 1)

    def remove_unit() -> None:
        commutative_update(shop.orders, 7, -1)

    def record_unit(ctx: Any) -> None:
        file.record(7, ctx.action_key, 1)

    def withdraw_unit(ctx: Any) -> None:
        file.withdraw(7, ctx.action_key)

    def rule(rows: Rows) -> bool:
        """What is packed is what was charged."""
        return rows["charges"] == rows["parcels"]

    charge, pack = step(charge_payment, refund_payment), step(pack_parcel)
    fulfil = Saga("fulfil", charge, pack)
    confirm = pivot(confirm_revision)
    revise = Saga("revise", step(revise_order, revert_order), confirm)
    high = by_value("stake", _input, 2, low=[charge, pack], high=step(charge_and_pack))
    return Pair(
        anomaly=anomalies.NON_REPEATABLE_READ,
        story="an order is revised after it was charged and before it is packed",
        world=shop.fresh,
        inputs=(2, 3),
        sagas={
            WITHOUT: (fulfil, revise),
            SEMANTIC_LOCK: (
                Saga("fulfil", step(lock_and_charge, refund_and_unlock), step(pack_and_unlock)),
                Saga("revise", step(revise_unlocked, revert_and_unlock), confirm, step(unlock)),
            ),
            COMMUTATIVE_UPDATE: (fulfil, Saga("revise", step(add_unit, remove_unit), confirm)),
            PESSIMISTIC_VIEW: (fulfil, pessimistic_view(revise, "revise_order")),
            REREAD_VALUE: (Saga("fulfil", charge, step(pack_if_unchanged)), revise),
            VERSION_FILE: (
                Saga("fulfil", step(charge_by_file, refund_payment), step(pack_by_file)),
                Saga("revise", step(record_unit, withdraw_unit), confirm),
            ),
            BY_VALUE: (Saga("fulfil", *high), revise),
        },
        unfit={},
        rule=rule,
    )


def write_skew() -> Pair:
    """Two warehouses hold 5 units each, of which 5 must stay in either; two orders take 4."""
    stocks = {"north": 5, "south": 5}
    shop = World(stock=stocks, locks=dict.fromkeys(stocks), operations={})
    stock, lock = shop.stock, SemanticLock(shop.locks)
    file = VersionFile(shop.operations, int.__add__, 5)

    def check_stock() -> dict[str, int]:
        seen = {house: stock[house] for house in stocks}
        _enough(sum(seen.values()), 4 + 5)
        return seen

    def take_stock(ctx: Any) -> None:
        stock[ctx.input] -= 4

    def lock_stock(ctx: Any) -> None:
        for house in stocks:
            lock.take(house, ctx.execution_id)

    def unlock(ctx: Any) -> None:
        for house in stocks:
            lock.free(house, ctx.execution_id)

    def take_and_unlock(ctx: Any) -> None:
        take_stock(ctx)
        unlock(ctx)

    def take_difference(ctx: Any) -> None:
        commutative_update(stock, ctx.input, -4, least=0)

    def take_if_unchanged(ctx: Any) -> None:
        for house, seen in ctx.results["check_stock"].items():
            reread_value(stock, house, seen)
        stock[ctx.input] -= 4

    def check_file() -> None:
        _enough(sum(file.value(house) for house in stocks), 4 + 5)

    def record_taking(ctx: Any) -> None:
        file.record(ctx.input, ctx.execution_id, -4)

    def check_and_take(ctx: Any) -> None:
        check_stock()
        take_stock(ctx)

    def order(*steps: Step) -> tuple[Saga, Saga]:
        return (Saga("order", *steps),) * 2

    def rule(rows: Rows) -> bool:
        """Five units are left in all."""
        left = sum(rows["stock"].values()) + sum(one.what for one in _operations(rows))
        return bool(left >= 5)

    check, take = step(check_stock, read=True), step(take_stock)
    return Pair(
        anomaly=anomalies.WRITE_SKEW,
        story="two orders look at both warehouses, and each takes from another one",
        world=shop.fresh,
        inputs=("north", "south"),
        sagas={
            WITHOUT: order(check, take),
            SEMANTIC_LOCK: order(step(lock_stock, unlock), check, step(take_and_unlock)),
            COMMUTATIVE_UPDATE: order(check, step(take_difference)),
            REREAD_VALUE: order(check, step(take_if_unchanged)),
            VERSION_FILE: order(step(check_file, read=True), step(record_taking)),
            BY_VALUE: order(
                *by_value("stake", lambda _: 4, 3, low=[check, take], high=step(check_and_take))
            ),
        },
        unfit={PESSIMISTIC_VIEW: _NOTHING_GIVES},
        rule=rule,
    )


def _input(ctx: Any) -> Any:
    return ctx.input


def _enough(there: int, asked: int) -> int:
    if there < asked:
        raise TerminalError(f"{asked} asked, {there} there")
    return there


def _operations(rows: Rows) -> list[Any]:
    return [one for operations in rows["operations"].values() for one in operations]
