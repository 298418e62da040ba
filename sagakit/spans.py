"""Spans as plain data, whatever made them: read from events, or from a trace file.

The words are OpenTelemetry's (https://opentelemetry.io/docs/specs/otel/trace/api/): a trace is a
tree of spans, a span has attributes, events at an instant, and links to spans elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Value = str | bool | int | float | tuple[str, ...] | tuple[int, ...] | tuple[float, ...]
Status = Literal["unset", "ok", "error"]
Kind = Literal["internal", "server", "client", "producer", "consumer"]


class SpanEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that happened at one instant of a span: ``at`` is seconds since the epoch."""

    name: str
    at: float
    attributes: Mapping[str, Value] = {}


class Link(msgspec.Struct, frozen=True, gc=False):
    """Another span that this one has to do with: what a compensation undoes, for instance."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Value] = {}


class Span(msgspec.Struct, frozen=True, gc=False):
    """One thing that took time.

    Parameters:
        trace_id: 32 hexadecimal digits; span_id and parent_id: 16. The root's parent is None.
        start: seconds since the epoch; so is ``end``, which is None while it runs.
        service: the resource's ``service.name``; empty where nobody said.
        message: why ``status`` is ``error``.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: float
    end: float | None
    kind: Kind = "internal"
    status: Status = "unset"
    message: str = ""
    service: str = ""
    attributes: Mapping[str, Value] = {}
    events: tuple[SpanEvent, ...] = ()
    links: tuple[Link, ...] = ()

    @property
    def duration(self) -> float | None:
        """Seconds; None while it runs."""
        return None if self.end is None else self.end - self.start


def in_a_circle(spans: Iterable[Span]) -> Span | None:
    """A span whose parents lead back to it, if there is one."""
    known = {(span.trace_id, span.span_id): span for span in spans}
    safe: set[tuple[str, str]] = set()
    for key, span in known.items():
        trail: dict[tuple[str, str], Span] = {}
        at: Span | None = span
        while at is not None and key not in safe:
            if key in trail:
                return at
            trail[key] = at
            key = (at.trace_id, at.parent_id or "")
            at = known.get(key)
        safe.update(trail)
    return None
