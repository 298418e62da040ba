"""Carries out what ``Sql`` says: by SQLAlchemy, in the inbox of `sagakit.services`."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.connectors import cel
from sagakit.connectors.base import ABSENT
from sagakit.connectors.secret import Secret, Vault
from sagakit.connectors.templates import Filling
from sagakit.errors import InDoubtError, NotDoneError, TerminalError

if TYPE_CHECKING:
    import sqlalchemy
    from sqlalchemy.engine import Connection

    from sagakit.connectors.sql import Sql
    from sagakit.services.participant import Participant

_opening = threading.Lock()
_STEPS = 20_000  # of SQLite's machine between two looks at the clock
_LARGEST = 10_000  # rows


class Work:
    """One call of a statement.

    Parameters:
        sql: what it says.
        ctx: the step's context.
        fill: fills its parameters in.
        vault: has its secrets.
    """

    def __init__(self, sql: Sql, ctx: Any, fill: Filling, vault: Vault) -> None:
        self.sql = sql
        self.ctx = ctx
        self.fill = fill
        self.vault = vault
        self.reads = re.match(r"\s*select\b", sql.statement or "", re.IGNORECASE) is not None
        self._done = False  # the statement is carried out; what fails then is the commit

    def act(self) -> Any:
        """Do it once for the step's key."""
        parameters = self._parameters(self.fill)
        request = {"statement": self.sql.statement, "parameters": parameters}
        with self._explained():
            return self._participant().act(
                self.ctx.idempotency_key,
                request,
                lambda connection: self._run(connection, parameters, self.fill),
                keep_refusal=self.sql.keep_refusal,
            )

    def undo(self) -> Any:
        """Undo what the step's action did, if it did."""

        def undone(connection: Connection, reply: Any) -> Any:
            fill = self.fill.knowing(result=reply)
            return self._run(connection, self._parameters(fill), fill)

        with self._explained():
            return self._participant().compensate(self.ctx.idempotency_key, undone)

    def outcome(self) -> Any:
        """What the step's action did; ``ABSENT`` if it did not, and then it never will."""
        with self._explained():
            found = self._participant().outcome(self.ctx.idempotency_key)
        return ABSENT if found is False else found.result

    def read(self) -> Any:
        """Look, without a trace."""
        parameters = self._parameters(self.fill)
        with self._explained(), self._database().connect() as connection:
            found = self._run(connection, parameters, self.fill)
            connection.rollback()
            return found

    def _run(self, connection: Connection, parameters: dict[str, Any], fill: Filling) -> Any:
        import sqlalchemy
        from sqlalchemy.exc import DataError, IntegrityError

        assert self.sql.statement is not None
        try:
            with _in_time(connection, self.sql.timeout):
                made = connection.execute(sqlalchemy.text(self.sql.statement), parameters)
                rows = _plain(made) if made.returns_rows else None
        except (IntegrityError, DataError) as error:  # it would be refused again
            raise TerminalError(self._said(error, "was refused")) from None
        count = made.rowcount if rows is None else len(rows)
        if self.sql.expect is not None and count != self.sql.expect:
            text = f"statement found {count} rows, and its expect is {self.sql.expect}"
            raise TerminalError(f"{self.vault.place}: its {text}")
        self._done = True
        if self.sql.result is None:
            return rows
        response = {"rows": rows or [], "count": count}
        given = {**fill.given, "response": lambda: response}
        return cel.evaluate(self.sql.result, given, self.vault.place)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say what an error of the database means for the step."""
        from sqlalchemy.exc import (
            ArgumentError,
            DBAPIError,
            NoSuchModuleError,
            OperationalError,
            ProgrammingError,
            SQLAlchemyError,
        )

        try:
            yield
        except ProgrammingError as error:
            raise TerminalError(self._said(error, "cannot be run")) from None
        except (DBAPIError, OSError) as error:
            if self._done:
                raise InDoubtError(self._said(error, "was run, and its commit failed")) from None
            what = "was not done" if isinstance(error, OperationalError) else "failed"
            raise NotDoneError(self._said(error, f"{what} and is rolled back")) from None
        except (ArgumentError, NoSuchModuleError, SQLAlchemyError, ModuleNotFoundError) as error:
            raise TerminalError(self._said(error, "cannot be run")) from None

    def _said(self, error: Exception, what: str) -> str:
        """An error without the statement's values, which the database's own text may show."""
        cause = getattr(error, "orig", None) or error
        text = self.vault.scrub(str(cause).strip().partition("\n")[0])
        return f"{self.vault.place}: its statement {what}: {type(cause).__name__}: {text}"

    def _parameters(self, fill: Filling) -> dict[str, Any]:
        found = {}
        for name, value in fill.data(self.sql.parameters).items():
            if isinstance(value, list | dict):
                text = f"{self.vault.place}: its parameter '{name}' is a list or a mapping"
                raise TerminalError(f"{text}; give text, a number, true, false or null")
            found[name] = value
        return found

    def _participant(self) -> Participant:
        from sqlalchemy.exc import IntegrityError, ProgrammingError

        url = self._url()
        try:
            with _opening:
                return _participant_of(os.getpid(), url)
        except (IntegrityError, ProgrammingError) as error:  # another process made the table, too
            raise NotDoneError(self._said(error, "has no inbox yet")) from None

    def _database(self) -> sqlalchemy.Engine:
        return _database_of(os.getpid(), self._url())

    def _url(self) -> str:
        url = self.sql.url
        return self.vault.value(url) if isinstance(url, Secret) else self.fill.text(url)


@functools.cache
def _database_of(_process: int, url: str) -> sqlalchemy.Engine:
    """One for each database and process: it keeps connections."""
    from pathlib import Path

    import sqlalchemy

    from sagakit.services.database import open_database

    made = sqlalchemy.make_url(url)
    if made.get_backend_name() == "sqlite":
        path = None if made.database in (None, "", ":memory:") else Path(str(made.database))
        return open_database(path, sqlalchemy.MetaData())
    return sqlalchemy.create_engine(made, pool_pre_ping=True, hide_parameters=True)


@functools.cache
def _participant_of(process: int, url: str) -> Participant:
    from sagakit.services.participant import Participant

    return Participant("sql", _database_of(process, url))


def _plain(made: Any) -> list[dict[str, Any]]:
    """Rows as JSON has them, so that a repeat, which gets what is stored, gets the same."""
    rows = [dict(row) for row in made.mappings().fetchmany(_LARGEST + 1)]
    if len(rows) > _LARGEST:
        raise TerminalError(f"its statement gives more than {_LARGEST:,} rows; give it a LIMIT")
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(rows))
    return found


@contextmanager
def _in_time(connection: Connection, seconds: float) -> Iterator[None]:
    """Let the database break a statement off that takes longer."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}")
        yield
        return
    raw: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite":
        yield
        return
    until = time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
