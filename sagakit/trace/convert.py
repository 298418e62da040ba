"""Spans as plain data, and as OpenTelemetry's SDK has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from sagakit.spans import Kind, Link, Span, SpanEvent, Value
from sagakit.spans import Status as StatusName

SCOPE = InstrumentationScope("sagakit")

_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_STATUSES: dict[StatusName, StatusCode] = {
    "unset": StatusCode.UNSET,
    "ok": StatusCode.OK,
    "error": StatusCode.ERROR,
}
_KIND_NAMES = {kind: name for name, kind in _KINDS.items()}
_STATUS_NAMES = {status: name for name, status in _STATUSES.items()}
_UNSET = Status()
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def read(span: ReadableSpan) -> Span:
    """A span of OpenTelemetry's SDK as plain data."""
    context = span.get_span_context()
    assert context is not None, "only a span with a context was ever exported"
    service = str(span.resource.attributes.get(SERVICE_NAME, ""))
    return Span(
        trace_id=trace.format_trace_id(context.trace_id),
        span_id=trace.format_span_id(context.span_id),
        parent_id=None if span.parent is None else trace.format_span_id(span.parent.span_id),
        name=span.name,
        start=(span.start_time or 0) / 1e9,
        end=None if span.end_time is None else span.end_time / 1e9,
        kind=_KIND_NAMES[span.kind],
        status=_STATUS_NAMES[span.status.status_code],
        message=span.status.description or "",
        service="" if service.startswith("unknown_service") else service,
        attributes=_plain(span.attributes),
        events=tuple(
            SpanEvent(event.name, event.timestamp / 1e9, _plain(event.attributes))
            for event in span.events
        ),
        links=tuple(
            Link(
                trace.format_trace_id(link.context.trace_id),
                trace.format_span_id(link.context.span_id),
                _plain(link.attributes),
            )
            for link in span.links
        ),
    )


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, value in (attributes or {}).items():
        if isinstance(value, bytes):
            value = value.hex()
        found[key] = tuple(value) if isinstance(value, list | tuple) else value
    return found


def readable(
    span: Span,
    *,
    resource: Resource | None = None,
    flags: int = TraceFlags.SAMPLED,
    state: TraceState | None = None,
    scope: InstrumentationScope = SCOPE,
) -> ReadableSpan:
    """A span as OpenTelemetry's SDK hands it to processors and exporters.

    Parameters:
        resource: what produced it; by default only the span's service is known.
        flags: of its trace context; whether it is sampled.
        state: of its trace context.
        scope: the instrumentation that made it.
    """
    if resource is None:
        resource = Resource({SERVICE_NAME: span.service} if span.service else {})
    status = (
        Status(_STATUSES[span.status], span.message or None) if span.status != "unset" else _UNSET
    )
    kept = _SAMPLED if flags == TraceFlags.SAMPLED else TraceFlags(flags)
    parent = (
        None if span.parent_id is None else _context(span.trace_id, span.parent_id, kept, state)
    )
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace_id, span.span_id, kept, state),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        events=[Event(each.name, each.attributes, nanoseconds(each.at)) for each in span.events],
        links=[
            trace.Link(_context(link.trace_id, link.span_id, kept, None), link.attributes)
            for link in span.links
        ],
        kind=_KINDS[span.kind],
        status=status,
        start_time=nanoseconds(span.start),
        end_time=None if span.end is None else nanoseconds(span.end),
        instrumentation_scope=scope,
    )


def nanoseconds(at: float) -> int:
    """Seconds since the epoch as OpenTelemetry counts them."""
    return round(at * 1e9)


def _context(
    trace_id: str, span_id: str, flags: TraceFlags, state: TraceState | None
) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), False, flags, state)
