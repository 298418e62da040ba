"""The refund needs what a later step returned, which may never have returned anything."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "nothing_stuck_without_cause"


def refund_payment(ctx: StepContext) -> None:
    ctx.results["reserve_stock"]["units"]  # for the text of the refund
    shop.refund_payment(ctx)


wrong = step(shop.charge_payment, refund_payment)
right = step(shop.charge_payment, shop.refund_payment)
buggy = Saga("anothers result", *shop.steps(charge_payment=wrong))
fixed = Saga("own result", *shop.steps(charge_payment=right))
