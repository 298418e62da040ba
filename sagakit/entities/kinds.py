"""The types a field can have: each in JSON Schema, in Python and in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec


class FieldType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of field.

    Parameters:
        meaning: for people, in a few words.
        schema: what JSON holds for it.
        python: what the generated models hold for it; the names in it are imported there.
        column: SQLAlchemy's type, where the Python type alone does not say it.
        key: whether a row can be found by it.
    """

    meaning: str
    schema: Mapping[str, Any]
    python: str
    column: str = ""
    key: bool = True


# Money is text in JSON: a number there is read as a binary fraction, which 0.10 is not.
_MONEY = {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$"}
_MINUTES = {"type": "string", "format": "date-time"}

FIELD_TYPES: Mapping[str, FieldType] = MappingProxyType(
    {
        "text": FieldType(meaning="text", schema={"type": "string"}, python="str"),
        "integer": FieldType(meaning="a whole number", schema={"type": "integer"}, python="int"),
        "number": FieldType(
            meaning="a number, rounded in binary", schema={"type": "number"}, python="float",
            key=False,
        ),
        "money": FieldType(
            meaning='an exact decimal, written as text: "12.50"', schema=_MONEY, python="Decimal",
            column="Numeric(19, 4)", key=False,
        ),
        "boolean": FieldType(
            meaning="true or false", schema={"type": "boolean"}, python="bool", key=False
        ),
        "date": FieldType(
            meaning="a day: 2026-11-30", schema={"type": "string", "format": "date"},
            python="dt.date",
        ),
        "time": FieldType(
            meaning="a time of day: 13:45:00", schema={"type": "string", "format": "time"},
            python="dt.time",
        ),
        "datetime": FieldType(
            meaning="a moment: 2026-11-30T13:45:00Z", schema=_MINUTES, python="dt.datetime",
            column="DateTime(timezone=True)",
        ),
        "uuid": FieldType(
            meaning="an id without a meaning of its own", python="UUID",
            schema={"type": "string", "format": "uuid"},
        ),
        "json": FieldType(
            meaning="anything that JSON can hold", schema={}, python="Any", column="JSON", key=False
        ),
    }
)  # fmt: skip
