"""A retry after a lost reply charges again: each attempt makes a key of its own."""

from sagakit import Retry, Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "nothing_charged_twice"


def charge_payment(ctx: StepContext) -> dict:
    key = f"{ctx.idempotency_key}/{ctx.attempt}"
    if key not in shop.inbox:
        shop.inbox[key] = ("done", ())
        shop.transfer("charge", ctx.input)
    return {}


def refund_payment(ctx: StepContext) -> None:
    shop.undo(ctx, lambda _: shop.transfer("refund", ctx.input))


three = Retry(attempts=3, wait=0.5)
wrong = step(charge_payment, refund_payment, retry=three, timeout=2)
right = step(shop.charge_payment, shop.refund_payment, retry=three, timeout=2, idempotent=True)
buggy = Saga("a key an attempt", *shop.steps(charge_payment=wrong))
fixed = Saga("a key", *shop.steps(charge_payment=right))
