"""The journal on disk: one SQLite file, WAL, synchronous=FULL.

``append`` writes the events of any number of executions in one transaction, so the cost of the
disk's flush is shared by all of them (group commit). One process at a time may write to a file
(``file.py``); readers need no lock.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from sagakit.errors import (
    JournalBusyError,
    JournalCorruptError,
    JournalError,
    JournalFullError,
    JournalKeyError,
    JournalReadOnlyError,
    UnknownExecutionError,
)
from sagakit.events import Event, ExecutionStarted
from sagakit.journal import mail
from sagakit.journal.base import (
    ALL,
    ENDED,
    Batch,
    ExecutionRow,
    Filter,
    Glance,
    Letter,
    Post,
    Rest,
)
from sagakit.journal.chain import START, VARIABLE, key_id, secret
from sagakit.journal.codec import decode_event
from sagakit.journal.file import Hold
from sagakit.journal.rows import INSERT_EXECUTION, SEQ_BITS, UPDATE_EXECUTION, Ledger, Rows
from sagakit.journal.summary import Summary, summarise

_CHUNK = 500  # executions read at once
_ROWS = 32  # inserted at once: each statement gives up the interpreter's lock once
_INSERT_ROWS = [
    "INSERT INTO events VALUES " + ", ".join(["(?, ?, ?, ?)"] * count) for count in range(_ROWS + 1)
]

_LISTED = ", ".join(ExecutionRow.__struct_fields__)
_SUMMED = ", ".join(Summary.__struct_fields__)

_DELETE_WAIT = (
    "DELETE FROM waits WHERE event = ? AND correlation = ? AND since = ? AND execution = ?"
)

APPLICATION_ID = 0x53414741  # "SAGA", in the file's header: tells our files from others

# One script per schema version; a file is brought forward by those it has not seen.
MIGRATIONS = (
    f"""
    CREATE TABLE definitions (
        fingerprint TEXT PRIMARY KEY, saga TEXT NOT NULL, version TEXT, shape BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE executions (
        no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, saga TEXT NOT NULL, version TEXT,
        fingerprint TEXT NOT NULL, status TEXT NOT NULL,
        started_at REAL NOT NULL, changed_at REAL NOT NULL, parent TEXT, failed_step TEXT,
        error TEXT, attempts INTEGER NOT NULL, retries INTEGER NOT NULL,
        compensated INTEGER NOT NULL, wake_at REAL, ord INTEGER NOT NULL, mark BLOB NOT NULL
    );
    CREATE INDEX running ON executions (no) WHERE status = 'running';
    CREATE INDEX waiting ON executions (no) WHERE status = 'waiting';
    CREATE TABLE events (
        key INTEGER PRIMARY KEY, body BLOB NOT NULL, ord INTEGER NOT NULL, mark BLOB NOT NULL,
        execution INTEGER AS (key >> 24), seq INTEGER AS (key & 16777215)
    );
    CREATE TABLE seal (
        one INTEGER PRIMARY KEY CHECK (one = 1), key_id TEXT NOT NULL,
        ord INTEGER NOT NULL, mark BLOB NOT NULL
    );
    {mail.SCHEMA}
    """,
)


class SqliteJournal:
    """Events in a SQLite file.

    Parameters:
        path: the file; made if it does not exist (its folder must).
        read_only: open for reading, beside an engine that may be writing.

    Raises:
        JournalBusyError: another engine has the file open.
        JournalReadOnlyError: the file or its folder cannot be written.
        JournalCorruptError: the file is truncated, damaged, or not a sagakit journal.
        JournalError: it was written by a newer sagakit, or does not exist (``read_only``).
    """

    durable = True
    shared = True

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        if self.path.name == ":memory:":
            raise JournalError("':memory:' is no file; for a journal in memory, leave it out")
        self.read_only = read_only
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._seen = -1  # which version of the file was looked at for requests
        self._hold = Hold(self.path, read_only=read_only)
        self._ledger: Ledger | None = None
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        exists = self._hold.exists
        if not self.read_only:
            if exists and not os.access(self.path, os.W_OK):
                raise JournalReadOnlyError(
                    f"journal '{self.path}' cannot be written; see its rights"
                )
            with self._errors():
                self._writer = _connect(self.path)
                self._prepare(self._writer, exists)
        with self._errors():
            self._reader = _connect(self.path, read_only=True)
            self._check_version(self._reader)

    def _prepare(self, writer: sqlite3.Connection, exists: bool) -> None:
        writer.execute("PRAGMA synchronous=FULL")
        # Of a new file: a commit of a few small events then flushes half of what it would.
        writer.execute("PRAGMA page_size=2048")
        writer.execute("PRAGMA wal_autocheckpoint=2000")  # the usual 4 MB
        if exists:
            self._check_version(writer)
        mode = writer.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(f"journal '{self.path}': this file system does not support WAL")
        version = writer.execute("PRAGMA user_version").fetchone()[0]
        for number, script in enumerate(MIGRATIONS[version:], version + 1):
            writer.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; {script}"
                f"PRAGMA user_version={number}; COMMIT;"
            )
        self._ledger = self._open_ledger(writer)

    def _open_ledger(self, writer: sqlite3.Connection) -> Ledger:
        """What the file says of the state in which it was left.

        Every execution's row is sealed when its status changes, so records beyond the last of
        these seals belong to executions that are running.
        """
        key = secret()
        known = writer.execute("SELECT key_id FROM seal").fetchone()
        if known is None:
            writer.execute("INSERT INTO seal VALUES (1, ?, 0, ?)", (key_id(key), START))
        elif known[0] != key_id(key):
            raise JournalKeyError(_other_key(self.path, known[0], key))
        (number,) = writer.execute("SELECT coalesce(max(no), 0) + 1 FROM executions").fetchone()
        seals = writer.execute("SELECT ord, mark FROM executions ORDER BY ord DESC LIMIT 1")
        tails = writer.execute(
            "SELECT events.ord, events.mark FROM executions CROSS JOIN events ON key = (SELECT"
            " max(key) FROM events WHERE key < (no + 1) << 24) WHERE status = 'running'"
        )
        ord, mark = max([(0, START), *seals, *tails])
        return Ledger(number, ord, mark, key, self._find_summary)

    def _find_summary(self, execution_id: str) -> tuple[int, Summary]:
        with self.reading() as reader:
            number, *cells = reader.execute(
                f"SELECT no, {_SUMMED} FROM executions WHERE id = ?", (execution_id,)
            ).fetchone()
        summary = Summary(*cells)
        if summary.status == "running":  # of these the row is not kept up to date
            summary = summarise(self.read(execution_id))
        return number, summary

    def _check_version(self, connection: sqlite3.Connection) -> None:
        mark = connection.execute("PRAGMA application_id").fetchone()[0]
        if mark != APPLICATION_ID:
            raise JournalCorruptError(
                f"'{self.path}' is an SQLite file but not a sagakit journal; name another file"
            )
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise JournalError(
                f"journal '{self.path}' has format {version}, written by a newer sagakit; this one "
                f"knows {len(MIGRATIONS)}: upgrade sagakit"
            )

    # -- writing ----------------------------------------------------------------------------

    def define(self, fingerprint: str, saga: str, version: str | None, shape: Any) -> None:
        with self._write_lock, self._errors():
            writer = self._ready()
            self._check_place()
            writer.execute(
                "INSERT OR IGNORE INTO definitions VALUES (?, ?, ?, ?)",
                (fingerprint, saga, version, msgspec.json.encode(shape)),
            )

    def append(self, batch: Batch, rests: Mapping[str, Rest | None] | None = None) -> None:
        if not batch and not rests:
            return
        with self._write_lock:
            writer = self._ready()
            ledger = self._ledger
            assert ledger is not None, "it is open for writing"
            try:
                rows = ledger.rows(batch, rests or {})
                if len(rows.cells) <= 4 * _ROWS and rows.plain:
                    # A statement is a transaction of its own, and two calls less.
                    writer.execute(_INSERT_ROWS[len(rows.cells) // 4], rows.cells)
                else:
                    if rows.started:
                        self._check_place()
                    _insert(writer, rows)
            except BaseException as error:
                ledger.forget(batch, rests or {})
                if isinstance(error, sqlite3.Error):
                    raise _explain(self.path, error) from error
                raise
            ledger.keep(rows)

    def _ready(self) -> sqlite3.Connection:
        """The connection that writes."""
        if self._writer is None:
            why = "was opened for reading" if self.read_only else "is closed"
            raise JournalError(f"journal '{self.path}' {why}")
        return self._writer

    def _check_place(self) -> None:
        """Refuse to begin an execution in a file that nobody will find again, or that another
        engine may have by now."""
        if self._hold.lost():
            raise JournalError(
                f"journal '{self.path}' or its lock was moved or deleted while it was open; put it "
                "back, or open the journal anew"
            )

    # -- reading ----------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection that reads, for one reader at a time; its errors become ours."""
        with self._read_lock, self._errors():
            if self._reader is None:
                raise JournalError(f"journal '{self.path}' is closed")
            yield self._reader

    def _lookup(self, execution_id: str) -> int:
        with self.reading() as reader:
            row = reader.execute(
                "SELECT no FROM executions WHERE id = ?", (execution_id,)
            ).fetchone()
        if row is None:
            raise UnknownExecutionError(
                f"no execution in '{self.path}' has the id '{execution_id}'"
            )
        return int(row[0])

    def definition(self, fingerprint: str) -> tuple[str | None, Any]:
        with self.reading() as reader:
            version, shape = reader.execute(
                "SELECT version, shape FROM definitions WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
        return version, msgspec.json.decode(shape)

    def read(self, execution_id: str) -> list[Event]:
        number = self._lookup(execution_id)
        with self.reading() as reader:
            rows = reader.execute(
                "SELECT seq, body FROM events WHERE key BETWEEN ? AND ? ORDER BY key",
                (number << SEQ_BITS, ((number + 1) << SEQ_BITS) - 1),
            ).fetchall()
        return self._events(execution_id, rows)

    def _events(self, execution_id: str, rows: list[tuple[int, bytes]]) -> list[Event]:
        events = []
        for place, (seq, body) in enumerate(rows):
            if seq != place:
                raise JournalCorruptError(
                    f"journal '{self.path}': execution '{execution_id}' lacks event {place}"
                )
            try:
                events.append(decode_event(body))
            except (msgspec.MsgspecError, KeyError, TypeError) as error:
                raise JournalCorruptError(
                    f"journal '{self.path}': execution '{execution_id}', event {place}: {error}"
                ) from None
        if not events or not isinstance(events[0], ExecutionStarted):
            raise JournalCorruptError(
                f"journal '{self.path}': execution '{execution_id}' has no beginning"
            )
        return events

    def several(self, ids: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        with self.reading() as reader:
            found = reader.execute(
                "SELECT no, id FROM executions WHERE id IN (SELECT value FROM json_each(?))",
                (_json(ids),),
            ).fetchall()
        yield from self._read_all(found)

    def parent(self, execution_id: str) -> str | None:
        number = self._lookup(execution_id)
        with self.reading() as reader:
            (parent,) = reader.execute(
                "SELECT parent FROM executions WHERE no = ?", (number,)
            ).fetchone()
        return None if parent is None else str(parent)

    def find(self, wanted: Filter = ALL) -> list[ExecutionRow]:
        where, values = wanted.sql()
        query = f"SELECT no, {_LISTED} FROM executions {where}"
        with self.reading() as reader:
            cells = reader.execute(query, values).fetchall()
        rows = {row[1]: ExecutionRow(*row[1:]) for row in cells}
        running = [(row[0], row[1]) for row in cells if rows[row[1]].status == "running"]
        for id, events in self._read_all(running):
            if events is not None:  # what was written of it is as old as its status
                rows[id] = rows[id].updated(summarise(events))
        return [row for row in rows.values() if wanted.holds(row)][: wanted.limit]

    def counts(self) -> dict[str, int]:
        with self.reading() as reader:
            rows = reader.execute("SELECT status, count(*) FROM executions GROUP BY status")
            return dict(rows.fetchall())

    def glance(self) -> Glance:
        with self.reading() as reader:
            reader.execute("BEGIN")  # all of it is of one moment
            try:
                (last,) = reader.execute("SELECT coalesce(max(no), 0) FROM executions").fetchone()
                counts = dict(
                    reader.execute(
                        "SELECT status, count(*) FROM executions WHERE parent IS NULL"
                        " GROUP BY status"
                    ).fetchall()
                )
                rows = reader.execute(
                    f"SELECT no, {_LISTED} FROM executions WHERE parent IS NULL"
                    f" AND status NOT IN {ENDED}"
                ).fetchall()
            finally:
                reader.execute("ROLLBACK")
        return Glance(last, counts, {row[0]: ExecutionRow(*row[1:]) for row in rows})

    def news(self, last: int, unended: Iterable[int]) -> tuple[int, list[tuple[int, ExecutionRow]]]:
        with self.reading() as reader:
            (now,) = reader.execute("SELECT coalesce(max(no), 0) FROM executions").fetchone()
            rows = reader.execute(
                f"SELECT no, {_LISTED} FROM executions"
                " WHERE no IN (SELECT value FROM json_each(:those))"
                f" UNION ALL SELECT no, {_LISTED} FROM executions"
                " WHERE no > :last AND no <= :now AND parent IS NULL",
                {"those": _json(unended), "last": last, "now": now},
            ).fetchall()
        return now, [(row[0], ExecutionRow(*row[1:])) for row in rows]

    def unfinished(
        self, fingerprints: Iterable[str], at: float
    ) -> Iterator[tuple[str, list[Event] | None]]:
        with self.reading() as reader:
            found = reader.execute(
                "WITH known AS (SELECT value FROM json_each(:those))"
                " SELECT no, id FROM executions WHERE status = 'running'"
                " AND fingerprint IN known UNION ALL"
                " SELECT no, id FROM executions WHERE status = 'waiting'"
                " AND (wake_at <= :at OR no IN (SELECT execution FROM mailbox JOIN waits"
                " USING (event, correlation) WHERE taken_by IS NULL))"
                " AND fingerprint IN known ORDER BY no",
                {"those": _json(fingerprints), "at": at},
            ).fetchall()
        yield from self._read_all(found)

    def sleeping(self, fingerprints: Iterable[str]) -> list[tuple[str, float | None]]:
        with self.reading() as reader:
            return reader.execute(
                "SELECT id, wake_at FROM executions WHERE status = 'waiting'"
                " AND fingerprint IN (SELECT value FROM json_each(?))",
                (_json(fingerprints),),
            ).fetchall()

    def asleep(self, parent: str, ids: Iterable[str]) -> dict[str, float | None]:
        with self.reading() as reader:
            return dict(
                reader.execute(
                    "SELECT executions.id, wake_at FROM json_each(?) CROSS JOIN executions"
                    " ON executions.id = value WHERE status = 'waiting' AND executions.parent = ?",
                    (_json(ids), parent),
                ).fetchall()
            )

    def waits(self) -> bool:
        with self.reading() as reader:
            (found,) = reader.execute(
                "SELECT EXISTS (SELECT 1 FROM executions WHERE status = 'waiting')"
                " OR EXISTS (SELECT 1 FROM waits)"
            ).fetchone()
        return bool(found)

    def due(self, ids: Iterable[str], at: float) -> Iterator[tuple[str, list[Event] | None]]:
        with self.reading() as reader:
            found = reader.execute(
                "SELECT no, executions.id FROM json_each(?) CROSS JOIN executions"
                " ON executions.id = value"
                " WHERE status = 'waiting' AND wake_at <= ?",
                (_json(ids), at),
            ).fetchall()
        yield from self._read_all(found)

    def _read_all(self, rows: list[tuple[int, str]]) -> Iterator[tuple[str, list[Event] | None]]:
        """(id, events) of these (number, id), many executions at a time; None for events that
        cannot be read."""
        for first in range(0, len(rows), _CHUNK):
            chunk = rows[first : first + _CHUNK]
            events: dict[int, list[tuple[int, bytes]]] = {number: [] for number, _ in chunk}
            with self.reading() as reader:
                for number, seq, body in reader.execute(
                    "SELECT execution, seq, body FROM json_each(?) CROSS JOIN events"
                    " ON events.key BETWEEN value << 24 AND (value << 24) + 16777215",
                    (_json(events),),
                ):
                    events[number].append((seq, body))
            for number, execution_id in chunk:
                try:
                    found = self._events(execution_id, events[number])
                except JournalCorruptError:
                    yield execution_id, None
                else:
                    yield execution_id, found

    def strangers(
        self, sagas: Iterable[str], fingerprints: Iterable[str]
    ) -> Iterator[tuple[str, str, str]]:
        with self.reading() as reader:
            rows = reader.execute(
                "SELECT min(id), saga, fingerprint FROM executions"
                " WHERE (status = 'running' OR status = 'waiting')"
                " AND saga IN (SELECT value FROM json_each(?))"
                " AND fingerprint NOT IN (SELECT value FROM json_each(?)) GROUP BY fingerprint",
                (_json(sagas), _json(fingerprints)),
            ).fetchall()
        yield from rows

    def verify(self) -> list[str]:
        """What SQLite's own integrity check finds wrong with the file; empty when sound."""
        with self.reading() as reader:
            rows = reader.execute("PRAGMA integrity_check").fetchall()
        return [str(row[0]) for row in rows if row[0] != "ok"]

    # -- signals ----------------------------------------------------------------------------

    def awaiting(self, event: str, correlation: str) -> Iterator[tuple[float, str, str]]:
        place = (-math.inf, 0)
        most = 1  # the first is nearly always the one
        while True:
            with self.reading() as reader:
                found = list(mail.awaiting(reader, event, correlation, place, most))
            for since, id, fingerprint, number in found:
                place = (since, number)
                yield since, id, fingerprint
            if len(found) < most:
                return
            most = _CHUNK

    def keep(self, letter: Letter) -> Letter:
        with self._write_lock, self._errors():
            return mail.keep(self._ready(), letter)

    def taken(self, signal_id: str) -> str | None:
        with self.reading() as reader:
            return mail.taken(reader, signal_id)

    def letters(self, event: str, correlation: str, at: float) -> list[Letter]:
        with self.reading() as reader:
            return mail.letters(reader, event, correlation, at)

    def expire(self, at: float) -> float | None:
        with self._write_lock, self._errors():
            return mail.expire(self._ready(), at)

    def posted(self) -> list[Post]:
        # The writer's own commits do not change what it is told here. While it is at work, it is
        # not waited for: whoever asks will ask again.
        if not self._write_lock.acquire(blocking=False):
            return []
        try:
            with self._errors():
                version = self._ready().execute("PRAGMA data_version").fetchone()[0]
        finally:
            self._write_lock.release()
        if version == self._seen:
            return []
        self._seen = version
        with self.reading() as reader:
            return mail.posted(reader)

    def settle(self, post_id: str, outcome: str, execution_id: str | None) -> None:
        with self._write_lock, self._errors():
            mail.settle(self._ready(), post_id, outcome, execution_id, time.time())

    # -- closing ----------------------------------------------------------------------------

    def close(self) -> None:
        with self._read_lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        with self._write_lock:
            if self._writer is not None:
                self._seal(self._writer)
                self._writer.close()
                self._writer = None
            self._hold.release()

    def _seal(self, writer: sqlite3.Connection) -> None:
        """Note how far the log goes, so that a log that is cut off later shows it."""
        ledger = self._ledger
        if ledger is not None:
            with contextlib.suppress(sqlite3.Error):  # the disk is full, say: nothing is lost
                writer.execute("UPDATE seal SET ord = ?, mark = ?", (ledger.ord, ledger.mark))

    def _errors(self) -> AbstractContextManager[None]:
        return self.explained(self.path)

    @staticmethod
    @contextmanager
    def explained(path: Path) -> Iterator[None]:
        """SQLite's errors become ours, which say what is wrong with the file."""
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(path, error) from error


def _insert(writer: sqlite3.Connection, rows: Rows) -> None:
    """Write a batch in one transaction."""
    writer.execute("BEGIN IMMEDIATE")
    try:
        if rows.started:
            writer.executemany(INSERT_EXECUTION, rows.started)
        cells = rows.cells
        for place in range(0, len(cells), 4 * _ROWS):
            part = cells[place : place + 4 * _ROWS]
            writer.execute(_INSERT_ROWS[len(part) // 4], part)
        if rows.changed:
            writer.executemany(UPDATE_EXECUTION, rows.changed)
        if rows.forgotten:
            writer.executemany("DELETE FROM waits WHERE execution = ?", rows.forgotten)
        if rows.over:
            writer.executemany(_DELETE_WAIT, rows.over)
        if rows.waits:
            writer.executemany("INSERT OR IGNORE INTO waits VALUES (?, ?, ?, ?)", rows.waits)
        if rows.received:
            mail.mark(writer, rows.received)
        writer.execute("COMMIT")
    except BaseException:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        raise


def _json(items: Iterable[object]) -> str:
    """A list for ``json_each``: SQLite's way to take any number of values."""
    return msgspec.json.encode(list(items)).decode()


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    if not read_only:
        return sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=2)
    where = f"{path.absolute().as_uri()}?mode=ro"
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        where += "&immutable=1"  # SQLite cannot make its shared memory file there
    return sqlite3.connect(where, uri=True, check_same_thread=False, isolation_level=None)


def _other_key(path: Path, known: str, key: bytes) -> str:
    if not known:
        return (
            f"journal '{path}' was begun without a key, and {VARIABLE} is set: unset it, or begin "
            "another journal"
        )
    if not key:
        return f"journal '{path}' was begun with a key; set {VARIABLE} to it"
    return f"journal '{path}' was begun with another key than the one in {VARIABLE}"


def _explain(path: Path, error: sqlite3.Error) -> JournalError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return JournalFullError(
            f"journal '{path}': the disk is full; nothing of this commit was kept, all before it "
            "was. Free some space, then recover"
        )
    if name.startswith("SQLITE_READONLY"):
        return JournalReadOnlyError(f"journal '{path}' or its folder cannot be written ({error})")
    if name.startswith("SQLITE_CANTOPEN"):
        return JournalReadOnlyError(f"journal '{path}' cannot be opened; see its rights ({error})")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return JournalBusyError(f"journal '{path}' is locked by another program ({error})")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return JournalCorruptError(f"journal '{path}' is damaged ({error}); restore it from a copy")
    return JournalError(f"journal '{path}': {error}")
