"""Carries out what ``Sql`` says: by SQLAlchemy, in the inbox of `sagakit.services`."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.connectors import cel
from sagakit.connectors.base import ABSENT, Text
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


class Inbox:
    """The answers of a database to the steps of sagas.

    Parameters:
        url: the database.
        ctx: the step's context.
        fill: fills what it is asked for in.
        vault: has its secrets.
    """

    def __init__(self, url: Text, ctx: Any, fill: Filling, vault: Vault) -> None:
        self.ctx = ctx
        self.fill = fill
        self.vault = vault
        self.done = False  # what is asked is carried out; what fails then is the commit
        self._address = url

    def act(
        self, request: Any, effect: Callable[[Connection], Any], *, keep_refusal: bool = True
    ) -> Any:
        """Do the step's action once."""
        with self.explained():
            return self._participant().act(
                self.ctx.idempotency_key, request, effect, keep_refusal=keep_refusal
            )

    def undo(self, undone: Callable[[Connection, Any], Any]) -> Any:
        """Undo what the step's action did, if it did."""
        with self.explained():
            return self._participant().compensate(self.ctx.idempotency_key, undone)

    def outcome(self) -> Any:
        """What the step's action did; ``ABSENT`` if it did not, and then it never will."""
        with self.explained():
            found = self._participant().outcome(self.ctx.idempotency_key)
        return ABSENT if found is False else found.result

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Say what an error of the database means for the step."""
        from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError

        try:
            yield
        except ProgrammingError as error:
            raise TerminalError(self.said(error, "cannot be run")) from None
        except (DBAPIError, OSError) as error:
            if self.done:
                raise InDoubtError(self.said(error, "was run, and its commit failed")) from None
            what = "was not done" if isinstance(error, OperationalError) else "failed"
            raise NotDoneError(self.said(error, f"{what} and is rolled back")) from None
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise TerminalError(self.said(error, "cannot be run")) from None

    def said(self, error: Exception, what: str) -> str:
        """An error without the statement and its values, which SQLAlchemy's own text shows."""
        cause = getattr(error, "orig", None) or error
        text = self.vault.scrub(str(cause).strip().partition("\n")[0])
        return f"{self.vault.place}: its statement {what}: {type(cause).__name__}: {text}"

    def database(self) -> sqlalchemy.Engine:
        return database_of(self._url())

    def _participant(self) -> Participant:
        from sqlalchemy.exc import IntegrityError, ProgrammingError

        url = self._url()
        try:
            with _opening:
                return _participant_of(os.getpid(), url)
        except (IntegrityError, ProgrammingError) as error:  # another process made the table, too
            raise NotDoneError(self.said(error, "has no inbox yet")) from None

    def _url(self) -> str:
        url = self._address
        return self.vault.value(url) if isinstance(url, Secret) else self.fill.text(url)


class Work:
    """One call of a statement.

    Parameters:
        sql: what it says.
        inbox: of its database.
    """

    def __init__(self, sql: Sql, inbox: Inbox) -> None:
        self.sql = sql
        self.inbox = inbox
        self.place = inbox.vault.place
        self.reads = re.match(r"\s*select\b", sql.statement or "", re.IGNORECASE) is not None

    def act(self) -> Any:
        """Do it once for the step's key."""
        parameters = self._parameters(self.inbox.fill)
        return self.inbox.act(
            {"statement": self.sql.statement, "parameters": parameters},
            lambda connection: self._run(connection, parameters, self.inbox.fill),
            keep_refusal=self.sql.keep_refusal,
        )

    def undo(self) -> Any:
        """Undo what the step's action did, if it did."""

        def undone(connection: Connection, reply: Any) -> Any:
            fill = self.inbox.fill.knowing(result=reply)
            return self._run(connection, self._parameters(fill), fill)

        return self.inbox.undo(undone)

    def read(self) -> Any:
        """Look, without a trace."""
        fill = self.inbox.fill
        parameters = self._parameters(fill)
        with self.inbox.explained(), self.inbox.database().connect() as connection:
            found = self._run(connection, parameters, fill)
            connection.rollback()
            return found

    def _run(self, connection: Connection, parameters: dict[str, Any], fill: Filling) -> Any:
        import sqlalchemy
        from sqlalchemy.exc import DataError, IntegrityError

        assert self.sql.statement is not None
        try:
            with _in_time(connection, self.sql.timeout):
                made = connection.execute(sqlalchemy.text(self.sql.statement), parameters)
                rows = self._rows(made) if made.returns_rows else None
        except (IntegrityError, DataError) as error:  # it would be refused again
            raise TerminalError(self.inbox.said(error, "was refused")) from None
        count = made.rowcount if rows is None else len(rows)
        if self.sql.expect is not None and count != self.sql.expect:
            text = f"statement found {count} rows, and its expect is {self.sql.expect}"
            raise TerminalError(f"{self.place}: its {text}")
        self.inbox.done = True
        if self.sql.result is None:
            return rows
        response = {"rows": rows or [], "count": count}
        given = {**fill.given, "response": lambda: response}
        return cel.evaluate(self.sql.result, given, self.place)

    def _rows(self, made: Any) -> list[dict[str, Any]]:
        """Rows as JSON has them, so that a repeat, which gets what is stored, gets the same."""
        rows = [dict(row) for row in made.mappings().fetchmany(_LARGEST + 1)]
        if len(rows) > _LARGEST:
            text = f"its statement gives more than {_LARGEST:,} rows; give it a LIMIT"
            raise TerminalError(f"{self.place}: {text}")
        found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(rows))
        return found

    def _parameters(self, fill: Filling) -> dict[str, Any]:
        found = {}
        for name, value in fill.data(self.sql.parameters).items():
            if isinstance(value, list | dict):
                text = f"{self.place}: its parameter '{name}' is a list or a mapping"
                raise TerminalError(f"{text}; give text, a number, true, false or null")
            found[name] = value
        return found


def database_of(url: str) -> sqlalchemy.Engine:
    """One for each database and process: it keeps connections."""
    return _database_of(os.getpid(), url)


@functools.cache
def _database_of(_process: int, url: str) -> sqlalchemy.Engine:
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
