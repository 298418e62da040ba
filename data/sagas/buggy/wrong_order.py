"""The refund asks the order what was paid, but nothing says that the order is cancelled last."""

from sagakit import Saga, StepContext, TerminalError, step
from sagakit.lab import Twin

shop = Twin()
breaks = "nothing_stuck_without_cause"


def refund_payment(ctx: StepContext) -> None:
    state, _ = shop.orders.get(ctx.input["order_id"], ("not there", 0))
    if state != "pending":
        raise TerminalError(f"cannot see what was paid: the order is {state}")
    shop.refund_payment(ctx)


wrong = step(shop.charge_payment, refund_payment, after=())
right = step(shop.charge_payment, refund_payment, after="create_order")
both = step(shop.reserve_stock, shop.release_stock, after=("create_order", "charge_payment"))
buggy = Saga("wrong order", *shop.steps(charge_payment=wrong, reserve_stock=both))
fixed = Saga("right order", *shop.steps(charge_payment=right))
