"""The span that is current while an action runs, and what is known of it from within."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from opentelemetry import baggage, context, trace
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, TraceState

from sagakit.event_spans import trace_flags

CORRELATION = "saga.execution.id"  # in the baggage

_WATCH = context.create_key("sagakit-watch")


def traceparent() -> str | None:
    """That of the current span; None if there is no span."""
    current = trace.get_current_span().get_span_context()
    if not current.is_valid:
        return None
    ids = f"{trace.format_trace_id(current.trace_id)}-{trace.format_span_id(current.span_id)}"
    return f"00-{ids}-{current.trace_flags:02x}"


def within(parent: str | None) -> Context:
    """A context in which the span of this traceparent is current; None: in which none is.

    Where it is current already, it is so with its trace state and whatever else there is.
    """
    if parent is None:
        return trace.set_span_in_context(INVALID_SPAN)
    if parent == traceparent():
        return context.get_current()
    flags = TraceFlags(trace_flags(parent))
    remote = SpanContext(int(parent[3:35], 16), int(parent[36:52], 16), True, flags)
    return trace.set_span_in_context(NonRecordingSpan(remote), Context())


class _Named(NonRecordingSpan):
    """A span that only has an identity, and that only once somebody asks: few actions do."""

    def __init__(self, name: Callable[[], SpanContext]) -> None:
        self._name = name

    def get_span_context(self) -> SpanContext:
        return self._name()

    def __repr__(self) -> str:
        return f"<the span of an attempt: {self._name()}>"


class Current:
    """Makes contexts in which the spans of one execution are current."""

    def __init__(
        self, watch: Any, execution_id: str, trace_id: str, flags: int, state: TraceState | None
    ) -> None:
        self._watch = watch
        self._execution_id = execution_id
        self._trace = int(trace_id, 16)
        self._flags = TraceFlags(flags)
        self._state = state
        nowhere = Context()
        self._last = (nowhere, nowhere)  # a context, and ours around nothing but a span

    def of(self, span_id: Callable[[], str]) -> Context:
        """The current context, in which this span is current."""
        around = context.get_current()
        known, inside = self._last
        if around is not known:
            named = baggage.set_baggage(CORRELATION, self._execution_id, around)
            inside = context.set_value(_WATCH, self._watch, named)
            self._last = around, inside
        return trace.set_span_in_context(_Named(functools.partial(self._named, span_id)), inside)

    def _named(self, span_id: Callable[[], str]) -> SpanContext:
        return SpanContext(self._trace, int(span_id(), 16), False, self._flags, self._state)


def watch_of(within: Context | None = None) -> Any:
    """Who watches the execution whose action this is the context of; None: no action's."""
    return context.get_value(_WATCH, within)
