"""The refund pays back what the order holds. But what it held was released just before."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "books_balance"


def refund_payment(ctx: StepContext) -> None:
    if ctx.input["order_id"] in shop.held:  # there are goods to pay back
        shop.refund_payment(ctx)


wrong = step(shop.charge_payment, refund_payment)
right = step(shop.charge_payment, shop.refund_payment)
buggy = Saga("changed state", *shop.steps(charge_payment=wrong))
fixed = Saga("by value", *shop.steps(charge_payment=right))
