"""Nothing on the shelf? Never mind: the saga completes, with nothing to ship."""

from sagakit import Saga, StepContext, TerminalError, step
from sagakit.lab import Twin

shop = Twin(stock={11: 0, 42: 26})
breaks = "no_effect_is_missing"


def reserve_stock(ctx: StepContext) -> dict:
    try:
        return shop.reserve_stock(ctx)
    except TerminalError:
        return {}


wrong = step(reserve_stock, shop.release_stock)
buggy = Saga("swallowed", *shop.steps(reserve_stock=wrong))
fixed = Saga("raised", *shop.steps())
