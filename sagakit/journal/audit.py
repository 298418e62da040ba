"""Is the journal as it was written, and who did what, when and why?

Each record is sealed to the one before it (``chain``), an execution's row notes how far the log
went when its status last changed, and so does the whole file when it is closed. What that cannot
show is a log whose end was cut off together with everything that says so, or, without a key, one
whose later seals were all computed anew. A head that was noted elsewhere shows both: give it as
``head``.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from sagakit.errors import JournalError, JournalKeyError
from sagakit.events import (
    CancellationRequested,
    Event,
    ExecutionMigrated,
    ExecutionResolved,
    ExecutionStarted,
    SignalReceived,
)
from sagakit.journal.chain import SIZE, START, VARIABLE, key_id, mark, secret
from sagakit.journal.codec import decode_event
from sagakit.journal.rows import SEQ_BITS
from sagakit.journal.sqlite import SqliteJournal
from sagakit.journal.summary import Summary, fold

_SEQ = (1 << SEQ_BITS) - 1


class Head(msgspec.Struct, frozen=True):
    """How far a log goes: how many records, and the mark of the last one in hexadecimal."""

    ord: int
    mark: str

    def __str__(self) -> str:
        return f"{self.ord}:{self.mark}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """What ``str`` of a head gives.

        Raises:
            JournalError: it is something else.
        """
        number, _, digits = text.partition(":")
        if (
            not number.isdecimal()
            or len(digits) != 2 * SIZE
            or set(digits) - set("0123456789abcdef")
        ):
            raise JournalError(f"{text!r} is no head; give NUMBER:MARK, as verify prints it")
        return cls(int(number), digits)


class Finding(msgspec.Struct, frozen=True):
    """What is wrong first.

    Parameters:
        record: the place in the log, from 1; None if it concerns none.
        execution, event, type: which event of which execution it is, where that can be told.
    """

    problem: str
    record: int | None = None
    execution: str | None = None
    event: int | None = None
    type: str | None = None

    def __str__(self) -> str:
        where = [] if self.record is None else [f"record {self.record}"]
        if self.execution is not None:
            which = "" if self.event is None else f"event {self.event} of "
            where.append(f"{which}execution '{self.execution}'")
        if self.type is not None:
            where.append(self.type)
        place = f"{where[0]} ({', '.join(where[1:])})" if where[1:] else "".join(where)
        return f"{place}: {self.problem}" if place else self.problem


class Verdict(msgspec.Struct, frozen=True):
    """What ``verify`` found; ``finding`` is None if all is as it was written."""

    records: int
    executions: int
    keyed: bool
    head: Head
    finding: Finding | None = None

    @property
    def sound(self) -> bool:
        return self.finding is None


def verify(path: str | os.PathLike[str], *, head: Head | None = None) -> Verdict:
    """Read the whole log and find the first record that was changed, removed, put in or moved.

    It also compares the listing and the definitions with what the log says. The journal may be in
    use; what is added meanwhile is not looked at. The key is the one in ``SAGAKIT_AUDIT_KEY``.

    Parameters:
        head: one that was noted earlier: the log must go on from there.

    Raises:
        JournalKeyError: the journal was begun with another key than the environment has.
        JournalError: the file cannot be read.
    """
    journal = SqliteJournal(path, read_only=True)
    try:
        with journal.reading() as reader:
            reader.execute("BEGIN")  # one state of the file throughout
            try:
                return _Audit(Path(path), reader, head).verdict()
            finally:
                reader.execute("ROLLBACK")
    finally:
        journal.close()


class _Row(msgspec.Struct):
    """What the table of executions says of one."""

    id: str
    ord: int
    mark: bytes
    summary: Summary


class _Wrong(Exception):  # noqa: N818
    def __init__(self, finding: Finding) -> None:
        self.finding = finding


class _Audit:
    def __init__(self, path: Path, reader: sqlite3.Connection, head: Head | None) -> None:
        self.reader = reader
        self.noted = head
        self.ord = 0
        self.mark = START
        self.key = secret()
        known, self.closed, self.closed_mark = reader.execute(
            "SELECT key_id, ord, mark FROM seal"
        ).fetchone()
        if known != key_id(self.key):
            said = (
                f"with a key; set {VARIABLE} to it" if known else f"without one; unset {VARIABLE}"
            )
            raise JournalKeyError(f"journal '{path}' was begun {said}")
        self.rows = {
            row[0]: _Row(row[1], row[2], row[3], Summary(*row[4:])) for row in self._listed()
        }
        self.seals: dict[int, list[tuple[bytes, str]]] = {}
        for row in self.rows.values():
            self.seals.setdefault(row.ord, []).append((row.mark, row.id))
        self.folded: dict[int, Summary] = {}
        self.lengths: dict[int, int] = {}

    def _listed(self) -> Iterator[tuple[Any, ...]]:
        names = ", ".join(Summary.__struct_fields__)
        yield from self.reader.execute(f"SELECT no, id, ord, mark, {names} FROM executions")

    def verdict(self) -> Verdict:
        finding = None
        try:
            for row in self.reader.execute("SELECT ord, key, body, mark FROM events ORDER BY ord"):
                self._record(*row)
            self._end()
            self._listing()
            self._definitions()
        except _Wrong as wrong:
            finding = wrong.finding
        last = Head(self.ord, self.mark.hex())
        return Verdict(self.ord, len(self.rows), bool(self.key), last, finding)

    # -- the log ----------------------------------------------------------------------------

    def _record(self, ord: int, key: int, body: object, kept: object) -> None:
        if ord != self.ord + 1:
            raise _Wrong(self._gap(ord, key))
        number, seq = key >> SEQ_BITS, key & _SEQ
        text = body if isinstance(body, bytes) else b""  # SQLite keeps whatever it is given
        expected = mark(self.mark, self.key, key, text)
        if text is not body or expected != kept:
            raise _Wrong(self._about(ord, key, "it was changed, or is not where it was", body))
        try:
            event = decode_event(text)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise _Wrong(self._about(ord, key, f"cannot be read: {error}")) from None
        if seq != self.lengths.get(number, 0):
            raise _Wrong(self._about(ord, key, "is not the next event of its execution", body))
        self.lengths[number] = seq + 1
        self.ord, self.mark = ord, expected
        self._compare_seals()
        self._fold(number, event)

    def _compare_seals(self) -> None:
        """What was noted when the log went as far as this."""
        for seal, id in self.seals.pop(self.ord, ()):
            if seal != self.mark:
                raise _Wrong(self._resealed(f"the row of execution '{id}'"))
        if self.ord == self.closed and self.mark != self.closed_mark:
            raise _Wrong(self._resealed("the seal of the file"))
        if (
            self.noted is not None
            and self.ord == self.noted.ord
            and self.mark.hex() != self.noted.mark
        ):
            raise _Wrong(self._resealed("the head that was noted"))

    def _resealed(self, who: str) -> Finding:
        return Finding(f"{who} notes another mark: it or one before it was changed", self.ord)

    def _fold(self, number: int, event: Event) -> None:
        if isinstance(event, ExecutionStarted):
            self.folded[number] = Summary.of(event)
        else:
            fold(self.folded[number], event)

    def _about(self, ord: int, key: int, problem: str, body: object = None) -> Finding:
        """A finding about one event.

        Parameters:
            body: as the table has it, whatever somebody made of it.
        """
        number, seq = key >> SEQ_BITS, key & _SEQ
        try:
            kind = msgspec.json.decode(body)["type"]  # type: ignore[call-overload]
        except (msgspec.MsgspecError, TypeError, KeyError):
            kind = None
        row = self.rows.get(number)
        return Finding(problem, ord, None if row is None else row.id, seq, kind)

    def _gap(self, ord: int, key: int) -> Finding:
        """A record is missing, or one stands twice."""
        if ord <= self.ord:
            return self._about(ord, key, "another record has its place: it was put in")
        missing = self.ord + 1
        behind = self.reader.execute(
            "SELECT key - 1 FROM events AS later WHERE ord > ? AND key & ? > 0 AND NOT EXISTS"
            " (SELECT 1 FROM events WHERE key = later.key - 1) ORDER BY ord LIMIT 1",
            (self.ord, _SEQ),
        ).fetchone()
        if behind is not None:
            return self._about(missing, behind[0], "it was removed")
        for number, row in self.rows.items():
            if row.ord >= missing and number not in self.lengths and row.ord < ord + 1:
                return Finding("it was removed", missing, row.id)
        return Finding("it was removed", missing)

    def _end(self) -> None:
        """The log must go as far as anybody noted that it went."""
        furthest = max([self.closed, *self.seals])
        if self.noted is not None:
            furthest = max(furthest, self.noted.ord)
        if furthest > self.ord:
            raise _Wrong(
                Finding(f"it was removed, and all after it, up to {furthest}", self.ord + 1)
            )

    # -- what is kept beside the log --------------------------------------------------------

    def _listing(self) -> None:
        for number, row in self.rows.items():
            folded = self.folded.get(number)
            if folded is None:
                raise _Wrong(Finding("it has no events in the log", execution=row.id))
            if row.summary.status == "waiting" and folded.status == "running":
                folded.status, folded.changed_at = row.summary.status, row.summary.changed_at
            running = folded.status == "running"  # of these the row is not kept up to date
            names = () if running else Summary.__struct_fields__
            if running and row.summary.status != "running":
                names = ("status",)
            for name in names:
                listed, said = getattr(row.summary, name), getattr(folded, name)
                if listed != said:
                    problem = f"the listing says {name} {listed!r}, the log {said!r}"
                    raise _Wrong(Finding(problem, execution=row.id))
        stranger = next((number for number in self.folded if number not in self.rows), None)
        if stranger is not None:
            raise _Wrong(Finding(f"the listing lacks execution number {stranger}"))

    def _definitions(self) -> None:
        found = self.reader.execute("SELECT fingerprint, saga, version, shape FROM definitions")
        for fingerprint, saga, version, shape in found:
            body = msgspec.json.encode([saga, version, msgspec.json.decode(shape)], order="sorted")
            if hashlib.blake2b(body, digest_size=8).hexdigest() != fingerprint:
                raise _Wrong(Finding(f"the definition {fingerprint} of saga '{saga}' was changed"))


# -- the trail ------------------------------------------------------------------------------


class Act(msgspec.Struct, frozen=True):
    """One line of the trail. ``at`` is in seconds since the epoch; ``by`` and ``why`` are those of
    an operator's act (``by`` also who sent a signal), else empty."""

    record: int
    at: float
    execution: str
    saga: str
    event: str
    step: str
    by: str
    why: str
    detail: str


