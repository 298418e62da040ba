"""Rows in memory that can be set back, and that tell who read and wrote them when asked.

A ``Table`` is a dict. As long as nobody records it is nothing else, at a dict's speed; while a
``Tape`` is attached it writes down every access to it. That is what isolation anomalies are found
from (``anomalies.py``), and what says which calls depend on one another (``interleave.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, Self

import msgspec

from sagakit.errors import SagaError

_Rows = dict[Any, Any]


class _Sign(StrEnum):
    """What stands for something that is no row and no value."""

    ALL = "*"
    MISSING = "nothing"

    def __repr__(self) -> str:
        return self.value


ALL: Final = _Sign.ALL  # as a key: which rows there are; whoever counts or lists them reads it
MISSING: Final = _Sign.MISSING  # as a value: there is no such row


class AccessKind(StrEnum):
    """What was done to a row."""

    READ = "read"  # its value may be used
    CHECK = "check"  # its value decided only whether to go on or to refuse
    WRITE = "write"  # whatever stood there is overwritten
    COMMUTE = "commute"  # a change that gives the same in any order with others of its kind


class Access(msgspec.Struct, frozen=True):
    """One access to a row, by a step of an execution: ``value`` is what was read, or what the row
    held afterwards."""

    execution: str
    step: str
    kind: AccessKind
    table: str
    key: Any
    value: Any

    def __str__(self) -> str:
        return f"{self.step} of {self.execution}: {self.kind} {self.place} = {self.value!r}"

    @property
    def place(self) -> str:
        """``accounts['ALFKI']``; ``accounts[*]`` stands for which rows there are."""
        return f"{self.table}[{self.key!r}]"


class Table(dict[Any, Any]):
    """Rows by their keys: a dict with immutable values, which can be set back in place.

    Numbers, texts, tuples and frozen structs are fine as values. Change a row by putting another
    value in its place: a change within a value would be seen by nobody.
    """

    __slots__ = ("_name", "_tape")
    _name: str
    _tape: Tape

    def snapshot(self) -> _Rows:
        """What it holds now, for ``restore``."""
        return dict.copy(self)

    def restore(self, token: Mapping[Any, Any]) -> None:
        """Hold again what it held when the snapshot was made. Nobody records that."""
        dict.clear(self)
        dict.update(self, token)

    def check(self, key: Any, default: Any = None) -> Any:
        """The row's value, for no other use than to decide whether to go on or to refuse."""
        return dict.get(self, key, default)

    def commute(self, key: Any, change: Callable[[Any], Any], default: Any = None) -> None:
        """Put ``change(value)`` in the value's place (of ``default``, if there is no such row).

        The caller promises that such changes of a row give the same in any order, as additions
        do. ``UPDATE … SET balance = balance + 10`` is one; setting a balance is not.
        """
        dict.__setitem__(self, key, change(dict.get(self, key, default)))

    # what `sagakit.countermeasures` asks of rows and of a log of operations

    def add(self, key: Any, by: Any, least: Any = None) -> bool:
        """Add to a row's value, unless it would fall below ``least`` or is not there; whether that
        was done. It commutes with others of its kind, but for the check of ``least``."""
        if not dict.__contains__(self, key):
            return self.check(key) is not None  # which says so to the tape
        if least is not None and self.check(key) + by < least:
            return False
        self.commute(key, lambda value: value + by)
        return True

    def swap(self, key: Any, seen: Any, new: Any) -> bool:
        """Put a value in the place of the one seen, if that is still there; whether it was."""
        if self.check(key, MISSING) != seen:
            return False
        self[key] = new
        return True

    def append(self, key: Any, operation: Any) -> None:
        """Add to the set of operations that the row holds, which commutes."""
        self.commute(key, lambda known: known | {operation}, frozenset())

    def operations(self, key: Any) -> frozenset[Any]:
        """The set of operations that the row holds."""
        return frozenset(self.get(key, ()))

    def __reduce__(self) -> tuple[type[Table], tuple[_Rows]]:
        return Table, (self.snapshot(),)

    def __repr__(self) -> str:
        return f"Table({dict.__repr__(self)})"


