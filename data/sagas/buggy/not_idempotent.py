"""A request that is delivered twice charges twice: the service does not know its keys."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "each_effect_at_most_once"


def charge_payment(ctx: StepContext) -> dict:
    return shop.transfer("charge", ctx.input)


wrong = step(charge_payment, shop.refund_payment)
right = step(shop.charge_payment, shop.refund_payment)
buggy = Saga("not idempotent", *shop.steps(charge_payment=wrong))
fixed = Saga("idempotent", *shop.steps(charge_payment=right))
