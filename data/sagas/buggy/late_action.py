"""A request that was delayed on its way charges after it was refunded."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "no_effect_survives_compensation"


def refund_payment(ctx: StepContext) -> None:
    if ctx.action_key in shop.inbox:  # else: nothing to undo, and nothing remembered
        shop.refund_payment(ctx)


wrong = step(shop.charge_payment, refund_payment, timeout=2)
right = step(shop.charge_payment, shop.refund_payment, timeout=2)
buggy = Saga("late action", *shop.steps(charge_payment=wrong))
fixed = Saga("suspended", *shop.steps(charge_payment=right))
