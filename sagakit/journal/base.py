"""What every journal offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypedDict

import msgspec

from sagakit import redaction
from sagakit.errors import SagaError
from sagakit.events import Event, Resolution
from sagakit.journal.summary import Summary

# (execution id, number of the first event, events), for one or many executions
Batch = Sequence[tuple[str, int, Sequence[Event]]]


class Wait(msgspec.Struct, frozen=True, gc=False):
    """An execution waits for an event with this correlation, since then (seconds)."""

    event: str
    correlation: str
    since: float

    __repr__ = redaction.repr_of


class Rest(msgspec.Struct, frozen=True):
    """What an execution waits for.

    Parameters:
        wake_at: seconds since the epoch: it goes on then though nothing happens; None: never.
        resting: it does nothing else (status ``waiting``), or steps beside the wait go on.
        waits: those that a signal finds by its correlation; None: the same as before, but for
            those that ``began`` and those that have ``ended`` since.
    """

    wake_at: float | None
    resting: bool = True
    waits: tuple[Wait, ...] | None = None
    began: tuple[Wait, ...] = ()
    ended: tuple[Wait, ...] = ()


class Letter(msgspec.Struct, frozen=True):
    """A signal that is kept until ``expires_at`` for a wait that has not begun. Times are seconds
    since the epoch."""

    event: str
    correlation: str
    id: str
    at: float
    expires_at: float
    payload: Any = None
    by: str = ""

    __repr__ = redaction.repr_of


class Post(msgspec.Struct, frozen=True, omit_defaults=True):
    """What another process asks of the engine that has the journal open: to deliver a signal, to
    resolve the execution ``to`` (with ``resolution``) or (without either) to call it off."""

    id: str  # of the request, and of its signal
    event: str | None = None
    payload: Any = None
    to: str | None = None
    correlation: str | None = None
    keep: float | None = None  # seconds from the post on
    at: float = 0.0
    by: str = ""
    why: str = ""
    resolution: Resolution | None = None
    step: str | None = None  # only this stuck step

    __repr__ = redaction.repr_of


class ExecutionRow(msgspec.Struct, frozen=True):
    """One execution in a listing. Times are seconds since the epoch; version and fingerprint are
    those it is pinned to now.

    Parameters:
        parent: the id of the execution that this one does a step of.
        failed_step, error: the step that failed for good or stayed in doubt, and the class of
            what it raised; None without one.
        attempts, retries, compensated: see ``Summary``.
    """

    id: str
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

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end; None while it has not ended."""
        under_way = self.status in ("running", "waiting")
        return None if under_way else self.changed_at - self.started_at

    def updated(self, summary: Summary) -> ExecutionRow:
        """With what has happened since it was written; its status stays."""
        said = {name: getattr(summary, name) for name in _COUNTED}
        return msgspec.structs.replace(self, **said)


STATUSES = ("running", "waiting", "completed", "compensated", "stuck", "abandoned")
ENDED = ("completed", "compensated", "abandoned")
_COUNTED = ("failed_step", "error", "attempts", "retries", "compensated")


