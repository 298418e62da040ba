"""What the countermeasures need of an SQL database: one column, or a table of operations.

Each change is one statement whose condition is part of it, so it is right on a database with
several writers too; what is only compared is read FOR UPDATE (on SQLite, where BEGIN IMMEDIATE has
the write lock already, that is left out).
"""

from __future__ import annotations

import functools
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
    Update,
    bindparam,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.engine import Connection

from sagakit.countermeasures import Operation
from sagakit.errors import DefinitionError


class _Statements:
    """What is said of one column, built once: to build a statement costs more than to run it.

    The parameters' names end in ``_``, so that they are no columns' names.
    """

    def __init__(self, column: Column[Any]) -> None:
        table = column.table
        keys = list(table.primary_key)
        if len(keys) != 1:
            problem = f"has a primary key of {len(keys)} columns; SqlRows needs one"
            raise DefinitionError(f"table '{table.name}'", [problem])
        by = column + bindparam("by_", type_=column.type)
        at = keys[0] == bindparam("key_")
        self.get = select(column).where(at)
        self.check = self.get.with_for_update()
        self.add = update(table).where(at).values({column: by})
        self.add_within = self.add.where(by >= bindparam("least_", type_=column.type))
        seen = column.is_not_distinct_from(bindparam("seen_", type_=column.type))
        self.swap = update(table).where(at, seen).values({column: bindparam("new_")})


_statements = functools.lru_cache(maxsize=256)(_Statements)


class SqlRows:
    """One column of a table, by the primary key: `sagakit.countermeasures.Rows` in SQL.

    Parameters:
        connection: within a transaction, as an action of a `Participant` gets it.
        column: ``customers.c.credit``. Its table has a primary key of one column.

    Raises:
        DefinitionError: the primary key has none or several columns.
    """

    def __init__(self, connection: Connection, column: Column[Any]) -> None:
        self._connection = connection
        self._say = _statements(column)

    def get(self, key: Any) -> Any:
        """The value; None if there is no such row."""
        return self._connection.execute(self._say.get, {"key_": key}).scalar_one_or_none()

    def check(self, key: Any) -> Any:
        """The value, which stays so until the transaction ends."""
        return self._connection.execute(self._say.check, {"key_": key}).scalar_one_or_none()

    def add(self, key: Any, by: Any, least: Any = None) -> bool:
        """Add to the value, unless it would fall below ``least``; whether that was done."""
        if least is None:
            return self._did(self._say.add, key, by_=by)
        return self._did(self._say.add_within, key, by_=by, least_=least)

    def swap(self, key: Any, seen: Any, new: Any) -> bool:
        """Put a value in the place of the one seen, if that is still there; whether it was."""
        return self._did(self._say.swap, key, seen_=seen, new_=new)

    def _did(self, change: Update, key: Any, **values: Any) -> bool:
        return self._connection.execute(change, {"key_": key, **values}).rowcount == 1


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
