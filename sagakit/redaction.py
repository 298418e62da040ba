"""What nobody may read: the values of payload fields whose names a saga declares sensitive.

The journal keeps them, because recovery needs them. Whatever people read goes through here: a
field of such a name shows ``[redacted]``, and so does its value wherever else it turns up.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, TypeVar

import msgspec

MASK = "[redacted]"
SHORTEST = 4  # a shorter value is hidden under its name alone: it would turn up anywhere

# What those declare who are alive, by their identity: the names of fields, casefolded, and the
# events that are awaited there. It is asked where nobody knows whose data it is: for the repr of an
# event alone, or of a signal on its way. Whoever knows the execution asks its ``Redaction``.
_LIVING: dict[int, tuple[frozenset[str], frozenset[str]]] = {}

# Names that are sensitive nearly everywhere, casefolded: what `sagakit check` reminds one of. They
# hide nothing by themselves.
LIKELY = frozenset({
    "access_token", "account_number", "api_key", "apikey", "auth_token", "authorization",
    "bearer_token", "card_number", "cardnumber", "client_secret", "credit_card", "creditcard",
    "cvc", "cvv", "iban", "pan_number", "passphrase", "passwd", "password", "pin_code",
    "private_key", "pwd", "refresh_token", "secret", "secret_key", "ssn",
})  # fmt: skip

_PLAIN = frozenset({str, int, float, bool, type(None), list, tuple})  # the usual, in short


def problems(names: Any) -> list[str]:
    """What is wrong with a saga's ``redact``, each with its cure."""
    if isinstance(names, str):
        return [f'redact is the text {names!r}; give a sequence of names: redact=("{names}",)']
    if not isinstance(names, Iterable) or isinstance(names, Mapping | bytes):
        return [f"redact is {names!r}; give a sequence of field names, or leave it out"]
    return [
        f"redact has {name!r}; give the names of fields, as text that is not empty"
        for name in names
        if not isinstance(name, str) or not name.strip()
    ]


def folded(names: Iterable[str]) -> frozenset[str]:
    """The names as they are compared."""
    return frozenset(name.casefold() for name in names)


def declare(owner: object, names: frozenset[str], events: Iterable[str] = ()) -> None:
    """Hide fields of these names where nobody knows whose data it is, as long as the owner lives.

    Parameters:
        names: folded.
        events: that it awaits; the correlation of a signal for one of them is not shown either.
    """
    if names:
        _LIVING[id(owner)] = names, frozenset(events)
        weakref.finalize(owner, _LIVING.pop, id(owner), None).atexit = False


def declared() -> frozenset[str]:
    """The names that anybody alive declares."""
    return frozenset().union(*(names for names, _ in _LIVING.copy().values()))


def fields(value: Any) -> Iterator[tuple[str, Any]] | None:
    """The (name, value) pairs of what has named parts; None of everything else."""
    if type(value) in _PLAIN:
        return None
    if isinstance(value, Mapping):
        return ((key if isinstance(key, str) else str(key), part) for key, part in value.items())
    if isinstance(value, msgspec.Struct):
        return ((name, getattr(value, name)) for name in value.__struct_fields__)
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields as parts

        return ((part.name, getattr(value, part.name)) for part in parts(value))
    if hasattr(type(value), "__attrs_attrs__"):
        return ((part.name, getattr(value, part.name)) for part in type(value).__attrs_attrs__)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return zip(value._fields, value, strict=True)
    return None


def mask(value: Any, names: Set[str]) -> Any:
    """The value without what stands under these names, anywhere in it.

    What holds nothing of the kind comes back as it is; a struct, a dataclass or an attrs value
    that does comes back as a dict.

    Parameters:
        names: of fields and keys, casefolded.
    """
    return _Masking(names).of(value) if names else value


class _Masking:
    """Replaces what is under sensitive names; a subclass also what is known to be sensitive."""

    def __init__(self, names: Set[str]) -> None:
        self.names = names

    def of(self, value: Any) -> Any:
        named = fields(value)
        if named is not None:
            return self._named(value, list(named))
        if isinstance(value, list | tuple | set | frozenset):
            parts = [(part, self.of(part)) for part in value]
            if all(old is new for old, new in parts):
                return value
            shown = [new for _, new in parts]
            return tuple(shown) if isinstance(value, tuple) else shown
        return self.leaf(value)

    def _named(self, value: Any, named: list[tuple[str, Any]]) -> Any:
        shown = {
            name: MASK if name.casefold() in self.names else self.of(part) for name, part in named
        }
        return value if all(shown[name] is part for name, part in named) else shown

    def leaf(self, value: Any) -> Any:
        return value


