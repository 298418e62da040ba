"""What an ER diagram shows, as plain data."""

from __future__ import annotations

import msgspec


class ErRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a box: a field and its type, or a relation and where it leads."""

    name: str
    words: str = ""
    key: bool = False
    optional: bool = False
    relation: bool = False


class ErBox(msgspec.Struct, frozen=True, kw_only=True):
    """An entity. Those of one ``group`` (a service) stand together; ``note`` is one more word."""

    name: str
    group: str = ""
    rows: tuple[ErRow, ...] = ()
    note: str = ""


class ErEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Where a line ends: at a box, or at a row of it, by their numbers, and how many are there.

    Parameters:
        many: any number of rows; otherwise one, or none where it is ``optional``.
    """

    box: int
    row: int | None = None
    many: bool = False
    optional: bool = False


class ErLine(msgspec.Struct, frozen=True, kw_only=True):
    """What two entities have to do with each other; ``loose``: no database watches over it."""

    first: ErEnd
    second: ErEnd
    loose: bool = False
