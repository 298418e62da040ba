"""Facts and requests: events (past tense, kept for ever) and commands (imperative, never kept).

An event is what the journal stores. ``at`` is seconds since the Unix epoch; it arrives as data.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import msgspec

from sagakit import redaction as _redaction
from sagakit.redaction import MASK, Redaction

# A kernel's temporary folder holds its process id; without it a notebook's tracebacks are stable.
_KERNEL_FOLDER = re.compile(r"ipykernel_\d+")

_ODD = (BaseExceptionGroup, SyntaxError)  # what they print is more than frames and a message
# What stands between a driver and the user's first frame.
_OURS = tuple(os.path.join(os.path.dirname(__file__), room) for room in ("drivers", "lab", "trace"))


def _clean(text: str) -> str:
    """Text that can be stored: an error may say anything, even what UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class ErrorInfo:
    """What user code raised, kept whole: ``type``, ``message`` and ``traceback`` (text).

    The exception itself is let go: its frames would hold the whole execution in a cycle. What the
    traceback needs is noted at once and formatted when somebody first asks, because formatting
    costs more than ten steps do.
    """

    __slots__ = ("_frames", "_traceback", "message", "type")

    def __init__(self, type: str, message: str, traceback: str = "") -> None:
        self.type = type
        self.message = _clean(message)
        self._traceback = traceback
        self._frames: list[tuple[str, int, str]] = []

    @classmethod
    def of(cls, exception: BaseException) -> ErrorInfo:
        """Keep an exception that user code raised; our own frames are left out."""
        kind = type(exception)
        module = kind.__module__
        name = kind.__qualname__
        if module != "builtins" and module != "__main__" and not module.startswith("sagakit."):
            name = f"{module}.{name}"
        try:
            message = str(exception)
        except Exception:  # noqa: BLE001  even that is the user's code
            message = f"<{kind.__name__}.__str__() failed>"
        info = cls(name, message)
        entry = exception.__traceback__
        while entry is not None and entry.tb_frame.f_code.co_filename.startswith(_OURS):
            entry = entry.tb_next
        if (
            exception.__context__ is None
            and exception.__cause__ is None
            and not isinstance(exception, _ODD)
            and "__notes__" not in exception.__dict__
        ):
            while entry is not None:
                code = entry.tb_frame.f_code
                info._frames.append((code.co_filename, entry.tb_lineno, code.co_name))
                entry = entry.tb_next
        else:  # more to it than frames and a message: Python's own formatting, at once
            from traceback import format_exception

            lines = format_exception(kind, exception, entry)
            info._traceback = _clean(_KERNEL_FOLDER.sub("ipykernel", "".join(lines)))
        return info

    def without(self, redaction: Redaction) -> ErrorInfo:
        """The same without any value known to be sensitive; notes and causes are in the text."""
        message = redaction.scrub(self.message)
        return ErrorInfo(self.type, message, redaction.scrub(self.traceback))

    @property
    def name(self) -> str:
        """The exception's class without its module."""
        return self.type.rpartition(".")[2]

    @property
    def traceback(self) -> str:
        """The traceback as Python prints it, from the user's own first frame on."""
        if not self._traceback:
            from traceback import FrameSummary, format_list

            frames = [FrameSummary(*frame) for frame in self._frames]
            head = "Traceback (most recent call last):\n" if frames else ""
            lines = "".join(format_list(frames))
            last = f"{self.type}: {self.message}" if self.message else self.type
            text = f"{head}{lines}{last}\n"
            self._traceback = _KERNEL_FOLDER.sub("ipykernel", text)
        return self._traceback

    def __repr__(self) -> str:
        return f"ErrorInfo({self.type}: {self.message})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ErrorInfo):
            return NotImplemented
        mine = (self.type, self.message, self.traceback)
        return mine == (other.type, other.message, other.traceback)

    def __hash__(self) -> int:
        return hash((self.type, self.message))


class Event(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, gc=False):
    """A fact about one execution. It holds plain data and so can be part of no cycle.

    ``sensitive``, where an event has it, says that its payload (its correlation) holds a value
    that the saga declares sensitive, under a name that does not tell.
    """

    def __repr__(self) -> str:
        return msgspec.Struct.__repr__(shown(self))


class ExecutionStarted(Event, frozen=True, gc=True, weakref=True):
    saga: str
    version: str | None
    fingerprint: str
    execution_id: str
    input: Any
    at: float
    parent: tuple[str, str] | None = None  # the execution and the step that it is part of
    trace: str | None = None  # the W3C traceparent of the span within which it was begun
    redact: tuple[str, ...] = ()  # the names of sensitive payload fields, casefolded
    sensitive: bool = False

    def __post_init__(self) -> None:
        if self.redact:  # also of one that another process wrote
            _redaction.declare(self, _redaction.folded(self.redact))


