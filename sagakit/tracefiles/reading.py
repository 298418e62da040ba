"""What the readers of all trace formats share: the bytes, the place of an error, checks."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sagakit.errors import TraceFileError
from sagakit.spans import Span, Value, in_a_circle

NANO = 10**9
MICRO = 10**6
GET_JSON = "give a trace as OTLP JSON, Jaeger JSON or Chrome Trace Event JSON"
_EXPORT = "export it anew from the tool that wrote it"
_HEX = re.compile("[0-9a-fA-F]*")
_TEXT = re.compile(rb"\S")
_NO_NUMBER = re.compile(rb".?.?(NaN|Infinity)", re.DOTALL)
_BYTE = re.compile(r" \(byte (\d+)\)")
_PATH = re.compile(r" - at `\$(.*)`$", re.DOTALL)


class Wrong(Exception):  # noqa: N818  never leaves this package
    """What is wrong with one part of a file: `path` leads from that part to the place."""

    def __init__(self, path: str, why: str, cure: str = _EXPORT) -> None:
        self.path, self.why, self.cure = path, why, cure
        super().__init__(path, why, cure)

    def at(self, file: str, place: str) -> TraceFileError:
        return TraceFileError(file, (place + self.path).lstrip(".") or "top", self.why, self.cure)


def load(source: str | Path | bytes) -> tuple[str, bytes]:
    """The file's name and its bytes, unzipped and without a byte order mark.

    Raises:
        TraceFileError: it is empty, or a damaged gzip file.
        OSError: it cannot be read.
    """
    file, data = "(bytes)", source if isinstance(source, bytes) else b""
    if not isinstance(source, bytes):
        file, data = str(source), Path(source).read_bytes()
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise TraceFileError(file, "gzip", f"cannot be unzipped: {error}", _EXPORT) from None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not _TEXT.search(data):
        raise TraceFileError(file, "line 1", "the file is empty", GET_JSON)
    return file, data


def malformed(file: str, data: bytes, error: msgspec.DecodeError, start: int = 0) -> TraceFileError:
    """The error of text that is not JSON, with its line and column (from 1) and byte (from 0).

    The place is that of the first wrong character, or of the one after it, as msgspec counts.

    Parameters:
        start: where in `data` the text began.
    """
    found = _BYTE.search(str(error))
    if "utf-8" in str(error).lower() or "unicode" in str(error).lower():
        at = _not_utf8(data)
        return TraceFileError(file, _line_column(data, at), "is not UTF-8 text", _EXPORT)
    if found is None:
        end = len(data.rstrip())
        why = "the JSON text is cut off (or holds half a surrogate pair)"
        return TraceFileError(file, _line_column(data, end), why, _EXPORT)
    at = start + int(found[1])
    why = str(error).removesuffix(found[0]).replace("JSON is malformed", "not JSON")
    if _NO_NUMBER.match(data, max(at - 2, 0)):
        why = "not JSON: NaN and Infinity are no JSON numbers"
    return TraceFileError(file, _line_column(data, at), why, _EXPORT)


def _not_utf8(data: bytes) -> int:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _line_column(data: bytes, at: int) -> str:
    line = data.count(b"\n", 0, at) + 1
    column = len(data[data.rfind(b"\n", 0, at) + 1 : at].decode("utf-8", "replace")) + 1
    return f"line {line}, column {column} (byte {at})"


def wrong(error: msgspec.ValidationError) -> Wrong:
    """A value of a wrong type, as msgspec says it, with the path from the part it decoded."""
    found = _PATH.search(str(error))
    why = _PATH.sub("", str(error))
    return Wrong(found[1] if found else "", f"{why[0].lower()}{why[1:]}")


Decoder = msgspec.json.Decoder[Any]


class Documents:
    """The JSON documents of a file: the whole of it, or one a line.

    One a line is what begins with a line that is a document by itself and goes on after it.
    """

    def __init__(self, file: str, data: bytes) -> None:
        self.file, self.data = file, data
        end = data.find(b"\n")
        self.by_line = end >= 0 and bool(_TEXT.search(data, end)) and _complete(data[:end])

    def __iter__(self) -> Iterator[tuple[str, int, bytes]]:
        """For each: the place that its paths begin with, its first byte, and its text."""
        if not self.by_line:
            yield "", 0, self.data
            return
        start, line = 0, 1
        while start < len(self.data):
            end = self.data.find(b"\n", start)
            end = len(self.data) if end < 0 else end
            text = self.data[start:end]
            if text.strip():
                yield f"line {line}: ", start, text
            start, line = end + 1, line + 1

    def decode(self, by: Decoder, place: str, start: int, text: bytes) -> Any:
        """One document decoded; TraceFileError with the place of what is wrong in it."""
        try:
            return by.decode(text)
        except msgspec.ValidationError as error:
            raise wrong(error).at(self.file, place) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise malformed(self.file, self.data, _decode_error(error), start) from None


def is_there(part: msgspec.Raw) -> bool:
    """Whether the document had this part (its default is empty)."""
    return memoryview(part).nbytes > 0


def _decode_error(error: Exception) -> msgspec.DecodeError:
    return error if isinstance(error, msgspec.DecodeError) else msgspec.DecodeError(str(error))


_ANYTHING = msgspec.json.Decoder(msgspec.Raw)


def _complete(text: bytes) -> bool:
    try:
        _ANYTHING.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


class Gathered:
    """The spans of a file as they are read: each id once, none inside itself."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._spans: dict[tuple[str, str], Span] = {}

    def add(self, span: Span) -> None:
        """Keep the span. An equal one a second time is left out: a sender may send twice.

        Raises:
            Wrong: another span has this id, or it ends before it starts.
        """
        if span.end is not None and span.end < span.start:
            late = span.start - span.end
            raise Wrong("", f"span '{span.name}' ends {late:.9g} s before it starts", _CLOCKS)
        first = self._spans.setdefault((span.trace_id, span.span_id), span)
        if first is not span and first != span:
            why = f"spans '{first.name}' and '{span.name}' both have the id {span.span_id}"
            raise Wrong("", why, "give each span of a trace an id of its own")

    def done(self) -> list[Span]:
        """All spans, in the file's order; TraceFileError where one is inside itself."""
        spans = list(self._spans.values())
        looped = in_a_circle(spans)
        if looped is not None:
            raise inside_itself(self.file, looped)
        return spans


