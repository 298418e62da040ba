"""The process that dies in the middle of an action, and what its spans were by then."""

from __future__ import annotations

import json
import os
import signal
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from sagakit import Engine, Saga, step
from sagakit.trace import instrument


def book() -> int:
    return 1


def cancel() -> None:
    pass


def pay() -> None:
    if os.environ.get("DIE"):
        os.kill(os.getpid(), signal.SIGKILL)


TRIP = Saga("trip", step(book, cancel), step(pay))


class Lines(SpanExporter):
    """Appends each span to a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def export(self, spans) -> SpanExportResult:
        with open(self.path, "a", encoding="utf-8") as file:
            for span in spans:
                parent = None if span.parent is None else span.parent.span_id
                context = span.get_span_context()
                entry = [span.name, context.trace_id, context.span_id, parent]
                file.write(json.dumps(entry) + "\n")
        return SpanExportResult.SUCCESS


def work(journal: str, lines: str) -> None:
    provider = TracerProvider(resource=Resource({}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(Lines(lines)))
    instrument(tracer_provider=provider)
    with Engine(journal, sagas=[TRIP]) as engine:
        if os.environ.get("DIE"):
            with provider.get_tracer("shop").start_as_current_span("request"):
                asked = trace.get_current_span().get_span_context()
                with open(lines, "a", encoding="utf-8") as file:
                    file.write(json.dumps(["request", asked.trace_id, asked.span_id, None]) + "\n")
                engine.run(TRIP, id="trip-7")
        else:
            engine.recover()


if __name__ == "__main__":
    work(*sys.argv[1:])
