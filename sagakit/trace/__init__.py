"""Executions as OpenTelemetry traces, metrics and logs (needs ``pip install 'sagakit[trace]'``).

::

    with capture() as trace:                # in memory, for notebooks and tests
        simulate(checkout, order)
    trace.spans

    instrument()                            # in a service: to the providers that it has set up

While an action, a compensation or a reconcile runs, its attempt's span is OpenTelemetry's current
one and the baggage carries ``saga.execution.id``, so whatever it calls nests under it and
OpenTelemetry's own propagators carry both on, over HTTP and in messages
(``opentelemetry.propagate.inject`` and ``extract``). That span only has an identity then: it is
made from the journal's events once they are safe, so its attributes cannot be set from within.
An execution that is begun within a span becomes its child. Attributes and span events are listed
in ``sagakit.event_spans.ATTRIBUTES`` and ``EVENTS``, measures in ``METRICS``.
"""

try:
    import opentelemetry.sdk  # noqa: F401
except ImportError as error:
    raise ImportError(
        "sagakit.trace needs OpenTelemetry's SDK: pip install 'sagakit[trace]'"
    ) from error

from sagakit.trace.capture import Capture, capture
from sagakit.trace.convert import read, readable
from sagakit.trace.logs import otel_logs
from sagakit.trace.metrics import METRICS
from sagakit.trace.observer import instrument, uninstrument
from sagakit.trace.otlp import Export, otlp

__all__ = [
    "METRICS",
    "Capture",
    "Export",
    "capture",
    "instrument",
    "otel_logs",
    "otlp",
    "read",
    "readable",
    "uninstrument",
]
