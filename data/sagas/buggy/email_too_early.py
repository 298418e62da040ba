"""An e-mail thanks for an order that is cancelled: it went out before the point of no return."""

from sagakit import Saga, StepContext, step
from sagakit.lab import Twin


class Shop(Twin):
    """A shop that writes to its customers."""

    def thank_by_mail(self, ctx: StepContext) -> dict:
        return self.act(ctx, lambda order: {"to": order["customer"]})

    def effects(self) -> dict:
        sent = [key for key, row in self.inbox.items() if "thank" in key and row[0] == "done"]
        return {**super().effects(), "thank_by_mail": len(sent)}


shop = Shop()
breaks = "no_effect_survives_compensation"


order, *rest = shop.steps()
mail = step(shop.thank_by_mail, idempotent=True)
buggy = Saga("thanks too early", order, mail, *rest)
fixed = Saga("thanks in time", order, *rest, mail)