class Redaction:
    """What must not be shown of an execution: the names, and the values found under them.

    An execution and those that do steps of it know the same values, and each its own names and
    those of the executions around it.

    Parameters:
        names: of the sensitive fields.
        around: that of the execution whose step this one does.
    """

    __slots__ = ("_values", "names")

    names: frozenset[str]

    def __init__(self, names: Iterable[str], around: Redaction | None = None) -> None:
        self.names = folded(names) | (around.names if around is not None else frozenset())
        self._values: dict[str, None] = {} if around is None else around._values

    def within(self, around: Redaction) -> None:
        """Share what the execution around knows."""
        self.names |= around.names
        around._values.update(self._values)
        self._values = around._values

    def learn(self, value: Any, *, whole: bool = False) -> None:
        """Remember what stands under the names in a value.

        Parameters:
            whole: all of the value is sensitive.
        """
        named = fields(value)
        if named is not None:
            for name, part in named:
                self.learn(part, whole=whole or name.casefold() in self.names)
        elif isinstance(value, list | tuple | set | frozenset):
            for part in value:
                self.learn(part, whole=whole)
        elif whole and value is not None and not isinstance(value, bool):
            text = _text(value)
            if len(text) >= SHORTEST and text not in self._values:
                self._values.update(dict.fromkeys(_spellings(text)))

    def scrub(self, text: str) -> str:
        """The text without any value known to be sensitive."""
        found = [value for value in self._values if value in text]
        for value in sorted(found, key=len, reverse=True):  # the longest first: one may hold others
            text = text.replace(value, MASK)
        return text

    def clean(self, value: Any) -> Any:
        """The value without what stands under the names and without any value known to be
        sensitive; what holds neither comes back as it is."""
        return _Cleaning(self).of(value)

    def holds(self, value: Any) -> bool:
        """Whether a value known to be sensitive stands in this one, under another name."""
        masked = mask(value, self.names)
        return self.clean(masked) is not masked


class _Cleaning(_Masking):
    def __init__(self, redaction: Redaction) -> None:
        super().__init__(redaction.names)
        self._scrub = redaction.scrub

    def leaf(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        text = value if isinstance(value, str) else _text(value)
        shown = self._scrub(text)
        return value if shown == text else shown


def _text(value: Any) -> str:
    """A value as texts show it."""
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001  a class of the user's; what cannot be shown leaks nothing
        return ""


def _spellings(text: str) -> Iterator[str]:
    """How a text may stand in other texts: as it is, as Python's literal, as JSON's."""
    import json

    yield text
    yield repr(text)[1:-1]
    yield json.dumps(text)[1:-1]


def named(correlation: str, event: str) -> str:
    """A correlation as a text may show it where nobody knows whose it is: not at all, if a saga
    that awaits the event declares something sensitive."""
    awaited = any(event in events for _, events in _LIVING.copy().values())
    return MASK if awaited else correlation


_Message = TypeVar("_Message", bound=msgspec.Struct)


def masked(message: _Message) -> _Message:
    """What brings a payload or has a correlation, and is for an event, without what may be
    sensitive."""
    changes: dict[str, Any] = {}
    names = declared()
    event: str | None = getattr(message, "event", None)
    for name in message.__struct_fields__ if names and event is not None else ():
        value = getattr(message, name)
        if name == "correlation" and value is not None:
            changes[name] = named(value, str(event))
        if name == "payload":
            whole = str(event).casefold() in names
            changes[name] = MASK if whole else mask(value, names)
    return msgspec.structs.replace(message, **changes)


def repr_of(message: msgspec.Struct) -> str:
    """The repr of what brings a payload or has a correlation, without what may be sensitive."""
    return msgspec.Struct.__repr__(masked(message))


class Shown(dict[str, Any]):
    """A dict that does not show in its repr what it must not; its values are there."""

    __slots__ = ("_redaction",)

    def __init__(self, values: Mapping[str, Any], redaction: Redaction) -> None:
        super().__init__(values)
        self._redaction = redaction

    def __repr__(self) -> str:
        return repr(self._redaction.clean(dict(self)))

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)