class StepStarted(Event, frozen=True, gc=False):
    """The intent to call the action; written before the call is made."""

    step: str
    attempt: int
    at: float
    child: str | None = None  # the execution that does the step, where a saga does it


class StepSkipped(Event, frozen=True, gc=False):
    """The step's ``when`` was false."""

    step: str
    at: float


class StepSucceeded(Event, frozen=True, gc=False):
    step: str
    attempt: int
    at: float
    result: Any = None
    sensitive: bool = False


class StepAttemptFailed(Event, frozen=True, gc=False):
    """One attempt failed and another follows at ``retry_at``."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo
    retry_at: float
    in_doubt: bool = False


class StepFailed(Event, frozen=True, gc=False):
    """The step failed for good and had no effect."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo
    terminal: bool = False  # retrying cannot help


class StepInDoubt(Event, frozen=True, gc=False):
    """The step was given up and nobody knows whether its effect happened."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo


class AttemptLost(Event, frozen=True, gc=False):
    """The coordinator crashed during an attempt (or a reconcile): it is in doubt, issued again."""

    step: str
    at: float


class WaitStarted(Event, frozen=True, gc=False):
    """The step waits for the world: for an event from outside, for a time, or for either."""

    step: str
    at: float
    event: str | None = None  # None: only for the time
    correlation: str | None = None
    expires_at: float | None = None
    sensitive: bool = False


class SignalReceived(Event, frozen=True, gc=False):
    """An event from outside arrived; a step that waits for it, now or later, takes it."""

    at: float
    event: str
    id: str  # a signal delivered again has the same
    payload: Any = None
    correlation: str | None = None  # only a wait with the same one takes it; None: any
    sensitive: bool = False
    by: str = ""  # who sent it, if that was said
    chosen: bool = False  # the sender knows the id: no other execution takes a signal with it


class CancellationRequested(Event, frozen=True, gc=False):
    """An operator called the execution off before its pivot: backward recovery begins."""

    at: float
    by: str
    why: str


class CompensationRequested(Event, frozen=True, gc=False):
    """The execution that this one is part of undoes it though it was completed."""

    at: float


class ChildStuck(Event, frozen=True, gc=False):
    """The execution that does (or undoes) the step is stuck, and so this one is at that step."""

    step: str
    at: float


class ChildResumed(Event, frozen=True, gc=False):
    """An operator decided about the execution that does the step; it goes on."""

    step: str
    at: float


class ReconcileStarted(Event, frozen=True, gc=False):
    """The participant is asked whether the step's effect happened."""

    step: str
    at: float


class ReconcileFailed(Event, frozen=True, gc=False):
    """The participant gave no answer; the step stays in doubt."""

    step: str
    at: float
    error: ErrorInfo


class CompensationStarted(Event, frozen=True, gc=False):
    step: str
    attempt: int
    at: float


class CompensationSucceeded(Event, frozen=True, gc=False):
    step: str
    attempt: int
    at: float


class CompensationAttemptFailed(Event, frozen=True, gc=False):
    """One attempt failed and another follows at ``retry_at``."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo
    retry_at: float
    refused: bool = False  # the service was not asked: it does not count against the policy


class CompensationFailed(Event, frozen=True, gc=False):
    """The compensation gave up."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo


Calling = Literal["action", "compensation", "reconcile"]


class AttemptHeld(Event, frozen=True, gc=False):
    """The call must wait for its service. It changes no state: the step has started already."""

    step: str
    at: float
    side: Calling
    by: str  # which of the service's policies holds it
    until: float | None = None  # the earliest time; None: until another call has ended


class AttemptAdmitted(Event, frozen=True, gc=False):
    """A call that was held is made now."""

    step: str
    at: float
    side: Calling


class BreakerChanged(Event, frozen=True, gc=False):
    """A call of this execution changed the state of a service's circuit breaker."""

    at: float
    service: str
    before: str
    after: str
    why: str


class HedgeStarted(Event, frozen=True, gc=False):
    """The answer is slow: the same is asked once more, and the first answer counts."""

    step: str
    at: float


class DeadlinePassed(Event, frozen=True, gc=False):
    """The saga's deadline passed before its pivot: backward recovery begins."""

    at: float


class ExecutionCompleted(Event, frozen=True, gc=False):
    at: float


class ExecutionCompensated(Event, frozen=True, gc=False):
    at: float


class ExecutionStuck(Event, frozen=True, gc=False):
    """Nothing can go on without an operator; ``steps`` are those that wait for one."""

    at: float
    steps: tuple[str, ...]


Resolution = Literal["retry", "skip", "abandon"]


class ExecutionResolved(Event, frozen=True, gc=False):
    """An operator decided about a stuck execution (about all its stuck steps, or one)."""

    at: float
    resolution: Resolution
    by: str
    why: str
    steps: tuple[str, ...]


