"""Money is taken and nobody wrote down how to give it back."""

from sagakit import Saga, step
from sagakit.lab import Twin

shop = Twin()
breaks = "no_effect_survives_compensation"

buggy = Saga("compensation missing", *shop.steps(charge_payment=step(shop.charge_payment)))
fixed = Saga("compensated", *shop.steps())
