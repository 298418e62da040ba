"""What happened when, as plain data to draw."""

from __future__ import annotations

import msgspec


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt: `side` is "action" or "compensation", times in seconds from the start.

    `end` is None while it runs. `outcome` is "succeeded", "failed", "in doubt", "running",
    "compensated" or "compensation failed"; or "held", while its call had to wait. `label` is
    printed at it (a fault, an error's type, what held it). `count` is how many attempts in a row
    it stands for, `attempt` being the first of them.
    """

    step: str
    side: str
    attempt: int
    start: float
    end: float | None
    outcome: str
    label: str = ""
    count: int = 1


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the critical path: from `start` to `end` (seconds from the execution's start)
    the execution waited for this side of this step; `side` is "action" or "compensation"."""

    step: str
    side: str
    start: float
    end: float


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at an instant: `kind` is a name in `style.MARKS`, `at` in seconds."""

    at: float
    text: str
    kind: str
