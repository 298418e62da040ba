"""What every journal offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from sagakit.events import (
    ChildResumed,
    CompensationRequested,
    Event,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionResolved,
    ExecutionStuck,
)

# (execution id, number of the first event, events), for one or many executions
Batch = Sequence[tuple[str, int, Sequence[Event]]]


class Rest(msgspec.Struct, frozen=True):
    """An execution waits for the world, until ``wake_at`` (seconds since the epoch) at most."""

    wake_at: float | None


class ExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One execution in a listing. Times are seconds since the epoch; version and fingerprint are
    those it is pinned to now."""

    id: str
    saga: str
    version: str | None
    fingerprint: str
    status: str
    started_at: float
    changed_at: float


class Journal(Protocol):
    """An append-only log of events. Its methods may be called from any thread."""

    durable: bool  # whether an append waits for a disk

    def define(self, fingerprint: str, saga: str, version: str | None, shape: Any) -> None:
        """Keep a definition's shape, so that a later change can be told from it."""

    def definition(self, fingerprint: str) -> tuple[str | None, Any]:
        """The (version, shape) kept under a fingerprint."""

    def append(self, batch: Batch, rests: Mapping[str, Rest | None] | None = None) -> None:
        """Add events, all or none, and return when they are safe.

        Parameters:
            rests: of these executions, which wait from now on (status ``waiting``), and which
                (None) wait no more.

        Raises:
            JournalError: nothing of the batch was added.
        """

    def read(self, execution_id: str) -> list[Event]:
        """All events of one execution, in order; UnknownExecutionError if there is none."""

    def find(
        self,
        *,
        status: str | None = None,
        saga: str | None = None,
        limit: int | None = None,
    ) -> list[ExecutionRow]:
        """Executions in the order of their start, filtered."""

    def counts(self) -> dict[str, int]:
        """How many executions have each status."""

    def unfinished(self, fingerprints: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        """(id, events) of every running or waiting execution with one of these fingerprints;
        None for events that cannot be read (``read`` says why)."""

    def strangers(
        self, sagas: Iterable[str], fingerprints: Iterable[str]
    ) -> Iterator[tuple[str, str, str]]:
        """(id, saga, fingerprint) of an unfinished execution for each definition of these sagas
        that is not among the fingerprints."""

    def close(self) -> None:
        """Release the journal. Closing twice is allowed."""


_STATUS: dict[type[Event], str] = {
    ExecutionCompleted: "completed",
    ExecutionCompensated: "compensated",
    ExecutionStuck: "stuck",
    ExecutionResolved: "running",
    CompensationRequested: "running",
    ChildResumed: "running",
}


def status_after(event: Event) -> str | None:
    """The status an event puts its execution in; None when it changes none."""
    status = _STATUS.get(type(event))
    if type(event) is ExecutionResolved and event.resolution == "abandon":
        return "abandoned"
    return status
