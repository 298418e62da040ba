"""Charts over many executions as values that a notebook shows by itself, and their numbers."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sagakit.views.svg import oneline

if TYPE_CHECKING:
    import pandas as pd


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A PNG picture with its words: `alt` says what it shows, `table` (header first) holds it;
    `frame()` gives that as a DataFrame.

    `width` is how wide it is shown, in px; the picture has more, for sharp screens.
    """

    png: bytes
    alt: str
    table: tuple[tuple[str, ...], ...] = ()
    caption: str = ""
    width: int = 820

    def __repr__(self) -> str:
        text = oneline(self.caption or self.alt)
        return f"<Chart: {text if len(text) <= 100 else text[:99] + '…'}>"

    def _repr_png_(self) -> tuple[bytes, dict[str, object]]:
        # as a picture and not as HTML: what matplotlib draws differs from one of its versions to
        # the next, and nbval compares words only
        return self.png, {"alt": oneline(self.alt), "width": self.width}

    def frame(self) -> pd.DataFrame:
        """The table that the picture draws, as text (rows × columns)."""
        import pandas as pd

        header, *rows = self.table or ((),)
        return pd.DataFrame(rows, columns=list(header))

    def save(self, path: str | Path) -> Path:
        """Write the PNG to `path` and return it; OSError where it cannot be written."""
        target = Path(path)
        target.write_bytes(self.png)
        return target


class Spread(msgspec.Struct, frozen=True):
    """How durations are spread: their number, then seconds."""

    count: int
    least: float
    median: float
    p95: float
    most: float


def spread(step: str, seconds: Iterable[float]) -> Spread:
    """The spread of at least one duration; ValueError names a step with one that is none."""
    values = sorted(seconds)
    if not values[0] >= 0 or not all(map(math.isfinite, values)):
        wrong = next(value for value in values if not (value >= 0 and math.isfinite(value)))
        raise ValueError(f"step {step!r}: {wrong} is no duration; give seconds from 0 on")
    return Spread(len(values), values[0], quantile(values, 0.5), quantile(values, 0.95), values[-1])


def spreads(durations: Mapping[str, Sequence[float]]) -> dict[str, Spread]:
    """The spread of each step's durations; steps without any are left out."""
    return {step: spread(step, seconds) for step, seconds in durations.items() if len(seconds)}


def quantile(values: Sequence[float], share: float) -> float:
    """The least of the sorted `values` that at least this share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def edges(low: float, high: float, count: int, log: bool) -> list[float]:
    """The edges of `count` bins from `low` to `high` (`high` > `low`, and `low` > 0 for a log)."""
    if log:
        step = math.log(high / low) / count
        return [low * math.exp(i * step) for i in range(count)] + [high]
    return [low + (high - low) * i / count for i in range(count)] + [high]


def binned(values: Iterable[float], borders: Sequence[float]) -> list[int]:
    """How many of the values lie in each bin; those at a border are in the upper one, those
    beyond the last in the last."""
    counts = [0] * (len(borders) - 1)
    for value in values:
        counts[min(max(bisect.bisect_right(borders, value) - 1, 0), len(counts) - 1)] += 1
    return counts
