"""Spans as Chrome's events: each on a lane of its service where it stands inside its parent."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from sagakit.spans import Link, Span, SpanEvent, Value
from sagakit.tracefiles.chrome import OwnEvent, OwnLink, OwnSpan
from sagakit.tracefiles.reading import NANO, jsonable, units

_Key = tuple[str, str]


def chrome_bytes(spans: Sequence[Span]) -> bytes:
    """The spans as a Trace Event file of the object form."""
    return msgspec.json.encode({"traceEvents": list(_events(spans)), "displayTimeUnit": "ms"})


def _events(spans: Sequence[Span]) -> Iterator[dict[str, Any]]:
    lanes = _Lanes()
    for span in sorted(spans, key=lambda span: (span.start, -_until(span))):
        lanes.place(span)
    for service, pid in lanes.processes.items():
        yield _named("process_name", pid, 0, service)
        for tid in range(1, lanes.count[pid] + 1):
            yield _named("thread_name", pid, tid, f"lane {tid}")
    known = {(span.trace_id, span.span_id): span for span in spans}
    arrow = 0
    for span in spans:
        pid, tid = lanes.of[span.trace_id, span.span_id]
        yield _slice(span, pid, tid)
        for event in span.events:
            yield _instant(span, event, pid, tid)
        for link in span.links:
            other = known.get((link.trace_id, link.span_id))
            if other is not None and other.start <= span.start:  # arrows point on in time
                arrow += 1
                yield _arrow("s", arrow, other, *lanes.of[other.trace_id, other.span_id])
                yield _arrow("f", arrow, span, pid, tid)


def _until(span: Span) -> float:
    return float("inf") if span.end is None else span.end


class _Lanes:
    """A lane for each span: its parent's if it is inside it there, else one that is free.

    The format lets slices of one thread only stand inside one another, never overlap.
    """

    def __init__(self) -> None:
        self.processes: dict[str, int] = {}
        self.count: dict[int, int] = {}
        self.of: dict[_Key, tuple[int, int]] = {}
        self._stacks: dict[tuple[int, int], list[Span]] = {}
        self._free: dict[int, list[tuple[float, int]]] = {}  # when each lane is free again

    def place(self, span: Span) -> None:
        """Give the span its lane; they come in the order of their starts."""
        pid = self.processes.setdefault(span.service, len(self.processes) + 1)
        lane = self._parents(span, pid) or self._new(span, pid)
        self._stacks[lane].append(span)
        self.of[span.trace_id, span.span_id] = lane

    def _parents(self, span: Span, pid: int) -> tuple[int, int] | None:
        lane = self.of.get((span.trace_id, span.parent_id or ""))
        if lane is None or lane[0] != pid:
            return None
        stack = self._stacks[lane]
        while stack and _until(stack[-1]) <= span.start:
            stack.pop()
        inside = stack and (stack[-1].trace_id, stack[-1].span_id) == (
            span.trace_id,
            span.parent_id,
        )
        return lane if inside and _until(span) <= _until(stack[-1]) else None

    def _new(self, span: Span, pid: int) -> tuple[int, int]:
        free = self._free.setdefault(pid, [])
        if free and free[0][0] <= span.start:
            _, tid = heapq.heappop(free)
        else:
            tid = self.count[pid] = self.count.get(pid, 0) + 1
        heapq.heappush(free, (_until(span), tid))
        self._stacks[pid, tid] = []
        return pid, tid


def _named(what: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}


def _slice(span: Span, pid: int, tid: int) -> dict[str, Any]:
    own = OwnSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        start=span.start,
        end=span.end,
        parent_id=span.parent_id,
        kind=span.kind,
        status=span.status,
        message=span.message,
        links=[_link(link) for link in span.links],
    )
    found = {"ph": "B", "name": span.name, "cat": span.kind, "ts": _micros(span.start)}
    if span.end is not None:
        nanos = units(span.end, NANO) - units(span.start, NANO)
        found |= {"ph": "X", "dur": nanos / 1000}
    return {**found, "pid": pid, "tid": tid, "args": _args(span.attributes, own)}


def _link(link: Link) -> OwnLink:
    return OwnLink(link.trace_id, link.span_id, _plain(link.attributes))


def _instant(span: Span, event: SpanEvent, pid: int, tid: int) -> dict[str, Any]:
    own = OwnEvent(span.trace_id, span.span_id, event.at)
    found = {"ph": "i", "s": "t", "name": event.name, "ts": _micros(event.at)}
    return {**found, "pid": pid, "tid": tid, "args": _args(event.attributes, own)}


def _arrow(ph: str, number: int, span: Span, pid: int, tid: int) -> dict[str, Any]:
    found = {"ph": ph, "name": "link", "cat": "link", "id": number, "ts": _micros(span.start)}
    return {**found, "pid": pid, "tid": tid, **({"bp": "e"} if ph == "f" else {})}


def _micros(seconds: float) -> float:
    return units(seconds, NANO) / 1000


def _args(attributes: Mapping[str, Value], own: OwnSpan | OwnEvent) -> dict[str, Any]:
    return {**_plain(attributes), "sagakit": own}


def _plain(attributes: Mapping[str, Value]) -> dict[str, Any]:
    return {key: jsonable(item) for key, item in attributes.items()}