class Glance(msgspec.Struct, frozen=True):
    """The outermost executions of a journal at one moment: those that do a step of another one are
    left out.

    Parameters:
        last: the number of the execution that began last, 0 without any.
        counts: how many have each status.
        unended: by their numbers, those that are neither completed, compensated nor abandoned.
            What is said of running ones is as old as their status.
    """

    last: int
    counts: Mapping[str, int]
    unended: Mapping[int, ExecutionRow]


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which executions are listed, and in which order.

    Parameters:
        since, until: the start lies in this interval (seconds since the epoch; until: before it).
        failed_step: the step that failed for good or stayed in doubt.
        outermost: only those that do no step of another one.
        newest: the latest start first, instead of the earliest.
        limit: at most so many.
    """

    status: str | None = None
    saga: str | None = None
    since: float | None = None
    until: float | None = None
    failed_step: str | None = None
    outermost: bool = False
    newest: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in STATUSES:
            known = ", ".join(STATUSES)
            raise SagaError(f"there is no status '{self.status}'; known are {known}")
        most = self.limit
        if most is not None and (type(most) is not int or most < 0):
            raise SagaError(f"limit is {most!r}; give a number of executions, 0 or more")

    def sql(self) -> tuple[str, dict[str, Any]]:
        """The clauses for the table of executions, and their values. What it says of running ones
        is not quite up to date: ask ``holds`` once it is."""
        clauses = [
            clause for name, clause in _CLAUSES.items() if getattr(self, name) not in (None, False)
        ]
        where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
        order = f"ORDER BY no{' DESC' if self.newest else ''} LIMIT :most"
        most = -1 if self.limit is None or self.failed_step is not None else self.limit
        return where + order, {**msgspec.structs.asdict(self), "most": most}

    def holds(self, row: ExecutionRow) -> bool:
        """Whether a row is one of those wanted."""
        return (
            self.status in (None, row.status)
            and self.saga in (None, row.saga)
            and (self.since is None or row.started_at >= self.since)
            and (self.until is None or row.started_at < self.until)
            and self.failed_step in (None, row.failed_step)
            and not (self.outermost and row.parent is not None)
        )


_CLAUSES = {
    "status": "status = :status",
    "saga": "saga = :saga",
    "since": "started_at >= :since",
    "until": "started_at < :until",
    "failed_step": "(failed_step = :failed_step OR status = 'running')",
    "outermost": "parent IS NULL",
}
ALL = Filter()


class Wanted(TypedDict, total=False):
    """Which executions are wanted; see ``Filter``. A time is a ``datetime`` (without a zone: the
    local one) or in seconds since the epoch."""

    status: str | None
    saga: str | None
    since: datetime | float | None
    until: datetime | float | None
    failed_step: str | None
    outermost: bool
    newest: bool
    limit: int | None


def asked(
    *, since: datetime | float | None = None, until: datetime | float | None = None, **others: Any
) -> Filter:
    """The filter for what somebody asks for."""
    return Filter(since=_seconds(since), until=_seconds(until), **others)


def _seconds(time: datetime | float | None) -> float | None:
    return time.timestamp() if isinstance(time, datetime) else time


class Journal(Protocol):
    """An append-only log of events. Its methods may be called from any thread."""

    durable: bool  # whether an append waits for a disk
    shared: bool  # whether other processes may post something to it

    def define(self, fingerprint: str, saga: str, version: str | None, shape: Any) -> None:
        """Keep a definition's shape, so that a later change can be told from it."""

    def definition(self, fingerprint: str) -> tuple[str | None, Any]:
        """The (version, shape) kept under a fingerprint."""

    def append(self, batch: Batch, rests: Mapping[str, Rest | None] | None = None) -> None:
        """Add events, all or none, and return when they are safe.

        A signal among them is marked as taken in the mailbox and as delivered in the inbox, and a
        cancellation as delivered, by the same commit.

        Parameters:
            rests: of these executions, what they wait for from now on; None: nothing any more,
                and no signal finds them. Those of which the batch has no event wait, or go on,
                because of what others do that do steps of them.

        Raises:
            JournalError: nothing of the batch was added.
        """

    def read(self, execution_id: str) -> list[Event]:
        """All events of one execution, in order; UnknownExecutionError if there is none."""

    def several(self, ids: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        """(id, events) of those of these executions that there are; None for events that cannot
        be read (``read`` says why)."""

    def parent(self, execution_id: str) -> str | None:
        """The id of the execution that this one does a step of; UnknownExecutionError if there is
        no such execution."""

    def find(self, wanted: Filter = ALL) -> list[ExecutionRow]:
        """Those executions that are wanted, in the order of their start."""

    def counts(self) -> dict[str, int]:
        """How many executions have each status."""

    def glance(self) -> Glance:
        """What a monitor begins with; it looks at every execution."""

    def news(self, last: int, unended: Iterable[int]) -> tuple[int, list[tuple[int, ExecutionRow]]]:
        """What a monitor goes on with: it looks only at what may have changed.

        Parameters:
            last: the number of the last execution that is known, and
            unended: those of the ones that have not ended, as ``glance`` or this gave them.

        Returns:
            the number of the last one now; and (number, row) of the outermost ones that have begun
            since, and of those that had not ended.
        """

    def unfinished(
        self, fingerprints: Iterable[str], at: float
    ) -> Iterator[tuple[str, list[Event] | None]]:
        """(id, events) of every execution with one of these fingerprints that has something to do
        at that time (seconds): that is running, or waits and is to wake by then, or for which a
        letter is kept. None for events that cannot be read (``read`` says why)."""

    def sleeping(self, fingerprints: Iterable[str]) -> list[tuple[str, float | None]]:
        """(id, wake_at) of every waiting execution with one of these fingerprints."""

    def asleep(self, parent: str, ids: Iterable[str]) -> dict[str, float | None]:
        """When those of these executions wake that do steps of the parent and wait, by id."""

    def waits(self) -> bool:
        """Whether any execution waits, or is stuck and waits for a correlated signal."""

    def due(self, ids: Iterable[str], at: float) -> Iterator[tuple[str, list[Event] | None]]:
        """(id, events) of those executions that still wait and are to wake by then (seconds);
        None for events that cannot be read."""

    def awaiting(self, event: str, correlation: str) -> Iterator[tuple[float, str, str]]:
        """(since, id, fingerprint) of the executions that wait for it, who has waited longest
        first. It may end early if others write meanwhile."""

    def keep(self, letter: Letter) -> Letter:
        """Keep a signal for a wait to come; the one that is kept under its id already, if there
        is one."""

    def taken(self, signal_id: str) -> str | None:
        """The execution that has taken the signal to which its sender gave this id. It is known
        as long as that execution is in the journal."""

    def letters(self, event: str, correlation: str, at: float) -> list[Letter]:
        """What is kept for this wait and neither taken nor expired then; the oldest first."""

    def expire(self, at: float) -> float | None:
        """Forget the letters that have expired by then (seconds), and requests that were settled
        a day ago; when the next letter expires."""

    def posted(self) -> list[Post]:
        """What other processes ask for, if something is new."""

    def settle(self, post_id: str, outcome: str, execution_id: str | None) -> None:
        """Note what became of a request, unless that is noted."""

    def strangers(
        self, sagas: Iterable[str], fingerprints: Iterable[str]
    ) -> Iterator[tuple[str, str, str]]:
        """(id, saga, fingerprint) of an unfinished execution for each definition of these sagas
        that is not among the fingerprints."""

    def close(self) -> None:
        """Release the journal. Closing twice is allowed."""
