"""One service, one SQLite database: opened so that a killed process loses nothing it had said.

- **WAL** with ``synchronous=NORMAL``: a committed transaction is in the operating system's hands
  when the call returns, so it survives ``SIGKILL`` of the process. A power cut may lose the last
  few commits (never damage the file): ``FULL`` would cost an fsync, milliseconds, in each call.
  The journal, which must not forget, pays that price; a demonstration world need not.
- Every transaction begins with ``BEGIN IMMEDIATE``: it holds the write lock before it reads, so
  what it read is still true when it writes, and it never fails half-way with "database is locked".
- One connection per process: SQLite has one writer at a time anyway, and threads that queue for
  a connection wake at once, where SQLite's own lock is polled with growing sleeps. Other
  processes wait for the lock up to 30 seconds.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, MetaData, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import QueuePool

_WAIT = 30.0  # seconds to wait for another thread's connection, or another process's lock


def open_database(path: Path | None, tables: MetaData) -> Engine:
    """Open a service's database and create the tables that are missing.

    Parameters:
        path: the SQLite file, created when it is not there; ``None`` keeps it in memory, where
            it lives as long as the engine and serves several threads.
        tables: what the service stores.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path) if path else ":memory:"),
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=_WAIT,
        connect_args={"check_same_thread": False, "timeout": _WAIT},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.begin() as connection:
        tables.create_all(connection)
    return engine


def _prepare(dbapi_connection: Any, _record: Any) -> None:
    dbapi_connection.isolation_level = None  # sqlite3 must not begin transactions by itself
    _use_wal(dbapi_connection)
    dbapi_connection.execute("PRAGMA synchronous=NORMAL")
    dbapi_connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: Any) -> None:
    """Of processes that open a new file at once, all but one are told "locked" without a wait:
    while a file changes its mode SQLite does not heed the timeout."""
    until = time.monotonic() + _WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
