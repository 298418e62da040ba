"""Spans kept in memory: those of executions, and those that others make within their actions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from sagakit.event_spans import SpanBuilder
from sagakit.events import Event
from sagakit.spans import Span
from sagakit.trace import foreign
from sagakit.trace.observer import listen, unlisten
from sagakit.trace.watch import Sink

if TYPE_CHECKING:
    import pandas as pd


class Capture:
    """What ``capture`` has caught."""

    def __init__(self) -> None:
        self._ended: list[Span] = []
        self._under_way: dict[str, SpanBuilder] = {}
        self._open = True

    @property
    def spans(self) -> list[Span]:
        """All spans so far in the order of their beginnings, each after its parent; those under
        way have no end."""
        under_way = list(self._under_way.values())
        found = [*list(self._ended), *(span for made in under_way for span in made.under_way())]
        return _in_order(found)

    def frame(self) -> pd.DataFrame:
        """One row for each span; see ``tables.spans_frame``."""
        from sagakit.tables import spans_frame

        return spans_frame(self.spans)

    def clear(self) -> None:
        """Forget the spans that have ended."""
        self._ended.clear()

    def hear(self) -> _Captured | None:
        """Follow an execution, unless the capture is over."""
        return _Captured(self) if self._open else None

    def keep(self, span: Span) -> None:
        """Add a span that has ended."""
        if self._open:
            self._ended.append(span)

    def close(self) -> None:
        """Keep nothing more."""
        self._open = False

    def __len__(self) -> int:
        return len(self.spans)

    def __repr__(self) -> str:
        spans = self.spans
        traces = len({span.trace_id for span in spans})
        return f"<Capture: {len(spans)} spans in {traces} trace{'' if traces == 1 else 's'}>"


class _Captured(Sink):
    """One execution, for a capture."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture

    def began(self, builder: SpanBuilder, kept: Sequence[Event]) -> None:  # noqa: ARG002
        self._capture._under_way[builder.execution_id] = self._builder = builder

    def ended(self, span: Span) -> None:
        self._capture.keep(span)

    def left(self) -> None:
        """One that waits stays: its open spans are part of the picture."""
        under_way, id = self._capture._under_way, self._builder.execution_id
        if self._builder.ended and under_way.get(id) is self._builder:
            del under_way[id]


def _in_order(spans: Sequence[Span]) -> list[Span]:
    """By their beginnings; of those that begin together, the parent comes first."""
    waiting = {(span.trace_id, span.span_id): span for span in spans}
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        line: list[Span] = []
        above: Span | None = span
        while above is not None and waiting.pop((above.trace_id, above.span_id), None) is not None:
            line.append(above)
            above = waiting.get((above.trace_id, above.parent_id or ""))
        found += reversed(line)
    return found


@contextmanager
def capture(*, tracer_provider: TracerProvider | None = None) -> Iterator[Capture]:
    """Keep the spans of every execution that is begun within, in this thread or task, by whichever
    driver; nested captures each get all.

    Also kept are the spans that anybody makes within by OpenTelemetry's API: actions, httpx or
    SQLAlchemy with their instrumentations. In virtual time their ids and times are virtual, too.
    Where the program has set up no global tracer provider, one of ours stands in for it meanwhile
    and leaves no trace; where it has, that one gets a span processor more, once, and what its
    sampler drops is not caught here either.

    Parameters:
        tracer_provider: where the spans of others go, if not to the global one.

    Yields:
        the capture; it catches nothing more once the block is left.
    """
    made = Capture()
    with foreign.tapped(tracer_provider, made.keep):
        listen(made.hear)
        try:
            yield made
        finally:
            made.close()
            unlisten(made.hear)
