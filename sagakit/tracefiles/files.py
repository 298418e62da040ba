"""Read a trace file of any known format, or write one."""

from __future__ import annotations

import contextlib
import gzip
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeVar, get_args

import msgspec

from sagakit.errors import TraceFileError
from sagakit.spans import Span, in_a_circle
from sagakit.tracefiles.chrome import read_chrome
from sagakit.tracefiles.chrome_writing import chrome_bytes
from sagakit.tracefiles.jaeger import jaeger_bytes, read_jaeger
from sagakit.tracefiles.otlp import otlp_bytes, otlp_lines, read_otlp
from sagakit.tracefiles.reading import (
    GET_JSON,
    Documents,
    Gathered,
    Wrong,
    hex_id,
    inside_itself,
    is_there,
    load,
)

_T = TypeVar("_T")

Format = Literal["otlp", "otlp-lines", "jaeger", "chrome"]
FORMATS: tuple[Format, ...] = get_args(Format)

_READERS: dict[str, Callable[[str, bytes], list[Span]]] = {
    "otlp": read_otlp,
    "otlp-lines": read_otlp,
    "jaeger": read_jaeger,
    "chrome": read_chrome,
}
_WRITERS: dict[str, Callable[[Sequence[Span]], bytes]] = {
    "otlp": otlp_bytes,
    "otlp-lines": otlp_lines,
    "jaeger": jaeger_bytes,
    "chrome": chrome_bytes,
}


def read_trace(source: str | Path | bytes, *, format: Format | None = None) -> list[Span]:
    """The spans of a trace file (or its bytes), in the file's order; gzip is unzipped.

    A parent that the file does not hold is allowed: the span is a root, and keeps its `parent_id`.
    A span that stands there twice, equal in everything, is read once.

    Parameters:
        format: ``otlp``, ``otlp-lines`` (read alike), ``jaeger`` or ``chrome``; left out, it is
            seen from the content.

    Raises:
        TraceFileError: it is malformed, or of no known format; its text names the place.
        OSError: it cannot be read.
    """
    file, data = load(source)
    try:
        return _of(_READERS, format or _detect(file, data), file)(file, data)
    except RecursionError:
        why = "lists or objects stand too deep inside one another"
        raise TraceFileError(file, "top", why, GET_JSON) from None


def write_trace(spans: Iterable[Span], path: str | Path, *, format: Format = "otlp") -> Path:
    """Write the spans as `read_trace` reads them, and return the path. Nothing is half written.

    Read back they are equal, within the format's resolution: OTLP has whole nanoseconds, Jaeger
    whole microseconds, Chrome's files keep our own floats. A path that ends in ``.gz`` is zipped.

    Raises:
        TraceFileError: spans that cannot be written: a bad id, one id twice, an end before the
            start, a time before 1970. Nothing is written.
        OSError: the file cannot be written.
    """
    target = Path(path)
    data = trace_bytes(spans, format=format, file=str(target))
    if target.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    if target.exists() and not target.is_file():  # a device or a pipe cannot be replaced
        target.write_bytes(data)
        return target
    target = target.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return Path(path)


def trace_bytes(spans: Iterable[Span], *, format: Format = "otlp", file: str = "(bytes)") -> bytes:
    """What `write_trace` writes; `file` is the name that errors give it."""
    found = list(spans)
    _check(found, file)
    try:
        return _of(_WRITERS, format, file)(found)
    except UnicodeEncodeError as error:
        cure = "take it out of names and attributes"
        raise TraceFileError(file, "text", f"half a surrogate pair ({error})", cure) from None


def _of(parts: dict[str, _T], format: str, file: str) -> _T:
    try:
        return parts[format]
    except KeyError:
        cure = f"give one of {', '.join(FORMATS)}"
        raise TraceFileError(file, "format", f"there is no format '{format}'", cure) from None


class _Top(msgspec.Struct):
    """The keys by which formats are told apart; what is in them is passed over."""

    resourceSpans: msgspec.Raw = msgspec.Raw()  # noqa: N815  the file's own names
    resourceLogs: msgspec.Raw = msgspec.Raw()  # noqa: N815
    resourceMetrics: msgspec.Raw = msgspec.Raw()  # noqa: N815
    traceEvents: msgspec.Raw = msgspec.Raw()  # noqa: N815
    data: msgspec.Raw = msgspec.Raw()
    spans: msgspec.Raw = msgspec.Raw()


_TOP = msgspec.json.Decoder(_Top)
_START = re.compile(rb"\s*(.)", re.DOTALL)


def _detect(file: str, data: bytes) -> Format:
    found = _START.match(data)
    first = found[1] if found else b""
    if first == b"[":
        return "chrome"
    if first != b"{":
        raise TraceFileError(file, "line 1", "is not a JSON object or list", GET_JSON)
    documents = Documents(file, data)
    place, start, text = next(iter(documents))
    top = documents.decode(_TOP, place, start, text)
    if is_there(top.resourceSpans):
        return "otlp"
    if documents.by_line and (is_there(top.resourceLogs) or is_there(top.resourceMetrics)):
        return "otlp"  # a collector's file may hold all signals
    if is_there(top.traceEvents):
        return "chrome"
    if is_there(top.data) or is_there(top.spans):
        return "jaeger"
    why = "has none of 'resourceSpans' (OTLP), 'data' (Jaeger) and 'traceEvents' (Chrome)"
    raise TraceFileError(file, f"{place}top", why, GET_JSON)


def _check(spans: Sequence[Span], file: str) -> None:
    """That they can be read back; TraceFileError with the first one that cannot."""
    gathered = Gathered(file)
    for number, span in enumerate(spans):
        try:
            _check_span(span)
            gathered.add(span)
        except Wrong as error:
            raise error.at(file, f"spans[{number}]") from None
    looped = in_a_circle(spans)
    if looped is not None:
        raise inside_itself(file, looped)


def _check_span(span: Span) -> None:
    hex_id(span.trace_id, 32, ".trace_id")
    hex_id(span.span_id, 16, ".span_id")
    if span.parent_id is not None:
        hex_id(span.parent_id, 16, ".parent_id")
    times = {".start": span.start, ".end": span.end or 0.0}
    times |= {f".events[{i}].at": event.at for i, event in enumerate(span.events)}
    for path, at in times.items():
        if not math.isfinite(at) or not 0 <= at < 2**64 / 10**9:
            raise Wrong(path, f"{at} is not a time in seconds since 1970", "give it in seconds")
    for i, link in enumerate(span.links):
        hex_id(link.trace_id, 32, f".links[{i}].trace_id")
        hex_id(link.span_id, 16, f".links[{i}].span_id")