class _Recorded(Table):
    """A table while a tape is attached to it. A table changes its class for that time, so that
    one which nobody records does not even ask whether somebody does."""

    __slots__ = ()

    def snapshot(self) -> _Rows:
        return dict(dict.items(self))  # `dict.copy` would ask the methods below

    # -- reading ----------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Any:
        value = dict.get(self, key, MISSING)
        self._note(AccessKind.READ, key, value)
        return dict.__getitem__(self, key)

    def get(self, key: Any, default: Any = None) -> Any:
        value = dict.get(self, key, MISSING)
        self._note(AccessKind.READ, key, value)
        return default if value is MISSING else value

    def check(self, key: Any, default: Any = None) -> Any:
        value = dict.get(self, key, MISSING)
        self._note(AccessKind.CHECK, key, value)
        return default if value is MISSING else value

    def __contains__(self, key: Any) -> bool:
        return self.get(key, MISSING) is not MISSING

    def __iter__(self) -> Iterator[Any]:
        self._note(AccessKind.READ, ALL, len(dict.keys(self)))
        return iter(list(dict.keys(self)))

    def __reversed__(self) -> Any:
        return reversed(list(self))

    def __len__(self) -> int:
        self._note(AccessKind.READ, ALL, dict.__len__(self))
        return dict.__len__(self)

    def keys(self) -> Any:
        return dict.fromkeys(self).keys()

    def items(self) -> Any:
        return self.copy().items()

    def values(self) -> Any:
        return self.copy().values()

    def copy(self) -> _Rows:
        return {key: self[key] for key in self}

    def __eq__(self, other: object) -> bool:
        return self.copy() == other

    def __ne__(self, other: object) -> bool:
        return self.copy() != other

    __hash__ = None  # type: ignore[assignment]

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    # -- writing ----------------------------------------------------------------------------

    def __setitem__(self, key: Any, value: Any) -> None:
        self._put(AccessKind.WRITE, key, value)

    def commute(self, key: Any, change: Callable[[Any], Any], default: Any = None) -> None:
        self._put(AccessKind.COMMUTE, key, change(dict.get(self, key, default)))

    def _put(self, kind: AccessKind, key: Any, value: Any) -> None:
        if isinstance(value, list | dict | set | bytearray):
            raise SagaError(
                f"table '{self._name}': the value of row {key!r} is a {type(value).__name__}, "
                "whose changes nobody would see; put a tuple, a frozenset or a frozen struct there"
            )
        if not dict.__contains__(self, key):
            self._note(AccessKind.COMMUTE, ALL, dict.__len__(self) + 1)
        dict.__setitem__(self, key, value)
        self._note(kind, key, value)

    def __delitem__(self, key: Any) -> None:
        if dict.__contains__(self, key):
            self._note(AccessKind.COMMUTE, ALL, dict.__len__(self) - 1)
        self._note(AccessKind.WRITE, key, MISSING)
        dict.__delitem__(self, key)

    def pop(self, key: Any, *default: Any) -> Any:
        value = self.get(key, MISSING)
        if value is not MISSING:
            del self[key]
            return value
        return dict.pop(self, key, *default)

    def popitem(self) -> tuple[Any, Any]:
        if not self:
            raise KeyError("popitem(): the table is empty")
        key = next(reversed(self))
        return key, self.pop(key)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return dict.__getitem__(self, key)

    def update(self, *rows: Any, **more: Any) -> None:
        for key, value in dict(*rows, **more).items():
            self[key] = value

    def __ior__(self, other: Any) -> Self:
        self.update(other)
        return self

    def clear(self) -> None:
        for key in self:
            del self[key]

    def _note(self, kind: AccessKind, key: Any, value: Any) -> None:
        tape = self._tape
        tape.accesses.append(Access(tape.execution, tape.step, kind, self._name, key, value))


class Tape:
    """Writes down who reads and writes some tables, from ``attach`` to ``detach``.

    Parameters:
        execution: whose accesses come next; set it before each call.
        step: and in which of its steps.
    """

    def __init__(self, execution: str = "", step: str = "") -> None:
        self.execution = execution
        self.step = step
        self.accesses: list[Access] = []
        self._tables: list[Table] = []

    def attach(self, tables: Mapping[str, Table]) -> Self:
        """Record these, by these names, until ``detach``; ``with tape.attach(…):`` does both.

        Raises:
            SagaError: another tape records one of them.
        """
        for name, table in tables.items():
            if isinstance(table, _Recorded):
                self.detach()
                raise SagaError(f"table '{name}' is being recorded already; detach that tape first")
            table._name, table._tape = name, self
            table.__class__ = _Recorded
            self._tables.append(table)
        return self

    def detach(self) -> None:
        """Record no more. What was recorded stays."""
        for table in self._tables:
            table.__class__ = Table
            del table._tape, table._name
        self._tables.clear()

    def take(self) -> list[Access]:
        """What was recorded since the last ``take``."""
        taken, self.accesses = self.accesses, []
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()


class World:
    """A few tables that belong together: ``World(accounts={"ALFKI": 100}, orders={})``.

    Each is an attribute, ``world.accounts``. ``world.fresh`` is what ``explore`` and
    ``interleave`` ask for as ``world=``: actions can go on reaching the tables as they always do.
    """

    def __init__(self, **tables: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        self._tables = {name: Table(rows) for name, rows in tables.items()}
        self._first = self.snapshot()

    def __getattr__(self, name: str) -> Table:
        tables: dict[str, Table] = self.__dict__.get("_tables", {})
        if name in tables:
            return tables[name]
        known = ", ".join(f"'{table}'" for table in tables)
        raise AttributeError(f"this world has no table '{name}'; it has {known or 'none'}")

    def tables(self) -> Mapping[str, Table]:
        """Its tables by their names."""
        return self._tables

    def fresh(self) -> Self:
        """This world, as it was when it was made."""
        self.restore(self._first)
        return self

    def snapshot(self) -> tuple[_Rows, ...]:
        """What it holds now, for ``restore``."""
        # a plain table in line: exploration asks for this some thousand times a second
        return tuple(
            [
                dict.copy(table) if type(table) is Table else table.snapshot()
                for table in self._tables.values()
            ]
        )

    def restore(self, token: tuple[_Rows, ...]) -> None:
        """Hold again what it held when the snapshot was made."""
        for table, rows in zip(self._tables.values(), token, strict=True):
            dict.clear(table)
            dict.update(table, rows)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={dict(rows)!r}" for name, rows in self._tables.items())
        return f"World({inside})"


def tables_of(world: Any) -> dict[str, Table]:
    """The tables of any world by their names: what its ``tables()`` gives, else the tables among
    its attributes (or values, if it is a mapping); of a table, itself."""
    if isinstance(world, Table):
        return {"table": world}
    if callable(getattr(world, "tables", None)):
        found: Any = world.tables()
    elif isinstance(world, Mapping):
        found = world
    else:
        found = getattr(world, "__dict__", {})
    return {str(name): table for name, table in found.items() if isinstance(table, Table)}
