"""Jaeger JSON: what Jaeger's query API answers with and its UI saves and loads.

After the JSON model of the jaeger repository (``model/json/model.go``), and "OpenTelemetry to
Jaeger Transformation" of the OpenTelemetry specification: kind and status are tags, events are
logs, links are ``FOLLOWS_FROM`` references whose attributes stand in a log ``event=link``, lists
are JSON text. Times are whole microseconds.

A span is inside the first span of its own trace that it is a ``CHILD_OF``, else ``FOLLOWS_FROM``,
as Jaeger itself has it; its other references are links. What an array was is kept in a key
``list`` beside the tag, which Jaeger passes over; that a span runs is the tag ``sagakit.running``.
Tags of processes, flags and warnings are not read. A list with NaN or an infinity becomes text, and
attributes named as a tag above is (``span.kind``, ``error``, …) read as that tag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import msgspec

from sagakit.errors import TraceFileError
from sagakit.spans import Kind, Link, Span, SpanEvent, Status, Value
from sagakit.tracefiles.reading import (
    GET_JSON,
    MICRO,
    Documents,
    Gathered,
    Wrong,
    hex_id,
    is_there,
    joined,
    jsonable,
    units,
    value,
    wrong,
)

_KINDS: dict[Any, Kind] = {kind: kind for kind in get_args(Kind)}
_STATUSES: dict[Any, Status] = {"OK": "ok", "ERROR": "error"}
Ids = tuple[Any, Any]
Notes = dict[Ids, list[dict[str, Value]]]
_RUNNING = "sagakit.running"


class _Struct(msgspec.Struct, gc=False):
    pass


class _Tag(_Struct):
    key: str
    value: Any = None
    type: str = ""
    list: bool = False


_NAMES = {
    "ref_type": "refType",
    "trace_id": "traceID",
    "span_id": "spanID",
    "parent_id": "parentSpanID",
    "operation": "operationName",
    "start": "startTime",
    "process_id": "processID",
    "service": "serviceName",
}


class _Reference(_Struct, rename=_NAMES):
    ref_type: str
    trace_id: str
    span_id: str


class _Log(_Struct):
    timestamp: int
    fields: list[_Tag] | None = None


class _Span(_Struct, rename=_NAMES):
    trace_id: str
    span_id: str
    start: int
    duration: int
    operation: str = ""
    parent_id: str = ""
    references: list[_Reference] | None = None
    tags: list[_Tag] | None = None
    logs: list[_Log] | None = None
    process_id: str = ""


class _Process(_Struct, rename=_NAMES):
    service: str = ""


class _Trace(_Struct):
    spans: list[msgspec.Raw]
    processes: dict[str, _Process] | None = None


class _Answer(_Struct):
    data: list[_Trace] | None = None
    spans: msgspec.Raw = msgspec.Raw()


_ANSWER = msgspec.json.Decoder(_Answer)
_ONE = msgspec.json.Decoder(_Trace)
_SPAN = msgspec.json.Decoder(_Span)


def read_jaeger(file: str, data: bytes) -> list[Span]:
    """The spans of a Jaeger JSON file, an answer of the API or one trace of it by itself.

    Raises:
        TraceFileError: it is malformed.
    """
    documents, gathered = Documents(file, data), Gathered(file)
    for place, start, text in documents:
        answer = documents.decode(_ANSWER, place, start, text)
        if answer.data is not None:
            for number, trace in enumerate(answer.data):
                _read_trace(trace, gathered, f"{place}data[{number}].")
        elif is_there(answer.spans):
            _read_trace(documents.decode(_ONE, place, start, text), gathered, place)
        else:
            raise TraceFileError(file, f"{place}top", "there is no 'data' nor 'spans'", GET_JSON)
    return gathered.done()


def _read_trace(trace: _Trace, gathered: Gathered, place: str) -> None:
    services = {key: process.service for key, process in (trace.processes or {}).items()}
    for i, raw in enumerate(trace.spans):
        try:
            gathered.add(_read_span(_decoded(raw), services))
        except Wrong as error:
            raise error.at(gathered.file, f"{place}spans[{i}]") from None


def _decoded(raw: msgspec.Raw) -> _Span:
    try:
        return _SPAN.decode(raw)
    except msgspec.ValidationError as error:
        raise wrong(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong("", f"is not UTF-8 text: {error}") from None


def _read_span(span: _Span, services: Mapping[str, str]) -> Span:
    if span.duration < 0:
        raise Wrong(".duration", f"{span.duration} µs is less than nothing")
    trace_id = hex_id(span.trace_id, 32, ".traceID", pad=True)
    tags = dict(_attributes(span.tags, ".tags"))
    kind = _KINDS.get(tags.get("span.kind"))
    status = _status(tags)
    running = tags.pop(_RUNNING, None) is True
    references = _read_references(span)
    followed = {(it.trace_id, it.span_id) for kind, it in references if kind == "FOLLOWS_FROM"}
    events, notes = _read_logs(span, followed)
    parent_id, links = _parent_and_links(references, trace_id, notes)
    if parent_id is None and span.parent_id:
        parent_id = hex_id(span.parent_id, 16, ".parentSpanID", pad=True)
    return Span(
        trace_id=trace_id,
        span_id=hex_id(span.span_id, 16, ".spanID", pad=True),
        parent_id=parent_id,
        name=span.operation,
        start=_seconds(span.start, ".startTime"),
        end=None if running else _seconds(span.start + span.duration, ".duration"),
        kind=kind or "internal",
        status=status,
        message=str(tags.pop("otel.status_description", "")),
        service=services.get(span.process_id, ""),
        attributes={key: tag for key, tag in tags.items() if key != "span.kind" or kind is None},
        events=tuple(events),
        links=links,
    )


def _status(tags: dict[str, Value]) -> Status:
    """What the tags say of the status; they are taken out. Without a code, ``error`` decides."""
    failed = tags.get("error") in (True, "true")
    status = _STATUSES.get(tags.get("otel.status_code"))
    if status is not None:
        del tags["otel.status_code"]
    elif failed:
        status = "error"
    if failed and status == "error":
        del tags["error"]
    return status or "unset"


def _read_references(span: _Span) -> list[tuple[str, Link]]:
    return [
        (
            reference.ref_type,
            Link(
                hex_id(reference.trace_id, 32, f".references[{i}].traceID", pad=True),
                hex_id(reference.span_id, 16, f".references[{i}].spanID", pad=True),
            ),
        )
        for i, reference in enumerate(span.references or ())
    ]


def _read_logs(span: _Span, followed: Collection[Ids]) -> tuple[list[SpanEvent], Notes]:
    """The events; and, by their ids, the attributes of links, which stand as logs at the start."""
    events: list[SpanEvent] = []
    notes: Notes = {}
    for i, log in enumerate(span.logs or ()):
        fields = dict(_attributes(log.fields, f".logs[{i}].fields"))
        name = str(fields.pop("event", "log"))
        ids = (fields.get("trace_id"), fields.get("span_id"))
        if name == "link" and log.timestamp == span.start and ids in followed:
            kept = {key: item for key, item in fields.items() if key not in ("trace_id", "span_id")}
            notes.setdefault(ids, []).append(kept)
        else:
            events.append(SpanEvent(name, _seconds(log.timestamp, f".logs[{i}].timestamp"), fields))
    return events, notes


def _parent_and_links(
    references: Iterable[tuple[str, Link]], trace_id: str, notes: Notes
) -> tuple[str | None, tuple[Link, ...]]:
    """The parent: the first CHILD_OF, else FOLLOWS_FROM. A noted reference is a link for sure."""
    links: list[tuple[str, Link]] = []
    for kind, link in references:
        noted = notes.get((link.trace_id, link.span_id)) if kind == "FOLLOWS_FROM" else None
        if noted:
            kind, link = "link", Link(link.trace_id, link.span_id, noted.pop(0))
        links.append((kind, link))
    for wanted in ("CHILD_OF", "FOLLOWS_FROM"):
        for number, (kind, link) in enumerate(links):
            if kind == wanted and link.trace_id == trace_id:
                del links[number]
                return link.span_id, tuple(link for _, link in links)
    return None, tuple(link for _, link in links)


def _attributes(tags: Iterable[_Tag] | None, path: str) -> Iterator[tuple[str, Value]]:
    for i, tag in enumerate(tags or ()):
        try:
            found = _value(tag)
        except (ValueError, msgspec.DecodeError):
            why = f"{tag.value!r} is no {tag.type}"
            raise Wrong(f"{path}[{i}].value", why) from None
        if found is not None:
            yield tag.key, found


def _value(tag: _Tag) -> Value | None:
    """The tag as its type says; some stores of Jaeger keep every value as text."""
    if tag.list:
        items = msgspec.json.decode(str(tag.value))
        return joined(items) if isinstance(items, list) else str(tag.value)
    if tag.type == "bool" and tag.value in ("true", "false"):
        return bool(tag.value == "true")
    if tag.type == "int64" and isinstance(tag.value, str):
        return int(tag.value)
    if tag.type == "float64" and isinstance(tag.value, str | int):
        return float(tag.value)
    return value(tag.value)


def _seconds(micros: int, path: str) -> float:
    if not 0 <= micros < 2**64:
        raise Wrong(path, f"{micros} is not a time in microseconds since 1970")
    return micros / MICRO


# -- writing --------------------------------------------------------------------------------


def jaeger_bytes(spans: Sequence[Span]) -> bytes:
    """The spans as Jaeger JSON, grouped by trace."""
    traces: dict[str, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    data = [_write_trace(trace_id, inside) for trace_id, inside in traces.items()]
    return msgspec.json.encode({"data": data, "total": len(data), "limit": 0, "offset": 0})


def _write_trace(trace_id: str, spans: Sequence[Span]) -> dict[str, Any]:
    services = dict.fromkeys(span.service for span in spans)
    numbers = {service: f"p{number}" for number, service in enumerate(services, start=1)}
    return {
        "traceID": trace_id,
        "spans": [_write_span(span, numbers[span.service]) for span in spans],
        "processes": {
            number: {"serviceName": service, "tags": []} for service, number in numbers.items()
        },
        "warnings": None,
    }


def _write_span(span: Span, process_id: str) -> dict[str, Any]:
    start = units(span.start, MICRO)
    references = [_reference("FOLLOWS_FROM", link.trace_id, link.span_id) for link in span.links]
    if span.parent_id is not None:
        references.insert(0, _reference("CHILD_OF", span.trace_id, span.parent_id))
    return {
        "traceID": span.trace_id,
        "spanID": span.span_id,
        "operationName": span.name,
        "references": references,
        "startTime": start,
        "duration": 0 if span.end is None else units(span.end, MICRO) - start,
        "tags": [_tag(key, tag) for key, tag in _tags(span).items()],
        "logs": [*_link_logs(span, start), *map(_log, span.events)],
        "processID": process_id,
        "warnings": None,
    }


def _reference(kind: str, trace_id: str, span_id: str) -> dict[str, str]:
    return {"refType": kind, "traceID": trace_id, "spanID": span_id}


def _tags(span: Span) -> dict[str, Value]:
    tags = dict(span.attributes)
    if span.kind != "internal":
        tags["span.kind"] = span.kind
    if span.status != "unset":
        tags["otel.status_code"] = span.status.upper()
    if span.status == "error":
        tags["error"] = True
    if span.message:
        tags["otel.status_description"] = span.message
    if span.end is None:
        tags[_RUNNING] = True
    return tags


def _link_logs(span: Span, start: int) -> Iterator[dict[str, Any]]:
    for link in span.links:
        ids: dict[str, Value] = {"trace_id": link.trace_id, "span_id": link.span_id}
        fields = {**link.attributes, "event": "link", **ids}
        yield {"timestamp": start, "fields": [_tag(key, item) for key, item in fields.items()]}


def _log(event: SpanEvent) -> dict[str, Any]:
    fields = {"event": event.name, **event.attributes}  # an attribute `event` takes precedence
    tags = [_tag(key, item) for key, item in fields.items()]
    return {"timestamp": units(event.at, MICRO), "fields": tags}


def _tag(key: str, item: Value) -> dict[str, Any]:
    plain = jsonable(item)
    match plain:
        case tuple() | list():
            text = msgspec.json.encode(plain).decode()
            return {"key": key, "type": "string", "value": text, "list": True}
        case bool():
            kind = "bool"
        case int():
            kind = "int64"
        case float():
            kind = "float64"
        case _:
            kind = "float64" if isinstance(item, float) else "string"
    return {"key": key, "type": kind, "value": plain}
