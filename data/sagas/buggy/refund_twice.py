"""The refund is not idempotent: delivered twice, it gives back twice."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "books_balance"


def refund_payment(ctx: StepContext) -> None:
    if ctx.result is not None:
        shop.transfer("refund", ctx.result)
    shop.undo(ctx, lambda charge: ctx.result or shop.transfer("refund", charge))


wrong = step(shop.charge_payment, refund_payment)
right = step(shop.charge_payment, shop.refund_payment)
buggy = Saga("refunds twice", *shop.steps(charge_payment=wrong))
fixed = Saga("refunds once", *shop.steps(charge_payment=right))
