"""Numbers as a definition holds them: seconds, shares and factors are floats, counts are ints."""

from __future__ import annotations

import contextlib
import math
import numbers
from typing import Any


def number(value: Any) -> Any:
    """A number as a float, so that 1 and 1.0 are one value; anything else (a bool too) as it is,
    for the definition's problems to name."""
    if not isinstance(value, bool) and isinstance(value, numbers.Number):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)  # type: ignore[arg-type]
    return value


def is_seconds(value: Any) -> bool:
    """Whether this is a finite float, 0 or more (as ``number`` gives it)."""
    return type(value) is float and math.isfinite(value) and value >= 0
