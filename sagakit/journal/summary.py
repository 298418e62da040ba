"""The read side of the journal: what a listing says of an execution, folded from its events.

The log of events is what is written; a row of this is kept beside it for those who ask about many
executions (CQRS: https://martinfowler.com/bliki/CQRS.html), and can be folded anew at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from sagakit.events import (
    ChildResumed,
    CompensationAttemptFailed,
    CompensationFailed,
    CompensationRequested,
    CompensationStarted,
    CompensationSucceeded,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    ExecutionStuck,
    StepAttemptFailed,
    StepFailed,
    StepInDoubt,
    StepStarted,
    StepSucceeded,
)


class Summary(msgspec.Struct, gc=False):
    """What one execution's events add up to. Times are seconds since the epoch.

    Parameters:
        changed_at: when the status became what it is.
        failed_step: the first step that failed for good, or whose doubt nobody cleared; None
            once it has succeeded after all.
        error: the class of what it raised, without its module.
        attempts: how many calls of actions and compensations were begun.
        retries: how many of them failed and were followed by another.
        compensated: how many steps were undone.
    """

    saga: str
    version: str | None
    fingerprint: str
    status: str
    started_at: float
    changed_at: float
    parent: str | None = None
    failed_step: str | None = None
    error: str | None = None
    attempts: int = 0
    retries: int = 0
    compensated: int = 0

    @classmethod
    def of(cls, started: ExecutionStarted) -> Summary:
        parent = None if started.parent is None else started.parent[0]
        return cls(
            started.saga,
            started.version,
            started.fingerprint,
            "running",
            started.at,
            started.at,
            parent,
        )


def summarise(events: Iterable[Event]) -> Summary:
    """The summary of an execution, from its first event on."""
    rest = iter(events)
    first = next(rest)
    assert isinstance(first, ExecutionStarted)
    summary = Summary.of(first)
    for event in rest:
        fold(summary, event)
    return summary


def fold(summary: Summary, event: Event) -> bool:
    """Change a summary as one more event says; whether it changed the status."""
    change = _FOLD.get(type(event))
    return change is not None and bool(change(summary, event))


def _begun(summary: Summary, _: Event) -> None:
    summary.attempts += 1


def _retried(summary: Summary, _: Event) -> None:
    summary.retries += 1


def _undone(summary: Summary, _: Event) -> None:
    summary.compensated += 1


def _failed(summary: Summary, event: Any) -> None:
    if summary.failed_step is None:
        summary.failed_step, summary.error = event.step, event.error.name


def _succeeded(summary: Summary, event: StepSucceeded) -> None:
    if summary.failed_step == event.step:
        summary.failed_step = summary.error = None


def _migrated(summary: Summary, event: ExecutionMigrated) -> None:
    summary.version, summary.fingerprint = event.version, event.fingerprint


def _becomes(status: str) -> Callable[[Summary, Any], bool]:
    def change(summary: Summary, event: Any) -> bool:
        summary.status, summary.changed_at = status, event.at
        return True

    return change


def _resolved(summary: Summary, event: ExecutionResolved) -> bool:
    summary.status = "abandoned" if event.resolution == "abandon" else "running"
    summary.changed_at = event.at
    return True


_FOLD: dict[type[Event], Callable[[Summary, Any], object]] = {
    StepStarted: _begun,
    CompensationStarted: _begun,
    StepAttemptFailed: _retried,
    CompensationAttemptFailed: _retried,
    StepFailed: _failed,
    StepInDoubt: _failed,
    CompensationFailed: _failed,
    StepSucceeded: _succeeded,
    CompensationSucceeded: _undone,
    ExecutionMigrated: _migrated,
    ExecutionCompleted: _becomes("completed"),
    ExecutionCompensated: _becomes("compensated"),
    ExecutionStuck: _becomes("stuck"),
    ExecutionResolved: _resolved,
    CompensationRequested: _becomes("running"),
    ChildResumed: _becomes("running"),
}
