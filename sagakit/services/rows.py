"""What the countermeasures need of an SQL database: one column, or a table of operations.

Each change is one statement whose condition is part of it, so it is right on a database with
several writers too; what is only compared is read FOR UPDATE (on SQLite, where BEGIN IMMEDIATE has
the write lock already, that is left out).
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    Text,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Connection

from sagakit.countermeasures import Operation
from sagakit.errors import DefinitionError


class SqlRows:
    """One column of a table, by the primary key: `sagakit.countermeasures.Rows` in SQL.

    Parameters:
        connection: within a transaction, as an action of a `Participant` gets it.
        column: ``customers.c.credit``. Its table has a primary key of one column.

    Raises:
        DefinitionError: the primary key has none or several columns.
    """

    def __init__(self, connection: Connection, column: Column[Any]) -> None:
        keys = list(column.table.primary_key)
        if len(keys) != 1:
            problem = f"has a primary key of {len(keys)} columns; SqlRows needs one"
            raise DefinitionError(f"table '{column.table.name}'", [problem])
        self._connection = connection
        self._column = column
        self._key = keys[0]

    def get(self, key: Any) -> Any:
        """The value; None if there is no such row."""
        query = select(self._column).where(self._key == key)
        return self._connection.execute(query).scalar_one_or_none()

    def check(self, key: Any) -> Any:
        """The value, which stays so until the transaction ends."""
        query = select(self._column).where(self._key == key).with_for_update()
        return self._connection.execute(query).scalar_one_or_none()

    def add(self, key: Any, by: Any, least: Any = None) -> bool:
        """Add to the value, unless it would fall below ``least``; whether that was done."""
        change = update(self._column.table).where(self._key == key)
        if least is not None:
            change = change.where(self._column + by >= least)
        made = change.values({self._column: self._column + by})
        return self._connection.execute(made).rowcount == 1

    def swap(self, key: Any, seen: Any, new: Any) -> bool:
        """Put a value in the place of the one seen, if that is still there; whether it was."""
        as_seen = self._column.is_not_distinct_from(seen)
        change = update(self._column.table).where(self._key == key, as_seen)
        return self._connection.execute(change.values({self._column: new})).rowcount == 1


def operations_table(name: str, tables: MetaData) -> Table:
    """The table of a version file, to be created with the service's others.

    Parameters:
        name: the table's name, ``"credit_operations"``.
        tables: the service's.
    """
    return Table(
        name,
        tables,
        Column("item", String(200), primary_key=True),
        Column("operation", String(500), primary_key=True),
        Column("withdrawn", Boolean, primary_key=True),
        Column("at", BigInteger, nullable=False),
        Column("what", Text, nullable=False),
    )


class SqlOperations:
    """The operations on rows, in a table made by `operations_table`: the log of a `VersionFile`.

    Keys are texts; operations are plain JSON data.
    """

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table

    def append(self, key: str, operation: Operation) -> None:
        """Add one; the same again changes nothing."""
        columns = self._table.c
        row = {
            "item": key,
            "operation": operation.id,
            "withdrawn": operation.withdrawn,
            "at": operation.at,
            "what": msgspec.json.encode(operation.what).decode(),
        }
        same = (columns.item == key) & (columns.operation == operation.id)
        known = select(columns.item).where(same, columns.withdrawn == operation.withdrawn)
        values = select(*(literal(row[c.name], c.type) for c in columns)).where(~known.exists())
        self._connection.execute(insert(self._table).from_select([c.name for c in columns], values))

    def operations(self, key: str) -> list[Operation]:
        """All there are of a row."""
        columns = self._table.c
        query = select(columns.operation, columns.at, columns.what, columns.withdrawn)
        return [
            Operation(id, at, msgspec.json.decode(what), withdrawn)
            for id, at, what, withdrawn in self._connection.execute(
                query.where(columns.item == key)
            )
        ]
