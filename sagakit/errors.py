"""Whose fault it is: every error that sagakit raises, and the two that user code raises for it.

Business outcomes (completed, compensated, stuck) are values, not exceptions. What stands here is a
bad definition, a bad input, a journal that cannot be used, or a bug.
"""

from __future__ import annotations

from collections.abc import Iterable


class SagaError(Exception):
    """The base of every error that sagakit raises on purpose."""


# -- raised by the user's own actions -------------------------------------------------------


class TerminalError(SagaError):
    """Raise it in an action: retrying cannot help, go straight to recovery.

    In a compensation it means that the undo cannot succeed: the execution becomes stuck.
    """


class InDoubtError(SagaError):
    """Raise it in an action: a request was sent and no reply came, so the outcome is unknown.

    ``TimeoutError`` and a connection that breaks after it was made (``ConnectionResetError``,
    ``ConnectionAbortedError``, ``BrokenPipeError``) count as in doubt without it.
    """


# -- raised by connectors and expressions ----------------------------------------------------


class ExpressionError(TerminalError):
    """An expression has no value with what it was given, or takes too much work.

    Parameters:
        place: of what it is a part, ``step 'pay'`` for instance.
        expression: its text.
        why: what is wrong, in words that go on from "the expression …".
    """

    def __init__(self, place: str, expression: str, why: str) -> None:
        self.place = place
        self.expression = expression
        self.why = why
        super().__init__(place, expression, why)

    def __str__(self) -> str:
        text = self.expression if len(self.expression) <= 80 else f"{self.expression[:79]}…"
        return f"{self.place}: the expression '{text}' {self.why}"


class SecretError(TerminalError):
    """A secret that a connector refers to is not there, or cannot be used."""


class NotDoneError(SagaError):
    """A request was surely not carried out: another attempt may help, and is harmless.

    Parameters:
        text: what happened.
        wait: seconds before which another attempt is useless, as the service said.
    """

    def __init__(self, text: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(text, wait)

    def __str__(self) -> str:
        return str(self.args[0])


class UselessReplyError(TerminalError, InDoubtError):
    """A request succeeded, but its reply is not the one expected: its effect happened, and nobody
    can rely on the result. The step is in doubt, and not tried again."""


# -- raised by countermeasures -------------------------------------------------------------


class LockedError(SagaError):
    """Another saga has the semantic lock of a row: trying again may help.

    Parameters:
        key: the row's key.
        holder: the id of the execution that has the lock.
    """

    def __init__(self, key: object, holder: object) -> None:
        self.key = key
        self.holder = holder
        super().__init__(key, holder)

    def __str__(self) -> str:
        return f"{self.key!r} is locked by execution '{self.holder}'; give the step a retry to wait"


class StaleValueError(TerminalError):
    """A row is not as an earlier step has seen it: the step must not go on by that.

    Parameters:
        key: the row's key.
        seen: its value as it was read.
        found: its value now.
    """

    def __init__(self, key: object, seen: object, found: object) -> None:
        self.key = key
        self.seen = seen
        self.found = found
        super().__init__(key, seen, found)

    def __str__(self) -> str:
        return f"{self.key!r} was {self.seen!r} when it was read and is {self.found!r} now"


# -- a service's policies --------------------------------------------------------------------


class ServiceRefusedError(SagaError):
    """A service's guard let the call of an attempt not be made: it surely had no effect.

    Parameters:
        service: the service's name.
        part: which of its policies refused, ``"circuit breaker"`` for instance.
        why: in words.
        retry_at: seconds since the epoch (in virtual time: since its beginning) before which
            another attempt is useless; None: not known.
    """

    def __init__(self, service: str, part: str, why: str, retry_at: float | None = None) -> None:
        self.service = service
        self.part = part
        self.why = why
        self.retry_at = retry_at
        super().__init__(service, part, why, retry_at)

    def __str__(self) -> str:
        return f"service '{self.service}': refused by its {self.part}: {self.why}"


# -- the definition and what is put into it -------------------------------------------------


class Problem(str):
    """One fault of a definition, in words that end with its cure, and where it stands.

    Parameters:
        path: from the definition inwards, in the words of the YAML form:
            ``"steps", 2, "retry", "attempts"``; it may end early.
    """

    path: tuple[str | int, ...]

    def __new__(cls, text: str, *path: str | int) -> Problem:
        made = super().__new__(cls, text)
        made.path = path
        return made


def within(problems: Iterable[str], *path: str | int) -> list[Problem]:
    """The same problems, of what stands there in a larger definition."""
    return [Problem(text, *path, *getattr(text, "path", ())) for text in problems]


class DefinitionError(SagaError):
    """A saga that cannot be run. ``problems`` lists every fault found, each with its cure."""

    def __init__(self, subject: str, problems: Iterable[str]) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        super().__init__(subject, self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return f"{self.subject}: {self.problems[0]}"
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        return f"{self.subject} has {len(self.problems)} problems:{lines}"


class InputError(SagaError):
    """An input that the saga's schema refuses or that cannot be stored. Nothing was started."""


class CodecError(SagaError):
    """A value that the journal could not give back as it was."""


class ScenarioError(SagaError):
    """A scenario that does not fit the saga it is applied to."""


# -- executions -----------------------------------------------------------------------------


class IllegalEventError(SagaError):
    """An event that cannot happen in this state: a bug in a driver, or a damaged journal."""


class UnknownExecutionError(SagaError):
    """No execution has this id."""


class ConflictError(SagaError):
    """An execution id that is already taken by another saga or another input."""


class DefinitionChangedError(SagaError):
    """The execution is pinned to another version of the saga; the message names the difference."""


class ResolutionError(SagaError):
    """A resolution that does not fit the execution, such as one that is not stuck."""


class MigrationError(SagaError):
    """An execution that cannot go on under another definition; the text names the steps."""


class CancellationError(SagaError):
    """An execution can no longer be called off; the text says why."""


class SignalError(SagaError):
    """A signal that cannot be delivered; the text says why. Nothing was recorded."""


class SimulationError(SagaError):
    """A simulation that would never end."""


class EngineClosedError(SagaError):
    """The engine was closed; what it had not finished stays in the journal, to be recovered."""


# -- the journal ----------------------------------------------------------------------------


class JournalError(SagaError):
    """The journal could not do what was asked. What it had accepted before is still there."""


class JournalBusyError(JournalError):
    """Another engine has the file open, or another program holds its lock."""


class JournalFullError(JournalError):
    """No space is left on the disk."""


class JournalKeyError(JournalError):
    """The journal's seal has another key than the environment has."""


class JournalReadOnlyError(JournalError):
    """The file or its folder cannot be written."""


class JournalCorruptError(JournalError):
    """The file is truncated, damaged, or not a sagakit journal at all."""


# -- trace files ----------------------------------------------------------------------------


class TraceFileError(SagaError):
    """A trace file that cannot be read, or spans that cannot be written into one.

    Parameters:
        file: the file's name.
        place: where in it: a line and column, or a path like
            ``resourceSpans[0].scopeSpans[0].spans[3].startTimeUnixNano``.
        why: what is wrong there.
        cure: what to do about it.
    """

    def __init__(self, file: str, place: str, why: str, cure: str) -> None:
        self.file = file
        self.place = place
        self.why = why
        self.cure = cure
        super().__init__(file, place, why, cure)

    def __str__(self) -> str:
        return f"trace file '{self.file}': {self.place}: {self.why}; {self.cure}"
