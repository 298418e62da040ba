"""Spans to the tracer provider that somebody else has set up, through its own SDK."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind, TraceFlags

from sagakit.event_spans import trace_flags, trace_id
from sagakit.events import ExecutionStarted
from sagakit.saga import Saga
from sagakit.spans import Span
from sagakit.trace.convert import SCOPE, readable
from sagakit.trace.current import within
from sagakit.trace.watch import Sink


def tracer_of(provider: trace.TracerProvider | None) -> Tracer | None:
    """The SDK's tracer for our spans; None: the provider drops what it is given.

    Parameters:
        provider: None: the global one.
    """
    chosen = trace.get_tracer_provider() if provider is None else provider
    tracer = chosen.get_tracer(SCOPE.name)
    return tracer if isinstance(tracer, Tracer) else None


class Exported(Sink):
    """Hands the spans of one execution to a tracer's processors.

    The tracer's sampler is asked once, for the span of the execution; what is within it goes the
    same way.
    """

    def __init__(self, tracer: Tracer, saga: Saga, started: ExecutionStarted) -> None:
        self._tracer = tracer
        decided = tracer.sampler.should_sample(
            within(started.trace),
            int(trace_id(started), 16),
            f"saga {saga.name}",
            SpanKind.INTERNAL,
            {"saga.name": saga.name, "saga.execution.id": started.execution_id},
            (),
        )
        self.recorded = decided.decision is not Decision.DROP
        self.state = decided.trace_state
        flags = flags_of(started) & ~TraceFlags.SAMPLED
        self.flags = flags | (
            TraceFlags.SAMPLED if decided.decision is Decision.RECORD_AND_SAMPLE else 0
        )

    def ended(self, span: Span) -> None:
        tracer = self._tracer
        made = readable(span, resource=tracer.resource, flags=self.flags, state=self.state)
        tracer.span_processor.on_end(made)


def flags_of(started: ExecutionStarted) -> int:
    """Those of the trace that an execution is in, as far as it was begun in one."""
    return TraceFlags.SAMPLED if started.trace is None else trace_flags(started.trace)
