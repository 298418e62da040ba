"""OTLP JSON: one object with ``resourceSpans``, or one such object a line.

After "OpenTelemetry Protocol Specification", section "JSON Protobuf Encoding", and ``trace.proto``
of the opentelemetry-proto repository: names in lowerCamelCase, ids in hexadecimal, 64-bit numbers
as decimal text (plain numbers are read too), enums as numbers. One object a line is what the
collector's file exporter writes ("OpenTelemetry Collector Contrib, File Exporter").

What ``Span`` has no place for is not read: scopes, trace states, flags, counts of what was dropped,
and of a resource all but ``service.name``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from sagakit.errors import TraceFileError
from sagakit.spans import Kind, Link, Span, SpanEvent, Status, Value
from sagakit.tracefiles.reading import (
    GET_JSON,
    NANO,
    Documents,
    Gathered,
    Wrong,
    hex_id,
    joined,
    jsonable,
    units,
    wrong,
)

_T = TypeVar("_T")
_KINDS: tuple[Kind, ...] = ("internal", "server", "client", "producer", "consumer")
_STATUSES: tuple[Status, ...] = ("unset", "ok", "error")


def _codes(names: Sequence[_T], prefix: str) -> dict[int | str, _T]:
    """What an enum's value may stand as: its number, or its name as protobuf's own JSON has it."""
    found: dict[int | str, _T] = {}
    for number, name in enumerate(names):
        found |= {number: name, str(number): name, f"{prefix}_{name}".upper(): name}
    return {**found, f"{prefix}_UNSPECIFIED": names[0]}


# 0, not given, is internal as well: that is what the specification says to assume
_KIND_CODES = _codes(("internal", *_KINDS), "SPAN_KIND")
_STATUS_CODES = _codes(_STATUSES, "STATUS_CODE")


class _Struct(msgspec.Struct, rename="camel", gc=False):
    pass


class _AnyValue(_Struct):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _Array(_Struct):
    values: list[_AnyValue] | None = None


class _KeyValue(_Struct):
    key: str = ""
    value: _AnyValue | None = None


class _Pairs(_Struct):
    values: list[_KeyValue] | None = None


class _Event(_Struct):
    time_unix_nano: int = 0
    name: str = ""
    attributes: list[_KeyValue] | None = None


class _Link(_Struct):
    trace_id: str = ""
    span_id: str = ""
    attributes: list[_KeyValue] | None = None


class _Status(_Struct):
    code: int | str = 0
    message: str = ""


class _Span(_Struct):
    trace_id: str
    span_id: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None = None
    parent_span_id: str | None = None
    name: str = ""
    kind: int | str = 0
    status: _Status | None = None
    attributes: list[_KeyValue] | None = None
    events: list[_Event] | None = None
    links: list[_Link] | None = None


class _Scope(_Struct):
    spans: list[msgspec.Raw] | None = None  # one at a time: a large file fits in memory


class _Resource(_Struct):
    attributes: list[_KeyValue] | None = None


class _ResourceSpans(_Struct):
    resource: _Resource | None = None
    scope_spans: list[_Scope] | None = None


class _Request(_Struct):
    resource_spans: list[_ResourceSpans] | None = None


# Not strict: proto3's JSON mapping lets numbers stand as text, "NaN" and "Infinity" among them.
_REQUEST = msgspec.json.Decoder(_Request, strict=False)
_SPAN = msgspec.json.Decoder(_Span, strict=False)


def read_otlp(file: str, data: bytes) -> list[Span]:
    """The spans of an OTLP JSON file; TraceFileError where it is malformed."""
    documents, gathered = Documents(file, data), Gathered(file)
    for place, start, text in documents:
        request = documents.decode(_REQUEST, place, start, text)
        if request.resource_spans is None and not documents.by_line:
            raise TraceFileError(file, "top", "there is no 'resourceSpans'", GET_JSON)
        _read_request(request.resource_spans or (), gathered, place)
    return gathered.done()


def _read_request(resources: Sequence[_ResourceSpans], gathered: Gathered, place: str) -> None:
    for r, group in enumerate(resources):
        try:
            service = _service(group.resource)
        except Wrong as error:
            raise error.at(gathered.file, f"{place}resourceSpans[{r}].resource") from None
        for s, scope in enumerate(group.scope_spans or ()):
            for i, raw in enumerate(scope.spans or ()):
                try:
                    gathered.add(_read_span(_decoded(raw), service))
                except Wrong as error:
                    path = f"{place}resourceSpans[{r}].scopeSpans[{s}].spans[{i}]"
                    raise error.at(gathered.file, path) from None


def _decoded(raw: msgspec.Raw) -> _Span:
    try:
        return _SPAN.decode(raw)
    except msgspec.ValidationError as error:
        raise wrong(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong("", f"is not UTF-8 text: {error}") from None


def _service(resource: _Resource | None) -> str:
    attributes = _attributes(resource.attributes if resource else None, ".attributes")
    return str(attributes.get("service.name", ""))


def _read_span(span: _Span, service: str) -> Span:
    status = span.status or _Status()
    return Span(
        trace_id=hex_id(span.trace_id, 32, ".traceId"),
        span_id=hex_id(span.span_id, 16, ".spanId"),
        parent_id=_parent(span.parent_span_id or ""),
        name=span.name,
        start=_seconds(span.start_time_unix_nano, ".startTimeUnixNano"),
        end=_end(span),
        kind=_named(span.kind, _KIND_CODES, ".kind"),
        status=_named(status.code, _STATUS_CODES, ".status.code"),
        message=status.message,
        service=service,
        attributes=_attributes(span.attributes, ".attributes"),
        events=tuple(_read_event(event, i) for i, event in enumerate(span.events or ())),
        links=tuple(_read_link(link, i) for i, link in enumerate(span.links or ())),
    )


def _end(span: _Span) -> float | None:
    """None while it runs: protobuf has no other word for that than 0, unless it started there."""
    nanos = span.end_time_unix_nano
    if nanos is None or (nanos == 0 and span.start_time_unix_nano > 0):
        return None
    return _seconds(nanos, ".endTimeUnixNano")


def _parent(text: str) -> str | None:
    return hex_id(text, 16, ".parentSpanId") if text.strip("0") else None


def _read_event(event: _Event, i: int) -> SpanEvent:
    at = _seconds(event.time_unix_nano, f".events[{i}].timeUnixNano")
    return SpanEvent(event.name, at, _attributes(event.attributes, f".events[{i}].attributes"))


def _read_link(link: _Link, i: int) -> Link:
    return Link(
        hex_id(link.trace_id, 32, f".links[{i}].traceId"),
        hex_id(link.span_id, 16, f".links[{i}].spanId"),
        _attributes(link.attributes, f".links[{i}].attributes"),
    )


def _seconds(nanos: int, path: str) -> float:
    if not 0 <= nanos < 2**64:
        raise Wrong(path, f"{nanos} is not a time in nanoseconds since 1970")
    return nanos / NANO  # of two whole numbers: rounded once


def _named(code: int | str, codes: Mapping[int | str, _T], path: str) -> _T:
    try:
        return codes[code]
    except KeyError:
        words = ", ".join(str(code) for code in codes if isinstance(code, int))
        raise Wrong(path, f"{code!r} is none of {words}") from None


def _attributes(pairs: Iterable[_KeyValue] | None, path: str) -> Mapping[str, Value]:
    found: dict[str, Value] = {}
    for i, pair in enumerate(pairs or ()):
        value = None if pair.value is None else _value(pair.value, f"{path}[{i}].value")
        if value is not None:
            found[pair.key] = value
    return found


def _value(value: _AnyValue, path: str) -> Value | None:
    if value.int_value is not None and not -(2**63) <= value.int_value < 2**63:
        raise Wrong(f"{path}.intValue", f"{value.int_value} has more than 64 bits")
    plain = _plain(value)
    if isinstance(plain, list):
        return joined(plain)
    return msgspec.json.encode(plain).decode() if isinstance(plain, dict) else plain


def _plain(value: _AnyValue) -> Any:
    for simple in (value.string_value, value.bool_value, value.int_value, value.double_value):
        if simple is not None:
            return simple
    if value.array_value is not None:
        return [_plain(item) for item in value.array_value.values or ()]
    if value.kvlist_value is not None:
        pairs = value.kvlist_value.values or ()
        return {pair.key: _plain(pair.value) if pair.value else None for pair in pairs}
    return value.bytes_value  # base64, as it stands


# -- writing --------------------------------------------------------------------------------


def otlp_bytes(spans: Sequence[Span]) -> bytes:
    """The spans as one OTLP JSON object, grouped by service. Times are whole nanoseconds."""
    return msgspec.json.encode(_request(spans))


def otlp_lines(spans: Sequence[Span]) -> bytes:
    """The spans as OTLP JSON objects, one a line for each trace."""
    ordered = sorted(spans, key=lambda span: span.trace_id)
    groups = groupby(ordered, key=lambda span: span.trace_id)
    lines = [msgspec.json.encode(_request(list(of))) + b"\n" for _, of in groups]
    return b"".join(lines) or otlp_bytes(()) + b"\n"


def _request(spans: Sequence[Span]) -> dict[str, Any]:
    services: dict[str, list[Span]] = {}
    for span in spans:
        services.setdefault(span.service, []).append(span)
    return {"resourceSpans": [_group(name, inside) for name, inside in services.items()]}


def _group(service: str, spans: Iterable[Span]) -> dict[str, Any]:
    attributes = _pairs({"service.name": service}) if service else []
    scope = {"scope": {"name": "sagakit"}, "spans": [_write_span(span) for span in spans]}
    return {"resource": {"attributes": attributes}, "scopeSpans": [scope]}


def _write_span(span: Span) -> dict[str, Any]:
    return dict(_fields(span))


def _fields(span: Span) -> Iterator[tuple[str, Any]]:
    """The span's fields; those that have their default are left out, as protobuf does."""
    yield "traceId", span.trace_id
    yield "spanId", span.span_id
    if span.parent_id is not None:
        yield "parentSpanId", span.parent_id
    yield "name", span.name
    yield "kind", _KINDS.index(span.kind) + 1
    yield "startTimeUnixNano", str(units(span.start, NANO))
    if span.end is not None:
        yield "endTimeUnixNano", str(units(span.end, NANO))
    if span.attributes:
        yield "attributes", _pairs(span.attributes)
    if span.events:
        yield "events", [_write_event(event) for event in span.events]
    if span.links:
        yield "links", [_write_link(link) for link in span.links]
    if span.status != "unset" or span.message:
        yield "status", {"code": _STATUSES.index(span.status), "message": span.message}


def _write_event(event: SpanEvent) -> dict[str, Any]:
    at = str(units(event.at, NANO))
    return {"timeUnixNano": at, "name": event.name, "attributes": _pairs(event.attributes)}


def _write_link(link: Link) -> dict[str, Any]:
    ids = {"traceId": link.trace_id, "spanId": link.span_id}
    return {**ids, "attributes": _pairs(link.attributes)}


def _pairs(attributes: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any(value)} for key, value in attributes.items()]


def _any(value: Any) -> dict[str, Any]:
    match value:
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": value}
        case int():
            text = jsonable(value)
            return {"stringValue": text} if isinstance(text, str) else {"intValue": str(value)}
        case float():
            return {"doubleValue": jsonable(value)}  # protobuf says "NaN" and "Infinity" too
        case _:
            items = [_any(item) for item in value]
            return {"arrayValue": {"values": items}}
