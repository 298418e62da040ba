"""Time axes: which unit, which ticks, and where an instant stands."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

UNITS = (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0), ("d", 86400.0))
_BY_CLOCK = {
    "min": (0.5, 1, 2, 5, 10, 15, 30, 60),
    "h": (0.5, 1, 2, 3, 6, 12, 24),
    "d": (0.5, 1, 2, 7, 14, 28, 91, 182),  # weeks, then quarters and halves of a year
}


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """A linear scale: seconds `low` to `high` over `width` px, with ticks (seconds, text)."""

    low: float
    high: float
    width: float
    unit: str
    ticks: tuple[tuple[float, str], ...]

    def x(self, seconds: float) -> float:
        """Where `seconds` stands, px from the axis' start."""
        share = (seconds - self.low) / (self.high - self.low)
        return self.width * min(1.0, max(0.0, share))


def time_scale(low: float, high: float, width: float, ticks: int = 8) -> Scale:
    """A scale from `low` to `high` seconds (`high` > `low`) with about `ticks` nice ticks."""
    span = high - low
    largest = max(abs(low), abs(high))
    unit, size = next((u for u in reversed(UNITS) if largest >= 1.5 * u[1]), UNITS[0])
    step = _step(span / size / ticks, unit)
    first = math.ceil(low / size / step - 1e-9)
    count = math.floor((high / size - first * step) / step + 1e-9) + 1
    marks = [(first + i) * step for i in range(min(count, 4 * ticks))]
    texts = tuple((value * size, f"{value:.10g}") for value in marks)
    return Scale(low=low, high=high, width=width, unit=unit, ticks=texts)


def _step(rough: float, unit: str) -> float:
    for step in _BY_CLOCK.get(unit, ()):
        if rough <= step:
            return step
    power = 10.0 ** math.floor(math.log10(rough))
    return power * next(nice for nice in (1, 2, 5, 10) if rough <= nice * power * (1 + 1e-9))


def order_scale(count: int, width: float) -> Scale:
    """A scale over `count` events in their order, for times that are all the same."""
    step = max(1, math.ceil(count / 20))
    ticks = tuple((i + 0.5, str(i + 1)) for i in range(0, count, step))
    return Scale(low=0.0, high=float(max(count, 1)), width=width, unit="order", ticks=ticks)


def duration(seconds: float) -> str:
    """A span in words, three digits and its unit: "1.5 s"; more digits from 1,000 days on."""
    if not seconds:
        return "0 s"
    # 0.9995, because what rounds to one of a unit is said in it: "1 s", never "1e+03 ms"
    unit, size = next((u for u in reversed(UNITS) if abs(seconds) >= 0.9995 * u[1]), UNITS[0])
    value = seconds / size
    return f"{value:,.0f} {unit}" if abs(value) >= 999.5 else f"{value:.3g} {unit}"


def same_instant(times: Sequence[float]) -> bool:
    """Whether all `times` are one instant, so that only their order can be shown."""
    return not times or max(times) - min(times) <= 0