class ExecutionMigrated(Event, frozen=True, gc=False):
    """An operator moved the execution to another definition of its saga, under which the events
    before this one are legal too. ``version`` and ``fingerprint`` are the new definition's."""

    at: float
    version: str | None
    fingerprint: str
    by: str
    why: str


AnyEvent = (
    ExecutionStarted
    | StepStarted
    | StepSkipped
    | StepSucceeded
    | StepAttemptFailed
    | StepFailed
    | StepInDoubt
    | AttemptLost
    | WaitStarted
    | SignalReceived
    | CancellationRequested
    | CompensationRequested
    | ChildStuck
    | ChildResumed
    | ReconcileStarted
    | ReconcileFailed
    | CompensationStarted
    | CompensationSucceeded
    | CompensationAttemptFailed
    | CompensationFailed
    | AttemptHeld
    | AttemptAdmitted
    | BreakerChanged
    | HedgeStarted
    | DeadlinePassed
    | ExecutionCompleted
    | ExecutionCompensated
    | ExecutionStuck
    | ExecutionResolved
    | ExecutionMigrated
)


# -- what may be shown of an event -----------------------------------------------------------

_WORDS = ("by", "why")  # what people wrote
_VALUES = ("input", "result", "payload", "correlation")
_PAYLOADS = (ExecutionStarted, StepSucceeded, SignalReceived, WaitStarted)


def seal(event: Event, redaction: Redaction) -> Event:
    """The event as the journal is to have it, in an execution with sensitive fields: what people
    and exceptions said does not hold a sensitive value, and a payload that does is marked."""
    if isinstance(event, _PAYLOADS):
        learn(event, redaction)
        values = [getattr(event, name, None) for name in _VALUES]
        unnamed = any(value is not None and redaction.holds(value) for value in values)
        return msgspec.structs.replace(event, sensitive=True) if unnamed else event
    changes: dict[str, Any] = {}
    error = getattr(event, "error", None)
    if error is not None:
        changes["error"] = error.without(redaction)
    for name in _WORDS:
        words = getattr(event, name, None)
        if words is not None:
            changes[name] = redaction.scrub(words)
    return msgspec.structs.replace(event, **changes) if changes else event


def learn(event: Event, redaction: Redaction) -> None:
    """Remember the sensitive values in an event's payload."""
    match event:
        case ExecutionStarted(input=input, sensitive=sensitive):
            redaction.learn(input, whole=sensitive)  # an item without a name, for instance
        case StepSucceeded(step=name, result=value) | SignalReceived(event=name, payload=value):
            unnamed = event.sensitive and not redaction.holds(value)
            redaction.learn(value, whole=unnamed or name.casefold() in redaction.names)


def shown(event: Event, redaction: Redaction | None = None) -> Event:
    """The event as people may see it: without the values of sensitive fields.

    Parameters:
        redaction: what is known of its execution; without it, the names hide that any saga, or
            any execution's first event, declares which is in memory.
    """
    if not isinstance(event, _PAYLOADS):
        return event
    names = _redaction.declared() if redaction is None else redaction.names
    if not (names or event.sensitive):
        return event
    changes: dict[str, Any] = {}
    payload = _payload(event)
    if payload:
        changes[payload] = _without(event, getattr(event, payload), redaction, names)
    correlation = getattr(event, "correlation", None)
    if correlation is not None and event.sensitive:
        changes["correlation"] = MASK
    return msgspec.structs.replace(event, **changes)


def _without(event: Event, value: Any, redaction: Redaction | None, names: AbstractSet[str]) -> Any:
    """An event's payload without what is sensitive in it."""
    name = getattr(event, "step", getattr(event, "event", ""))
    if name.casefold() in names:
        return MASK
    if redaction is not None:
        return redaction.clean(value)
    return MASK if event.sensitive else _redaction.mask(value, names)  # type: ignore[attr-defined]


def _payload(event: Event) -> str:
    """The name of the field that holds what user code gave."""
    match event:
        case ExecutionStarted():
            return "input"
        case StepSucceeded():
            return "result"
        case SignalReceived():
            return "payload"
    return ""


class Command(msgspec.Struct, frozen=True, gc=False):
    """A request from the coordinator to its driver."""


class RunAction(Command, frozen=True, gc=False):
    step: str
    attempt: int


class RunCompensation(Command, frozen=True, gc=False):
    step: str
    attempt: int


class AskReconcile(Command, frozen=True, gc=False):
    step: str


class EndWait(Command, frozen=True, gc=False):
    """The step's wait is over: its event is here, or its time has come."""

    step: str


class PassDeadline(Command, frozen=True, gc=False):
    """The deadline has passed: record it."""


class EndExecution(Command, frozen=True, gc=False):
    """Nothing is left to do: record how it ended. ``steps`` names what is stuck."""

    status: Literal["completed", "compensated", "stuck"]
    steps: tuple[str, ...] = ()
