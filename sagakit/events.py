"""Facts and requests: events (past tense, kept for ever) and commands (imperative, never kept).

An event is what the journal stores. ``at`` is seconds since the Unix epoch; it arrives as data.
"""

from __future__ import annotations

import os
import re
import traceback as _traceback
from typing import Any, Literal

import msgspec

# A kernel's temporary folder holds its process id; without it a notebook's tracebacks are stable.
_KERNEL_FOLDER = re.compile(r"ipykernel_\d+")

_DRIVERS = os.path.join(os.path.dirname(__file__), "drivers")


class ErrorInfo:
    """What user code raised, kept whole: ``type``, ``message`` and ``traceback`` (text).

    The traceback is formatted when somebody first asks for it, because formatting costs more than
    ten steps do. ``exception`` is the object itself while the process that raised it lives.
    """

    __slots__ = ("_traceback", "exception", "message", "type")

    def __init__(
        self, type: str, message: str, traceback: str = "", exception: BaseException | None = None
    ) -> None:
        self.type = type
        self.message = message
        self._traceback = traceback
        self.exception = exception

    @classmethod
    def of(cls, exception: BaseException) -> ErrorInfo:
        """Keep an exception that user code raised (its first frame is our call, left out)."""
        kind = type(exception)
        module = kind.__module__
        name = kind.__qualname__
        if module not in ("builtins", "__main__") and not module.startswith("sagakit."):
            name = f"{module}.{name}"
        return cls(name, str(exception), "", exception)

    @property
    def name(self) -> str:
        """The exception's class without its module."""
        return self.type.rpartition(".")[2]

    @property
    def traceback(self) -> str:
        """The traceback as Python prints it, from the user's own first frame on."""
        exception = self.exception
        if not self._traceback and exception is not None:
            frames = exception.__traceback__
            while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_DRIVERS):
                frames = frames.tb_next  # our own calls say nothing about the user's code
            lines = _traceback.format_exception(type(exception), exception, frames)
            self._traceback = _KERNEL_FOLDER.sub("ipykernel", "".join(lines))
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


class Event(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """A fact about one execution."""


class ExecutionStarted(Event, frozen=True):
    saga: str
    version: str | None
    fingerprint: str
    execution_id: str
    input: Any
    at: float


class StepStarted(Event, frozen=True, gc=False):
    """The intent to call the action; written before the call is made."""

    step: str
    attempt: int
    at: float


class StepSkipped(Event, frozen=True):
    """The step's ``when`` was false."""

    step: str
    at: float


class StepSucceeded(Event, frozen=True, gc=False):
    step: str
    attempt: int
    at: float
    result: Any = None


class StepAttemptFailed(Event, frozen=True):
    """One attempt failed and another follows at ``retry_at``."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo
    retry_at: float
    in_doubt: bool = False


class StepFailed(Event, frozen=True):
    """The step failed for good and had no effect."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo


class StepInDoubt(Event, frozen=True):
    """The step was given up and nobody knows whether its effect happened."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo


class AttemptLost(Event, frozen=True):
    """The coordinator crashed during an attempt (or a reconcile): it is in doubt, issued again."""

    step: str
    at: float


class ReconcileStarted(Event, frozen=True):
    """The participant is asked whether the step's effect happened."""

    step: str
    at: float


class ReconcileFailed(Event, frozen=True):
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


class CompensationAttemptFailed(Event, frozen=True):
    step: str
    attempt: int
    at: float
    error: ErrorInfo
    retry_at: float


class CompensationFailed(Event, frozen=True):
    """The compensation gave up."""

    step: str
    attempt: int
    at: float
    error: ErrorInfo


class DeadlinePassed(Event, frozen=True):
    """The saga's deadline passed before its pivot: backward recovery begins."""

    at: float


class ExecutionCompleted(Event, frozen=True):
    at: float


class ExecutionCompensated(Event, frozen=True):
    at: float


class ExecutionStuck(Event, frozen=True):
    """Nothing can go on without an operator; ``steps`` are those that wait for one."""

    at: float
    steps: tuple[str, ...]


Resolution = Literal["retry", "skip", "abandon"]


class ExecutionResolved(Event, frozen=True):
    """An operator decided about a stuck execution (about all its stuck steps, or one)."""

    at: float
    resolution: Resolution
    by: str
    why: str
    steps: tuple[str, ...]


AnyEvent = (
    ExecutionStarted
    | StepStarted
    | StepSkipped
    | StepSucceeded
    | StepAttemptFailed
    | StepFailed
    | StepInDoubt
    | AttemptLost
    | ReconcileStarted
    | ReconcileFailed
    | CompensationStarted
    | CompensationSucceeded
    | CompensationAttemptFailed
    | CompensationFailed
    | DeadlinePassed
    | ExecutionCompleted
    | ExecutionCompensated
    | ExecutionStuck
    | ExecutionResolved
)


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


class PassDeadline(Command, frozen=True, gc=False):
    """The deadline has passed: record it."""


class EndExecution(Command, frozen=True, gc=False):
    """Nothing is left to do: record how it ended. ``steps`` names what is stuck."""

    status: Literal["completed", "compensated", "stuck"]
    steps: tuple[str, ...] = ()
