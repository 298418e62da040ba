"""The table ``sagakit_outbox``: messages in the order in which they are delivered."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Double,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Update,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from sagakit.connectors.publish import Message

_tables = MetaData()
_outbox = Table(
    "sagakit_outbox",
    _tables,
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("message_id", String(500), nullable=False, unique=True),
    Column("topic", String(500), nullable=False),
    Column("message_key", String(500)),
    Column("body", Text, nullable=False),
    Column("delivered_at", Double),  # seconds since 1970
)
_waiting = _outbox.c.delivered_at.is_(None)
Index(
    "sagakit_outbox_waiting",
    _outbox.c.position,
    sqlite_where=_waiting,
    postgresql_where=_waiting,
)
_FIRST = select(_outbox).where(_waiting).order_by(_outbox.c.position).limit(1)
_made: weakref.WeakSet[Engine] = weakref.WeakSet()  # where the table is


def create(database: Engine) -> None:
    """Create the table, unless it is there; another process may do so at the same time."""
    if database in _made:
        return
    try:
        _tables.create_all(database)
    except (IntegrityError, OperationalError, ProgrammingError):
        _tables.create_all(database)  # the other one has made it by now
    _made.add(database)


def add(connection: Connection, message: Message) -> str:
    """Put a message last; its id."""
    body = msgspec.json.encode(message.body).decode()
    row = {
        "message_id": message.id,
        "topic": message.topic,
        "message_key": message.key,
        "body": body,
    }
    connection.execute(insert(_outbox), row)
    return message.id


def deliver_one(database: Engine, deliver: Callable[[Message], Any]) -> bool:
    """Deliver the first message that waits; whether there was one.

    Its row is locked meanwhile, so that another relay takes the next one. SQLite can only lock
    everything, and what is delivered may write to the same file: there two relays may both deliver
    a message.
    """
    if database.dialect.name == "sqlite":
        with database.begin() as connection:
            first = connection.execute(_FIRST).one_or_none()
        if first is not None:
            _deliver(first, deliver)
            with database.begin() as connection:
                connection.execute(_delivered(first))
        return first is not None
    with database.begin() as connection:
        first = connection.execute(_FIRST.with_for_update(skip_locked=True)).one_or_none()
        if first is not None:
            _deliver(first, deliver)
            connection.execute(_delivered(first))
    return first is not None


def _deliver(row: Any, deliver: Callable[[Message], Any]) -> None:
    deliver(Message(row.message_id, row.topic, row.message_key, msgspec.json.decode(row.body)))


def _delivered(row: Any) -> Update:
    change = update(_outbox).where(_outbox.c.position == row.position)
    return change.values(delivered_at=time.time())
