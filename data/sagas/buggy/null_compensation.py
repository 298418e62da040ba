"""What never happened cannot be undone, says the service, and an operator is called."""

from sagakit import Saga, StepContext, TerminalError, step
from sagakit.lab import Twin

shop = Twin()
breaks = "nothing_stuck_without_cause"


def refund_payment(ctx: StepContext) -> None:
    if ctx.action_key not in shop.inbox:
        raise TerminalError("there is no such payment")
    shop.refund_payment(ctx)


wrong = step(shop.charge_payment, refund_payment, timeout=2)
right = step(shop.charge_payment, shop.refund_payment, timeout=2)
buggy = Saga("no null compensation", *shop.steps(charge_payment=wrong))
fixed = Saga("null compensation", *shop.steps(charge_payment=right))
