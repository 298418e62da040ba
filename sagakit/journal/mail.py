"""Signals that wait in an SQLite journal: for a step that will await them, or for an engine.

The *mailbox* holds signals for waits that have not begun; the *inbox* holds what other processes
ask of the engine that has the file open. It marks both by the commit that records the signal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from sagakit.events import CancellationRequested, ExecutionResolved, SignalReceived
from sagakit.journal.base import Letter, Post

SCHEMA = """
    CREATE TABLE waits (
        event TEXT NOT NULL, correlation TEXT NOT NULL, since REAL NOT NULL,
        execution INTEGER NOT NULL, PRIMARY KEY (event, correlation, since, execution)
    ) WITHOUT ROWID;
    CREATE INDEX waits_of ON waits (execution);
    CREATE TABLE mailbox (
        id TEXT PRIMARY KEY, event TEXT NOT NULL, correlation TEXT NOT NULL, at REAL NOT NULL,
        expires_at REAL NOT NULL, payload BLOB NOT NULL, sender TEXT NOT NULL, taken_by TEXT
    ) WITHOUT ROWID;
    CREATE INDEX kept_for ON mailbox (event, correlation);
    CREATE TABLE taken (signal TEXT PRIMARY KEY, execution TEXT NOT NULL) WITHOUT ROWID;
    CREATE INDEX expiring ON mailbox (expires_at);
    CREATE TABLE inbox (
        no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, target TEXT, body BLOB NOT NULL,
        posted_at REAL NOT NULL, outcome TEXT, execution TEXT, settled_at REAL
    );
    CREATE INDEX posted ON inbox (no) WHERE outcome IS NULL;
