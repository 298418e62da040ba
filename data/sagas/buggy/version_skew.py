"""While the new version is rolled out, a retry meets it, and its answer is not one that the
old refund can read."""

from sagakit import Retry, Saga, StepContext, step
from sagakit.lab import Twin

shop = Twin()
breaks = "nothing_stuck_without_cause"


def charge_payment(ctx: StepContext) -> dict:
    charge = shop.charge_payment(ctx)
    if ctx.attempt > 1:  # by now the new version answers
        charge["amount"] = {"cents": charge.pop("amount_cents"), "currency": "EUR"}
    return charge


def refund_payment(ctx: StepContext) -> None:
    if ctx.result is not None:
        assert ctx.result["amount_cents"] > 0
    shop.refund_payment(ctx)


twice = Retry(attempts=2, wait=0.5)
wrong = step(charge_payment, refund_payment, retry=twice, timeout=2, idempotent=True)
right = step(charge_payment, shop.refund_payment, retry=twice, timeout=2, idempotent=True)
buggy = Saga("skew", *shop.steps(charge_payment=wrong))
fixed = Saga("no skew", *shop.steps(charge_payment=right))
