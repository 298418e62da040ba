"""The table ``sagakit_inbox``: a participant's answers, one row for one step of one execution.

The states and what each of them answers are in `sagakit.services.participant`. ``expires_at``
(seconds since 1970) and ``hold`` (whose undo expires it) are filled while the row is *held* and
NULL otherwise, so the partial index holds what may expire and nothing else.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    Column,
    Double,
    Index,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.schema import CreateColumn

from sagakit.errors import DefinitionError

_tables = MetaData()
_inbox = Table(
    "sagakit_inbox",
    _tables,
    Column("step_key", String(500), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("request", String(64)),
    Column("reply", Text),
    Column("undo_reply", Text),
    Column("expires_at", Double),
    Column("hold", String(200)),
)
_held = _inbox.c.expires_at.is_not(None)
_by_expiry = Index(
    "sagakit_inbox_expiry", _inbox.c.expires_at, sqlite_where=_held, postgresql_where=_held
)
# Built once: to build a statement costs as much as to run it. FOR UPDATE holds the row on a
# database with several writers (a new row that two insert at once makes one of them fail and
# try again); on SQLite, where BEGIN IMMEDIATE has done it already, it is left out.
_FIND = (
    select(*[column for column in _inbox.c if column.name != "step_key"])
    .where(_inbox.c.step_key == bindparam("step"))
    .with_for_update()
)
_ADD = insert(_inbox)
_SETTLE = (
    update(_inbox)
    .where(_inbox.c.step_key == bindparam("step"))
    .values(state=bindparam("to"), undo_reply=bindparam("answer"), expires_at=None, hold=None)
)
_DUE = (
    select(_inbox.c.step_key)
    .where(_inbox.c.expires_at <= bindparam("now"))
    .order_by(_inbox.c.expires_at, _inbox.c.step_key)
)
_COUNT = select(func.count()).select_from(_inbox)


class Hold(msgspec.Struct, frozen=True):
    """A kind of reservation with a time limit. Made by `Participant.hold`."""

    name: str
    expires_after: float  # seconds

    def __post_init__(self) -> None:
        if not (self.expires_after > 0 and math.isfinite(self.expires_after)):
            problem = f"expires_after={self.expires_after!r} is no positive number of seconds"
            raise DefinitionError(f"hold '{self.name}'", [problem])


class Row(NamedTuple):
    """What is known of one step; the fields are the table's columns, in their order."""

    state: str
    request: str | None = None
    reply: str | None = None
    undo_reply: str | None = None
    expires_at: float | None = None
    hold: str | None = None


def create(connection: Connection) -> None:
    """Create the table, or add the columns that one made by an earlier version lacks.

    On a database with several writers two services that do this at once may collide; the one
    that fails succeeds when it is started again.
    """
    existing = inspect(connection)
    if not existing.has_table(_inbox.name):
        _tables.create_all(connection)
        return
    there = {column["name"] for column in existing.get_columns(_inbox.name)}
    for column in _inbox.c:
        if column.name not in there:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {_inbox.name} ADD COLUMN {definition}")
    _by_expiry.create(connection, checkfirst=True)


def find(connection: Connection, step: str) -> Row | None:
    found = connection.execute(_FIND, {"step": step}).one_or_none()
    return None if found is None else Row(*found)


def add(connection: Connection, step: str, row: Row) -> Row:
    connection.execute(_ADD, {"step_key": step, **row._asdict()})
    return row


def settle(
    connection: Connection, step: str, row: Row, state: str, undo_reply: str | None = None
) -> Row:
    """Move a row to a state in which nothing can expire any more."""
    connection.execute(_SETTLE, {"step": step, "to": state, "answer": undo_reply})
    return row._replace(state=state, undo_reply=undo_reply, expires_at=None, hold=None)


def due(connection: Connection, now: float) -> list[str]:
    """The steps whose holds have expired by ``now`` (seconds since 1970), the oldest first."""
    return list(connection.execute(_DUE, {"now": now}).scalars())


def count(connection: Connection) -> int:
    return connection.execute(_COUNT).scalar_one()


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def decode(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)