"""

DELIVERED = "delivered"
KEPT = "kept"
_REMEMBERED = 86400.0  # seconds for which a settled request can be asked about

# (the execution, its event from outside): what a commit has to mark
Received = tuple[str, SignalReceived | CancellationRequested | ExecutionResolved]

_LETTER = "event, correlation, id, at, expires_at, payload, sender"

_json = msgspec.json.encode
_decoder = msgspec.json.Decoder(Post)


def mark(writer: sqlite3.Connection, received: Sequence[Received]) -> None:
    """Within a commit: what it records of the outside is kept and asked for no longer."""
    for execution_id, event in received:
        if isinstance(event, SignalReceived):
            which, given = "id = ?", [event.id]
        elif isinstance(event, CancellationRequested):
            which, given = "target = ?", [execution_id]
        else:
            # the first that asked for it: another may be about what is stuck again by then
            which = "no = (SELECT min(no) FROM inbox WHERE outcome IS NULL AND target IN (?, ?))"
            step = event.steps[0] if len(event.steps) == 1 else None
            given = [_target(execution_id, event), _target(execution_id, event, step)]
        writer.execute(
            "UPDATE inbox SET outcome = ?, execution = ?, settled_at = ?"
            f" WHERE outcome IS NULL AND {which}",
            (DELIVERED, execution_id, event.at, *given),
        )
        if isinstance(event, SignalReceived) and event.chosen:
            writer.execute("UPDATE mailbox SET taken_by = ? WHERE id = ?", (execution_id, event.id))
            writer.execute("INSERT OR IGNORE INTO taken VALUES (?, ?)", (event.id, execution_id))


def _target(
    execution_id: str, decided: ExecutionResolved | Post | None, step: str | None = None
) -> str:
    """What a request without a signal's id is known by: a cancellation by its execution, a
    resolution by all that is decided, since one that is inside another is decided with it.

    Parameters:
        step: the only one that it is about; None: all that are stuck.
    """
    if decided is None:
        return execution_id
    return "\0".join((execution_id, str(decided.resolution), decided.by, decided.why, step or ""))


# -- the mailbox ----------------------------------------------------------------------------


def keep(writer: sqlite3.Connection, letter: Letter) -> Letter:
    """Keep a letter; the one that is kept under its id already, if there is one."""
    times = (letter.at, letter.expires_at)
    writer.execute(
        "INSERT OR IGNORE INTO mailbox VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
        (letter.id, letter.event, letter.correlation, *times, _json(letter.payload), letter.by),
    )
    row = writer.execute(f"SELECT {_LETTER} FROM mailbox WHERE id = ?", (letter.id,)).fetchone()
    return _letter(*row)


def taken(reader: sqlite3.Connection, signal_id: str) -> str | None:
    """The execution that has taken the signal with this id."""
    row = reader.execute("SELECT execution FROM taken WHERE signal = ?", (signal_id,)).fetchone()
    return None if row is None else str(row[0])


def letters(reader: sqlite3.Connection, event: str, correlation: str, at: float) -> list[Letter]:
    rows = reader.execute(
        f"SELECT {_LETTER} FROM mailbox WHERE event = ? AND correlation = ?"
        " AND taken_by IS NULL AND expires_at > ? ORDER BY at",
        (event, correlation, at),
    ).fetchall()
    return [_letter(*row) for row in rows]


def _letter(
    event: str, correlation: str, id: str, at: float, expires_at: float, payload: bytes, by: str
) -> Letter:
    return Letter(event, correlation, id, at, expires_at, msgspec.json.decode(payload), by)


def expire(writer: sqlite3.Connection, at: float) -> float | None:
    """Forget what has expired; when the next letter does."""
    writer.execute("DELETE FROM mailbox WHERE expires_at <= ?", (at,))
    writer.execute("DELETE FROM inbox WHERE settled_at <= ?", (at - _REMEMBERED,))
    found: float | None = writer.execute("SELECT min(expires_at) FROM mailbox").fetchone()[0]
    return found


# -- the inbox ------------------------------------------------------------------------------


def posted(reader: sqlite3.Connection) -> list[Post]:
    """What nobody has answered yet, in the order in which it came."""
    rows = reader.execute("SELECT body FROM inbox WHERE outcome IS NULL ORDER BY no").fetchall()
    return [_decoder.decode(body) for (body,) in rows]


def settle(
    writer: sqlite3.Connection, post_id: str, outcome: str, execution_id: str | None, at: float
) -> None:
    writer.execute(
        "UPDATE inbox SET outcome = ?, execution = ?, settled_at = ?"
        " WHERE outcome IS NULL AND id = ?",
        (outcome, execution_id, at, post_id),
    )


def post(path: Path, item: Post) -> None:
    """Ask something of the engine that has the journal open, from another process. One request
    with this id is open at a time; asked anew, the engine knows whether it took its signal.
    Returns when it is safe on the disk.

    Raises:
        sqlite3.Error: the file cannot be written.
    """
    # the file is there: it must not be made anew
    with closing(_connect(path, "rw")) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        decided = None if item.resolution is None else item
        step = None if item.resolution == "abandon" else item.step  # that is about all of them
        target = None if item.event is not None else _target(str(item.to), decided, step)
        connection.execute("DELETE FROM inbox WHERE id = ? AND outcome IS NOT NULL", (item.id,))
        connection.execute(
            "INSERT OR IGNORE INTO inbox (id, target, body, posted_at) VALUES (?, ?, ?, ?)",
            (item.id, target, msgspec.json.encode(item), item.at),
        )


def outcome(path: Path, post_id: str) -> tuple[str | None, str | None]:
    """What became of a request (None: nothing yet), and the execution concerned."""
    with closing(_connect(path, "ro")) as connection:
        row: Any = connection.execute(
            "SELECT outcome, execution FROM inbox WHERE id = ?", (post_id,)
        ).fetchone()
    return (None, None) if row is None else (row[0], row[1])


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    where = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(where, uri=True, isolation_level=None, timeout=5)


# -- who waits ------------------------------------------------------------------------------


def awaiting(
    reader: sqlite3.Connection, event: str, correlation: str, place: tuple[float, int], most: int
) -> Iterator[tuple[float, str, str, int]]:
    """(since, id, fingerprint, number) of who waits for it, after that (since, number)."""
    rows = reader.execute(
        "SELECT since, id, fingerprint, no FROM waits JOIN executions ON no = execution"
        " WHERE event = ? AND correlation = ? AND (since, execution) > (?, ?)"
        " ORDER BY since, execution LIMIT ?",
        (event, correlation, *place, most),
    ).fetchall()
    yield from rows