_BY_HAND = (ExecutionResolved, ExecutionMigrated, CancellationRequested)


def trail(
    path: str | os.PathLike[str], *, execution: str | None = None, by_hand: bool = False
) -> Iterator[Act]:
    """Everything that happened, in the order in which the journal got it.

    Parameters:
        execution: only what happened to this one.
        by_hand: only what operators did, and the signals that came.

    Raises:
        JournalError: the file cannot be read, or (UnknownExecutionError) has no such execution.
    """
    journal = SqliteJournal(path, read_only=True)
    try:
        if execution is not None:
            journal.read(execution)
        query = (
            "SELECT events.ord, id, saga, body FROM events JOIN executions ON no = execution"
            f"{'' if execution is None else ' WHERE id = ?'} ORDER BY events.ord"
        )
        with journal.reading() as reader:
            for ord, id, saga, body in reader.execute(
                query, () if execution is None else (execution,)
            ):
                event = decode_event(body)
                if not by_hand or isinstance(event, (*_BY_HAND, SignalReceived)):
                    yield _act(ord, id, saga, event)
    finally:
        journal.close()


def _act(ord: int, id: str, saga: str, event: Event) -> Act:
    said: Any = event
    steps = getattr(event, "steps", ())
    error = getattr(event, "error", None)
    details = [
        f"attempt {said.attempt}" if getattr(event, "attempt", 1) > 1 else "",
        f"{said.resolution}" if isinstance(event, ExecutionResolved) else "",
        f"'{event.event}' ({event.id})" if isinstance(event, SignalReceived) else "",
        f"to {event.fingerprint}" if isinstance(event, ExecutionMigrated) else "",
        "" if error is None else f"{error.name}: {error.message}",
    ]
    return Act(
        record=ord,
        at=said.at,
        execution=id,
        saga=saga,
        event=type(event).__name__,
        step=getattr(event, "step", "") or ", ".join(steps),
        by=getattr(event, "by", "") if isinstance(event, (*_BY_HAND, SignalReceived)) else "",
        why=getattr(event, "why", "") if isinstance(event, _BY_HAND) else "",
        detail=", ".join(filter(None, details)),
    )
