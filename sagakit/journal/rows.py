"""What a batch of events writes into an SQLite journal, and what its writer must remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sagakit.errors import JournalError
from sagakit.events import (
    CancellationRequested,
    Event,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    SignalReceived,
)
from sagakit.journal import mail
from sagakit.journal.base import Batch, Rest, Wait
from sagakit.journal.chain import mark
from sagakit.journal.codec import encode_event
from sagakit.journal.summary import Summary, fold

# An event's key is its execution's number and its own in one integer: SQLite appends to a table
# with such a key by writing one page, to one with a key of two columns by writing up to four.
SEQ_BITS = 24

# The columns of an execution that change, in the order of its table.
_CHANGING = (
    "version",
    "fingerprint",
    "status",
    "changed_at",
    "failed_step",
    "error",
    "attempts",
    "retries",
    "compensated",
)
_RECEIVED = (SignalReceived, CancellationRequested, ExecutionResolved)  # from outside
_OF_NOTE = frozenset({*_RECEIVED, ExecutionMigrated})
INSERT_EXECUTION = f"INSERT INTO executions VALUES ({', '.join('?' * 17)})"
UPDATE_EXECUTION = (
    "UPDATE executions SET "
    + ", ".join(f"{name} = ?" for name in (*_CHANGING, "wake_at", "ord", "mark"))
    + " WHERE no = ?"
)


_WaitRow = tuple[str, str, float, int]  # event, correlation, since, number of the execution


@dataclass(slots=True)
class Rows:
    """What a batch writes."""

    cells: list[Any] = field(default_factory=list)  # of the events, four each
    started: list[tuple[Any, ...]] = field(default_factory=list)  # rows of new executions
    changed: list[tuple[Any, ...]] = field(default_factory=list)  # new cells of known ones
    received: list[mail.Received] = field(default_factory=list)
    forgotten: list[tuple[int]] = field(default_factory=list)  # whose waits are written anew
    over: list[_WaitRow] = field(default_factory=list)  # waits that have ended
    waits: list[_WaitRow] = field(default_factory=list)  # and those that began
    ended: list[str] = field(default_factory=list)  # ids of those that are not under way any more
    ord: int = 0  # of the last record, and its mark
    mark: bytes = b""

    @property
    def plain(self) -> bool:
        """Nothing but events."""
        return not (self.started or self.changed or self.received)


class Ledger:
    """What the writer of a journal remembers between commits.

    Parameters:
        next: the number of the next execution.
        ord: how many records there are, and ``mark``: that of the last one.
        key: of the marks; see ``chain.secret``.
        find: the number of an execution in the journal, and its events folded.
    """

    def __init__(
        self,
        next: int,
        ord: int,
        mark: bytes,
        key: bytes,
        find: Callable[[str], tuple[int, Summary]],
    ) -> None:
        self._next = next
        self.ord = ord
        self.mark = mark
        self._key = key
        self._find = find
        self._known: dict[str, tuple[int, Summary]] = {}  # of executions under way

    def rows(self, batch: Batch, rests: Mapping[str, Rest | None]) -> Rows:
        """What to write. Then call ``keep`` or ``forget``."""
        rows = Rows(ord=self.ord, mark=self.mark)
        begun: dict[str, ExecutionStarted] = {}
        changed: dict[str, None] = {}  # whose row is written
        for id, first, events in batch:
            if not first:
                head = events[0]
                assert isinstance(head, ExecutionStarted)
                begun[id] = head
                self._known[id] = (self._next + len(begun) - 1, Summary.of(head))
            number, summary = self._get(id)
            if first + len(events) > 1 << SEQ_BITS:
                raise JournalError(
                    f"execution '{id}' has more events than a journal numbers, "
                    f"{1 << SEQ_BITS:,}; begin another one"
                )
            if first and summary.status != "running":
                changed[id] = None  # its row seals its records until it runs again
            self._add(rows, (number << SEQ_BITS) + first, events)
            for event in events:
                if fold(summary, event):
                    changed[id] = None
                if type(event) in _OF_NOTE:
                    self._note(rows, id, event, changed)
        last: Any = {id: events[-1] for id, _, events in batch}
        now = max((event.at for event in last.values()), default=None)
        for id, rest in rests.items():
            self._rest(rows, id, rest, last[id].at if id in last else now)
            changed[id] = None
        for id in {**begun, **changed}:
            self._describe(rows, id, id in begun, rests.get(id))
        return rows

    def _get(self, id: str) -> tuple[int, Summary]:
        found = self._known.get(id)
        if found is None:
            found = self._known[id] = self._find(id)
        return found

    def _add(self, rows: Rows, key: int, events: Any) -> None:
        """The records of these events, each sealed to the one before it."""
        cells, ord, last, secret = rows.cells, rows.ord, rows.mark, self._key
        for number, event in enumerate(events, key):
            body = encode_event(event)
            ord += 1
            last = mark(last, secret, number, body)
            cells += (number, body, ord, last)
        rows.ord, rows.mark = ord, last

    def _note(self, rows: Rows, id: str, event: Event, changed: dict[str, None]) -> None:
        if isinstance(event, _RECEIVED):
            rows.received.append((id, event))
        else:
            changed[id] = None  # it is pinned to another definition

    def _rest(self, rows: Rows, id: str, rest: Rest | None, at: float | None) -> None:
        """What an execution waits for from now on.

        Parameters:
            at: now, as its last event or those of others say it; None: nothing has happened.
        """
        number, summary = self._get(id)
        if summary.status in ("running", "waiting"):  # what is stuck may wait, too, and stays so
            summary.status = "waiting" if rest is not None and rest.resting else "running"
            summary.changed_at = summary.changed_at if at is None else at
        if rest is None or rest.waits is not None:
            rows.forgotten.append((number,))
        if rest is not None:
            rows.over += (_wait_row(wait, number) for wait in rest.ended)
            rows.waits += (_wait_row(wait, number) for wait in (*(rest.waits or ()), *rest.began))

    def _describe(self, rows: Rows, id: str, new: bool, rest: Rest | None) -> None:
        """The execution's row, as it is now."""
        number, summary = self._known[id]
        wake_at = rest.wake_at if rest is not None and rest.resting else None
        if new:
            listed = msgspec.structs.astuple(summary)  # in the order of the table's columns
            rows.started.append((number, id, *listed, wake_at, rows.ord, rows.mark))
        else:
            cells = (getattr(summary, name) for name in _CHANGING)
            rows.changed.append((*cells, wake_at, rows.ord, rows.mark, number))
        if summary.status != "running":
            rows.ended.append(id)

    def keep(self, rows: Rows) -> None:
        """It is written."""
        self.ord, self.mark = rows.ord, rows.mark
        self._next += len(rows.started)
        for id in rows.ended:
            self._known.pop(id, None)

    def forget(self, batch: Batch, rests: Mapping[str, Rest | None]) -> None:
        """It is not written: what was noted of these executions is read anew, if it is needed."""
        for id in (*(id for id, _, _ in batch), *rests):
            self._known.pop(id, None)


def _wait_row(wait: Wait, number: int) -> _WaitRow:
    return wait.event, wait.correlation, wait.since, number