_CLOCKS = "its start and end come from different clocks: mend one of them"


def inside_itself(file: str, span: Span) -> TraceFileError:
    """The error for a span whose parents lead back to it."""
    why = f"span '{span.name}' is inside itself: its parents lead back to it"
    return TraceFileError(file, f"span {span.span_id}", why, "mend its parent's id")


def hex_id(text: str, digits: int, path: str, *, pad: bool = False) -> str:
    """An id of so many hexadecimal digits, in lower case; `pad`: leading zeros may be missing.

    Raises:
        Wrong: it is of another length, all zeros, or not hexadecimal.
    """
    if pad and text:
        text = text.rjust(digits, "0")
    if len(text) != digits or not _HEX.fullmatch(text):
        why = f"'{text}' is not an id of {digits} hexadecimal digits"
        based = len(text) == {32: 24, 16: 12}[digits] and text.endswith("=")
        raise Wrong(path, why, "it looks like base64: write ids as hexadecimal" if based else _IDS)
    if not text.strip("0"):
        raise Wrong(path, "an id of zeros alone is no id", _IDS)
    return text.lower()


_IDS = "trace ids have 32 hexadecimal digits, span ids 16"


def joined(items: Sequence[Any]) -> Value:
    """A list as an attribute: of one type as it is, of whole numbers and others as floats, of
    anything else as JSON text."""
    kinds = {type(item) for item in items}
    if kinds <= {int, float} and float in kinds:
        return tuple(float(item) for item in items)
    if len(kinds) <= 1 and kinds <= {str, bool, int}:
        return tuple(items)
    return msgspec.json.encode(items).decode()


def value(item: Any) -> Value | None:
    """A JSON value as an attribute; objects as JSON text, null as None."""
    if item is None or isinstance(item, str | bool | int | float):
        return item
    if isinstance(item, list):
        return joined(item)
    return msgspec.json.encode(item).decode()


def units(seconds: float, per_second: int) -> int:
    """Seconds as a whole number of nano- or microseconds, rounded to the nearest."""
    whole = math.floor(seconds)  # apart: a float of nanoseconds since 1970 is 256 ns coarse
    return whole * per_second + round((seconds - whole) * per_second)


def jsonable(item: Value) -> Any:
    """An attribute as JSON and a 64-bit reader can say it: NaN, infinities and whole numbers of
    more than 64 bits become text, and so does a whole list that holds one."""
    parts = item if isinstance(item, tuple) else (item,)
    if all(_sayable(part) for part in parts):
        return item
    return [_words(part) for part in parts] if isinstance(item, tuple) else _words(item)


def _sayable(part: Any) -> bool:
    if isinstance(part, float):
        return math.isfinite(part)
    return not isinstance(part, int) or -(2**63) <= part < 2**63


def _words(part: Any) -> str:
    if isinstance(part, float) and not math.isfinite(part):
        return "NaN" if part != part else "Infinity" if part > 0 else "-Infinity"
    return str(part)
