"""What a scenario is made of: faults, what comes from outside, and crashes. Plain data."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal, get_args

import msgspec

from sagakit import redaction
from sagakit.quantities import is_seconds

Side = Literal["action", "compensation"]
FaultKind = Literal[
    "fail", "lose reply", "time out", "slow", "repeat", "late", "reorder", "trip", "drop"
]

# What cannot happen to a compensation: nothing comes behind it that could overtake it.
_ACTIONS_ONLY = ("late", "reorder", "drop")


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """One injected failure.

    Parameters:
        kind: ``fail`` (before the effect), ``lose reply`` (after the effect), ``time out`` (no
            effect, and nobody knows), ``slow``, ``repeat`` (the request is delivered twice),
            ``late`` (no answer, and the request is delivered after its compensation), ``reorder``
            (no answer, and the step's next request is delivered before this one), ``trip`` (the
            circuit breaker of the step's service opens as it is asked) or ``drop`` (the signal
            that the step waits for never arrives).
        step: the step's name; ``outer/inner`` for a step of the saga that does a step, and
            ``outer/0`` for the first item where it is done for each.
        side: its action or its compensation.
        attempt: at which attempt, counted from 1; None: at every attempt, for good.
        seconds: how slow.
        first: at the first so many attempts, 2 or more.
    """

    kind: FaultKind
    step: str
    side: Side = "action"
    attempt: int | None = None
    seconds: float = 0.0
    first: int | None = None

    def __str__(self) -> str:
        if self.kind == "drop":
            return f"drop the signal for {self.step}"
        where = self.step if self.side == "action" else f"compensation of {self.step}"
        when = "" if self.attempt is None else f" at attempt {self.attempt}"
        if self.first is not None:
            when = f" at the first {self.first} attempts"
        extra = f" by {self.seconds:g} s" if self.kind == "slow" else ""
        return f"{self.kind} {where}{when}{extra}"

    @property
    def for_good(self) -> bool:
        """Whether it strikes every attempt."""
        return self.attempt is None and self.first is None

    def strikes(self, step: str, side: Side, attempt: int) -> bool:
        """Whether it is a fault of this attempt."""
        return (
            self.step == step
            and self.side == side
            and self.attempt in (None, attempt)
            and (self.first is None or attempt <= self.first)
        )

    def problem(self) -> str:
        """What is wrong with it, with the cure; empty if nothing is."""
        if not isinstance(self.step, str) or not self.step:
            return "names no step; name one"
        if self.side not in get_args(Side):
            return f"has the side {self.side!r}; known are {', '.join(get_args(Side))}"
        for number in (self.attempt, self.first):
            if number is not None and (type(number) is not int or number < 1):
                return f"attempts are counted from 1, this is {number!r}"
        if self.attempt is not None and self.first is not None:
            return "give 'attempt' or 'first', not both"
        if self.first == 1:
            return "the first 1 attempts are attempt 1; say that"
        if not is_seconds(self.seconds):
            return f"{self.seconds!r} are no seconds; give seconds, 0 or more"
        if self.kind == "slow" and not self.seconds:
            return "0 s are not slow; give 'seconds', more than 0"
        if self.seconds and self.kind != "slow":
            return "only 'slow' takes seconds; drop them"
        if self.side == "compensation" and self.kind in _ACTIONS_ONLY:
            return f"a compensation cannot be hit by '{self.kind}'; name an action"
        if self.kind == "drop" and not self.for_good:
            return "a signal that is dropped never comes; leave 'attempt' and 'first' out"
        return ""


def correlation_text(value: Any) -> Any:
    """A correlation as it is compared: of an int or a UUID its text; anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):  # of an enum the value
        return int.__repr__(value) if isinstance(value, int) else str.__str__(value)
    return str(value) if isinstance(value, uuid.UUID) else value


class Signal(msgspec.Struct, frozen=True, omit_defaults=True, tag="signal"):
    """An event that arrives from outside.

    Parameters:
        at: seconds after the execution's start.
        correlation: only a wait with the same correlation (text, an int or a UUID) takes it; None:
            any wait for the event.
        to: the step whose saga gets it, ``outer/inner`` for one further in; empty: the execution
            itself.
    """

    event: str
    payload: Any = None
    at: float = 0.0
    correlation: str | None = None
    to: str = ""

    __repr__ = redaction.repr_of

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "correlation", correlation_text(self.correlation))

    def __str__(self) -> str:
        given = self.correlation
        whom = "" if given is None else f" for {redaction.named(given, self.event)}"
        where = f" to {self.to}" if self.to else ""
        return f"signal {self.event}{whom}{where} at {self.at:g} s"

    def problem(self) -> str:
        """What is wrong with it, with the cure; empty if nothing is."""
        if not isinstance(self.event, str) or not self.event:
            return "names no event; name one"
        given: Any = self.correlation
        if not isinstance(given, str | None):
            kind = type(given).__name__
            return f"its correlation is a {kind}; give text, an int or a UUID"
        return _when(self.at)

    @property
    def title(self) -> str:
        """What an error calls it."""
        return f"signal '{self.event}'"


class Cancellation(msgspec.Struct, frozen=True, omit_defaults=True, tag="cancellation"):
    """An operator calls the execution off, ``at`` so many seconds after its start."""

    at: float = 0.0
    by: str = "operator"
    why: str = "as the scenario says"

    def __str__(self) -> str:
        return f"cancel at {self.at:g} s"

    def problem(self) -> str:
        """What is wrong with it, with the cure; empty if nothing is."""
        return _when(self.at)

    title: ClassVar[str] = "cancellation"  # what an error calls it


class Crash(msgspec.Struct, frozen=True, omit_defaults=True):
    """The coordinator dies at one of its events, with all executions that it works on, and
    recovers from the journal at once.

    Parameters:
        event: the event's number in its execution, from 1 (0 is the start).
        written: the journal has it when the coordinator dies; else it is lost with all that the
            coordinator knew, though an effect that it told of has happened.
        to: the step whose saga's event it is, ``outer/inner`` for one further in; empty: an event
            of the execution itself.
    """

    event: int
    written: bool = True
    to: str = ""

    def __str__(self) -> str:
        where = f" of {self.to}" if self.to else ""
        return f"crash {'after' if self.written else 'before'} event {self.event}{where} is written"

    def problem(self) -> str:
        """What is wrong with it, with the cure; empty if nothing is."""
        if type(self.event) is int and self.event >= 1:
            return ""
        return f"event {self.event!r}: events are counted from 0, the start; give 1 or more"


def _when(at: float) -> str:
    return "" if is_seconds(at) else "give the seconds after the start, 0 or more"


Intervention = Signal | Cancellation
