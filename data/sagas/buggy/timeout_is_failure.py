"""No answer is taken for a no: the payment that went through is never given back."""

from sagakit import Saga, step
from sagakit.lab import Twin

shop = Twin()
breaks = "no_effect_survives_compensation"


def no_answer_no_charge() -> bool:
    return False


pay = (shop.charge_payment, shop.refund_payment)
wrong = step(*pay, timeout=2, reconcile=no_answer_no_charge)
right = step(*pay, timeout=2, reconcile=shop.reconcile)
buggy = Saga("timeout is failure", *shop.steps(charge_payment=wrong))
fixed = Saga("timeout is doubt", *shop.steps(charge_payment=right))
