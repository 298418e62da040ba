"""The journal on disk: one SQLite file, WAL, synchronous=FULL.

``append`` writes the events of any number of executions in one transaction, so the cost of the
disk's flush is shared by all of them (group commit). One process at a time may write to a file:
a lock beside it (``FILE.lock``) is held as long as the journal is open and vanishes with the
process, however it dies. Readers need no lock.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.errors import (
    JournalBusyError,
    JournalCorruptError,
    JournalError,
    JournalFullError,
    JournalReadOnlyError,
    UnknownExecutionError,
)
from sagakit.events import Event, ExecutionMigrated, ExecutionStarted
from sagakit.journal.base import Batch, ExecutionRow, Rest, status_after
from sagakit.journal.codec import decode_event, encode_event

if TYPE_CHECKING:
    from filelock import BaseFileLock

# An event's key is its execution's number and its own in one integer: SQLite appends to a table
# with such a key by writing one page, to one with a key of two columns by writing up to four.
_SEQ_BITS = 24

_CHUNK = 500  # executions read at once
_ROWS = 32  # inserted at once: each statement gives up the interpreter's lock once
_INSERT_ROWS = [
    "INSERT INTO events VALUES " + ", ".join(["(?, ?)"] * count) for count in range(_ROWS + 1)
]

_Moved = tuple[str | None, str, int]  # the new version and fingerprint, the execution's number

APPLICATION_ID = 0x53414741  # "SAGA", in the file's header: tells our files from others

# One script per schema version; a file is brought forward by those it has not seen.
MIGRATIONS = (
    """
    CREATE TABLE definitions (
        fingerprint TEXT PRIMARY KEY, saga TEXT NOT NULL, version TEXT, shape BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE executions (
        no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, saga TEXT NOT NULL, version TEXT,
        fingerprint TEXT NOT NULL, status TEXT NOT NULL,
        started_at REAL NOT NULL, changed_at REAL NOT NULL, wake_at REAL
    );
    CREATE INDEX running ON executions (no) WHERE status = 'running';
    CREATE INDEX waiting ON executions (no) WHERE status = 'waiting';
    CREATE TABLE events (
        key INTEGER PRIMARY KEY, body BLOB NOT NULL,
        execution INTEGER AS (key >> 24), seq INTEGER AS (key & 16777215)
    );
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

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._name = str(self.path)
        if self.path.name == ":memory:":
            raise JournalError("':memory:' is no file; for a journal in memory, leave it out")
        self.read_only = read_only
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._numbers: dict[str, int] = {}  # the row numbers of executions being written
        self._file_lock = None if read_only else _acquire(self.path)
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        if self.path.is_dir():
            raise JournalError(f"journal '{self.path}' is a folder; name a file")
        exists = self.path.exists() and self.path.stat().st_size > 0
        if exists:
            _check_header(self.path)
        elif self.read_only:
            raise JournalError(f"journal '{self.path}' does not exist")
        if not self.read_only:
            if exists and not os.access(self.path, os.W_OK):
                raise JournalReadOnlyError(
                    f"journal '{self.path}' cannot be written; see its rights"
                )
            with self._errors():
                self._writer = _connect(self.path)
                self._prepare(self._writer, exists)
            there = os.stat(self.path)
            self._place = (there.st_ino, there.st_dev)
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
        self._next: int = writer.execute(
            "SELECT coalesce(max(no), 0) + 1 FROM executions"
        ).fetchone()[0]

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
        if not batch:
            return
        with self._write_lock:
            writer = self._ready()
            fresh: list[str] = []
            try:
                started, changed, cells, ended, moved = self._rows(batch, fresh)
                moods = self._moods(batch, rests) if rests else []
                plain = not (started or changed or moved or moods)
                if plain and len(cells) <= 2 * _ROWS:
                    # A statement is a transaction of its own, and two calls less.
                    writer.execute(_INSERT_ROWS[len(cells) // 2], cells)
                else:
                    if started:
                        self._check_place()
                    _insert(writer, started, moods, changed, cells, moved)
            except BaseException as error:
                for execution_id in fresh:
                    self._numbers.pop(execution_id, None)
                if isinstance(error, sqlite3.Error):
                    raise _explain(self.path, error) from error
                raise
            self._next += len(fresh)
            for execution_id in ended:
                self._numbers.pop(execution_id, None)

    def _rows(
        self, batch: Batch, fresh: list[str]
    ) -> tuple[
        list[tuple[Any, ...]], list[tuple[str, float, int]], list[Any], list[str], list[_Moved]
    ]:
        """What to write: rows of executions that start, status, time and number of those whose
        status changes, and the events' cells one after another; the ids of those that end; and
        those that migrate. Notes in ``fresh`` which are new."""
        started: list[tuple[Any, ...]] = []
        changed: list[tuple[str, float, int]] = []
        cells: list[Any] = []
        ended: list[str] = []
        moved: list[_Moved] = []
        for execution_id, first, events in batch:
            if first:
                number = self._number(execution_id)
            else:
                head = events[0]
                assert isinstance(head, ExecutionStarted)
                number = self._next + len(fresh)
                self._numbers[execution_id] = number
                fresh.append(execution_id)
                which = head.saga, head.version, head.fingerprint
                started.append((number, execution_id, *which, head.at, head.at))
            if first + len(events) > 1 << _SEQ_BITS:
                raise JournalError(
                    f"execution '{execution_id}' has more events than a journal numbers, "
                    f"{1 << _SEQ_BITS:,}; begin another one"
                )
            for key, event in enumerate(events, (number << _SEQ_BITS) + first):
                cells += (key, encode_event(event))
                status = status_after(event)
                if status is not None:
                    changed.append((status, event.at, number))  # type: ignore[attr-defined]
                    if status != "running":
                        ended.append(execution_id)
                elif type(event) is ExecutionMigrated:
                    moved.append((event.version, event.fingerprint, number))
        return started, changed, cells, ended, moved

    def _moods(
        self, batch: Batch, rests: Mapping[str, Rest | None]
    ) -> list[tuple[str, float | None, float, int]]:
        """Status, time to wake and time of change of those that wait, or wait no more."""
        last: dict[str, Any] = {execution_id: events[-1] for execution_id, _, events in batch}
        return [
            (
                "running" if rest is None else "waiting",
                None if rest is None else rest.wake_at,
                last[execution_id].at,
                self._number(execution_id),
            )
            for execution_id, rest in rests.items()
        ]

    def _number(self, execution_id: str) -> int:
        number = self._numbers.get(execution_id)
        if number is None:
            number = self._numbers[execution_id] = self._lookup(execution_id)
        return number

    def _ready(self) -> sqlite3.Connection:
        """The connection that writes."""
        if self._writer is None:
            why = "was opened for reading" if self.read_only else "is closed"
            raise JournalError(f"journal '{self.path}' {why}")
        return self._writer

    def _check_place(self) -> None:
        """Refuse to begin an execution in a file that nobody will find again."""
        try:
            there = os.stat(self._name)
        except OSError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != self._place:
            raise JournalError(
                f"journal '{self.path}' was moved or deleted while it was open; put it back"
            )

    # -- reading ----------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, self._errors():
            if self._reader is None:
                raise JournalError(f"journal '{self.path}' is closed")
            yield self._reader

    def _lookup(self, execution_id: str) -> int:
        with self._reading() as reader:
            row = reader.execute(
                "SELECT no FROM executions WHERE id = ?", (execution_id,)
            ).fetchone()
        if row is None:
            raise UnknownExecutionError(
                f"no execution in '{self.path}' has the id '{execution_id}'"
            )
        return int(row[0])

    def definition(self, fingerprint: str) -> tuple[str | None, Any]:
        with self._reading() as reader:
            version, shape = reader.execute(
                "SELECT version, shape FROM definitions WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
        return version, msgspec.json.decode(shape)

    def read(self, execution_id: str) -> list[Event]:
        number = self._lookup(execution_id)
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT seq, body FROM events WHERE key BETWEEN ? AND ? ORDER BY key",
                (number << _SEQ_BITS, ((number + 1) << _SEQ_BITS) - 1),
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

    def find(
        self,
        *,
        status: str | None = None,
        saga: str | None = None,
        limit: int | None = None,
    ) -> list[ExecutionRow]:
        with self._reading() as reader:
            rows = reader.execute(
                "SELECT id, saga, version, fingerprint, status, started_at, changed_at"
                " FROM executions WHERE (:status IS NULL OR status = :status)"
                " AND (:saga IS NULL OR saga = :saga) ORDER BY no LIMIT :limit",
                {"status": status, "saga": saga, "limit": -1 if limit is None else limit},
            ).fetchall()
        names = ExecutionRow.__struct_fields__
        return [ExecutionRow(**dict(zip(names, row, strict=True))) for row in rows]

    def counts(self) -> dict[str, int]:
        with self._reading() as reader:
            rows = reader.execute("SELECT status, count(*) FROM executions GROUP BY status")
            return dict(rows.fetchall())

    def unfinished(self, fingerprints: Iterable[str]) -> Iterator[tuple[str, list[Event] | None]]:
        with self._reading() as reader:
            running = reader.execute(
                "SELECT no, id FROM executions WHERE status = 'running' AND fingerprint IN"
                " (SELECT value FROM json_each(:those)) UNION ALL"
                " SELECT no, id FROM executions WHERE status = 'waiting' AND fingerprint IN"
                " (SELECT value FROM json_each(:those)) ORDER BY no",
                {"those": _json(fingerprints)},
            ).fetchall()
        for first in range(0, len(running), _CHUNK):
            chunk = running[first : first + _CHUNK]
            events: dict[int, list[tuple[int, bytes]]] = {number: [] for number, _ in chunk}
            with self._reading() as reader:
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
        with self._reading() as reader:
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
        with self._reading() as reader:
            rows = reader.execute("PRAGMA integrity_check").fetchall()
        return [str(row[0]) for row in rows if row[0] != "ok"]

    # -- closing ----------------------------------------------------------------------------

    def close(self) -> None:
        with self._read_lock:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        with self._write_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            if self._file_lock is not None:
                self._file_lock.release()
                self._file_lock = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(self.path, error) from error


def _insert(
    writer: sqlite3.Connection,
    started: list[tuple[Any, ...]],
    moods: list[tuple[str, float | None, float, int]],
    changed: list[tuple[str, float, int]],
    cells: list[Any],
    moved: list[_Moved],
) -> None:
    """Write a batch in one transaction."""
    writer.execute("BEGIN IMMEDIATE")
    try:
        if started:
            writer.executemany(
                "INSERT INTO executions VALUES (?, ?, ?, ?, ?, 'running', ?, ?, NULL)", started
            )
        for place in range(0, len(cells), 2 * _ROWS):
            part = cells[place : place + 2 * _ROWS]
            writer.execute(_INSERT_ROWS[len(part) // 2], part)
        if moods:
            writer.executemany(
                "UPDATE executions SET status = ?, wake_at = ?, changed_at = ? WHERE no = ?", moods
            )
        if changed:
            writer.executemany(
                "UPDATE executions SET status = ?, changed_at = ? WHERE no = ?", changed
            )
        if moved:
            writer.executemany(
                "UPDATE executions SET version = ?, fingerprint = ? WHERE no = ?", moved
            )
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


def _acquire(path: Path) -> BaseFileLock:
    import filelock

    if not path.parent.is_dir():
        raise JournalError(f"journal '{path}': the folder '{path.parent}' does not exist; make it")
    lock = filelock.FileLock(f"{path.resolve()}.lock", thread_local=False)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise JournalBusyError(
            f"journal '{path}' is open in another engine; close that one first. To read it "
            "meanwhile: SqliteJournal(…, read_only=True), or 'sagakit list' and 'sagakit inspect'"
        ) from None
    except OSError as error:
        raise JournalReadOnlyError(f"journal '{path}': cannot lock it: {error}") from error
    return lock


def _check_header(path: Path) -> None:
    """Tell a foreign or cut-off file before SQLite touches it."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except PermissionError:
        raise JournalReadOnlyError(f"journal '{path}' cannot be read; see its rights") from None
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise JournalCorruptError(
            f"'{path}' is not a sagakit journal (it is not an SQLite file); name another file"
        )
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65536 if page_size == 1 else page_size
    pages = int.from_bytes(header[28:32], "big")
    wal = Path(f"{path}-wal")
    size = path.stat().st_size
    if size < pages * page_size and not (wal.exists() and wal.stat().st_size):
        raise JournalCorruptError(
            f"journal '{path}' is truncated: {size} bytes of {pages * page_size}; restore it from "
            "a copy (nothing was written to it)"
        )


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
