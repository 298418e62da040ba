"""How values travel to the journal and back: JSON by msgspec, typed by the action's annotation.

Every driver passes every input and result through here, durable or not, so that a run and its
recovery see equal values of equal types.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

import msgspec

from sagakit.errors import CodecError
from sagakit.events import AnyEvent, ErrorInfo, Event
from sagakit.redaction import Shown, fields

if TYPE_CHECKING:
    from sagakit.plan import Call

_BIG = 2**63


# -- values ---------------------------------------------------------------------------------


def plain(value: Any, place: str) -> Any:
    """The value as the journal will give it back, for values without a declared type.

    Plain data only: None, bool, int (64 bits), finite float, str, list, dict with text keys; a
    tuple becomes a list.

    Raises:
        CodecError: names ``place``, the part that cannot be kept, and the cure.
    """
    if value is None:
        return value
    found = _unkept(value)
    if found:
        raise CodecError(f"{place}{found}")
    return msgspec.json.decode(msgspec.json.encode(value))


def given(value: Any, kind: Any, place: str) -> Any:
    """An input as the journal will give it back.

    Parameters:
        kind: its declared type, which plain data that fits becomes. ``Any``: it stays plain data,
            and what JSON has no form for becomes its usual one (a Decimal, datetime, UUID or enum
            its text or value; a dataclass, attrs or msgspec type a dict). A set has none, here as
            in a result: its order would be made up.

    Raises:
        CodecError: it does not fit, or would not come back equal; names ``place`` and why.
    """
    if kind is Any:
        if _unkept(value):
            with contextlib.suppress(TypeError, ValueError, RecursionError):
                value = value if _holds_set(value) else msgspec.to_builtins(value)
        return plain(value, place)
    try:
        kept = msgspec.convert(msgspec.json.decode(msgspec.json.encode(value)), kind, str_keys=True)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        wanted = getattr(kind, "__name__", kind)
        raise CodecError(f"{place} is not the declared {wanted}: {error}") from None
    if type(kept) is type(value) and kept != value and _unkept(value):
        raise CodecError(
            f"{place} is {_short(value)}, but the journal would give back {_short(kept)}"
        )
    return kept


def same(kept: Any, new: Any, kind: Any) -> bool:
    """Whether two inputs of a type (``given``; the kept one may still be plain data) are the same.
    In plain data 1, 1.0 and True are three."""
    if kind is Any:
        return _canonical(kept) == _canonical(new)
    # not by bytes: msgspec leaves defaults out of dataclasses that it has made itself
    with contextlib.suppress(CodecError):
        return bool(given(as_plain(kept), kind, "") == new)
    return False


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _holds_set(value: Any) -> bool:
    if isinstance(value, AbstractSet):
        return True
    named = fields(value)
    parts = value if isinstance(value, list | tuple) else ()
    return any(map(_holds_set, parts if named is None else (part for _, part in named)))


def unkept(value: Any) -> str:
    """Why what a stand-in returns would not come back equal; empty if it does. It declares the
    type of its result by the result itself, so a date by itself does, and not one in a list."""
    found = _unkept(value)
    if found and type(value) not in (list, tuple, dict):
        with contextlib.suppress(TypeError, ValueError, OverflowError, RecursionError):
            kept = msgspec.convert(as_plain(value), type(value), str_keys=True)
            return "" if kept == value else found
    return found


def _unkept(value: Any) -> str:
    """Which part JSON cannot give back, and why; empty when all of it comes back the same."""
    found = _lost(value, "")
    return f"{shortened(found[0])} {found[1]}" if found else ""


def _lost(value: Any, path: str) -> tuple[str, str] | None:
    """The path of what is lost, and why."""
    kind = type(value)
    if value is None or kind is bool:
        return None
    if kind is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return path, "is text with lone surrogates, which cannot be stored"
        return None
    if kind is int:
        return None if -_BIG <= value < _BIG else (path, "is an int beyond 64 bits; make it a str")
    if kind is float:
        return None if math.isfinite(value) else (path, f"is {value}, which JSON does not have")
    if kind is list or kind is tuple:
        parts = ((item, f"{path}[{place}]") for place, item in enumerate(value))
    elif kind is dict or kind is Shown:
        for key in value:
            if type(key) is not str:
                return path, f"has the key {_short(key)}; the keys of plain data are text"
        parts = ((item, f"{path}[{_short(key)}]") for key, item in value.items())
    else:
        return path, f"is of type {kind.__name__}, which plain data cannot hold"
    try:
        return next((found for item, at in parts if (found := _lost(item, at))), None)
    except RecursionError:
        return path, "is nested too deeply or contains itself"


def shortened(text: str, most: int = 120) -> str:
    """A long text without its middle: of a path, where it begins and ends is what one looks for."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def as_plain(value: Any) -> Any:
    """A value that has been through here already, as plain data."""
    return msgspec.json.decode(msgspec.json.encode(value))


def through(
    value: Any, call: Call, place: str, clean: Callable[[Any], Any] = lambda value: value
) -> Any:
    """What a callable returned, as the journal will give it back.

    Parameters:
        clean: takes what is sensitive out of a value that an error is to show.

    Raises:
        CodecError: it would not come back equal; names ``place`` and the cure.
    """
    if value is None:
        return None
    expected = call.result_type
    kind = type(value)
    if (expected is kind or expected is Any) and (
        kind is bool or (kind is str and value.isascii()) or (kind is int and -_BIG <= value < _BIG)
    ):
        return value
    if expected is Any:
        found = _unkept(value)
        if found:
            cure = "return plain data or annotate the return type"
            raise CodecError(
                f"{place} returned a value that the journal cannot keep: it{found}; {cure}"
            )
        return msgspec.json.decode(msgspec.json.encode(value))
    try:
        text = msgspec.json.encode(value)
        kept = None if text == b"null" else call.decode(text)  # a NaN is one
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        wanted = getattr(expected, "__name__", expected)
        raise CodecError(
            f"{place} returned a {kind.__name__} that the journal cannot keep as the annotated "
            f"{wanted}: {error}"
        ) from None
    if kept != value:
        raise CodecError(
            f"{place} returned {_short(clean(value))}, but the journal would give back "
            f"{_short(clean(kept))}; "
            "annotate its return type more exactly"
        )
    return kept


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def restore(result: Any, call: Call) -> Any:
    """A stored result as the annotated type of the callable that returned it: from plain data, or
    from the type that an older definition declared.

    Raises:
        msgspec.ValidationError: it is none.
    """
    return None if result is None else call.decode(msgspec.json.encode(result))


# -- events ---------------------------------------------------------------------------------


def _enc_hook(value: Any) -> Any:
    if isinstance(value, ErrorInfo):
        return {"type": value.type, "message": value.message, "traceback": value.traceback}
    raise NotImplementedError(f"a {type(value).__name__} cannot be stored")


def _dec_hook(kind: type, raw: Any) -> Any:
    if kind is ErrorInfo:
        return ErrorInfo(raw["type"], raw["message"], raw["traceback"])
    raise NotImplementedError(f"a {kind.__name__} cannot be read")


_encoder = msgspec.json.Encoder(enc_hook=_enc_hook)
_decoder = msgspec.json.Decoder(AnyEvent, dec_hook=_dec_hook)


def encode_event(event: Event) -> bytes:
    """One event as JSON, tagged with its type: the form the journal stores for ever."""
    return _encoder.encode(event)


def decode_event(body: bytes) -> Event:
    """Read one event back; results are plain data until ``restore`` gives them their type.

    Raises:
        msgspec.MsgspecError: the bytes are not an event.
    """
    event: Event = _decoder.decode(body)
    return event
