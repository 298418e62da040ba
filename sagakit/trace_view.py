"""A trace, captured here or elsewhere, in the views of executions: a tree, times, a timeline."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sagakit.errors import SagaError
from sagakit.spans import Span, in_a_circle
from sagakit.tracefiles import Format, read_trace, write_trace
from sagakit.views.timeline_tree import MOST_INSIDE
from sagakit.views.timescale import duration

if TYPE_CHECKING:
    import pandas as pd

    from sagakit.views import Bar, Picture

Key = tuple[str, str]
Row = tuple[str, list[Span]]  # its path in the tree, and the spans that share it
# how many levels and rows a timeline has at most; what is deeper is counted at the row above it
MOST_DEEP = 30
MOST_ROWS = 300


class Trace:
    """Spans and the tree that they make. A value: nothing of it changes.

    A span whose parent is not among them is a root. Siblings stand in the order of their starts.

    Parameters:
        spans: of one trace or of several.
        name: what to call it; left out, the name of the first root.

    Raises:
        SagaError: a span is inside itself, or two have the same id.
    """

    __slots__ = ("_children", "_name", "_self_times", "roots", "spans")

    def __init__(self, spans: Iterable[Span], name: str = "") -> None:
        self.spans: tuple[Span, ...] = tuple(spans)
        known = {_key(span): span for span in self.spans}
        if len(known) < len(self.spans):
            raise SagaError("a trace: two spans have the same id; give each an id of its own")
        looped = in_a_circle(self.spans)
        if looped is not None:
            raise SagaError(f"a trace: span '{looped.name}' is inside itself; mend its parent's id")
        children: dict[Key | None, list[Span]] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            above = (span.trace_id, span.parent_id or "")
            children.setdefault(above if above in known else None, []).append(span)
        self._children = children
        self.roots: tuple[Span, ...] = tuple(children.get(None, ()))
        self._name = name
        self._self_times: Mapping[Key, float | None] | None = None

    @classmethod
    def read(cls, source: str | Path | bytes, *, format: Format | None = None) -> Trace:
        """The trace in a file, as ``tracefiles.read_trace`` reads it, called by the file's name."""
        name = "" if isinstance(source, bytes) else Path(source).name
        return cls(read_trace(source, format=format), name)

    def write(self, path: str | Path, *, format: Format = "otlp") -> Path:
        """Write it as ``tracefiles.write_trace`` does, and return the path."""
        return write_trace(self.spans, path, format=format)

    # -- questions --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name or (self.roots[0].name if self.roots else "")

    @property
    def start(self) -> float:
        """When the first span started, in seconds since the epoch (or on the file's own clock)."""
        return min((span.start for span in self.spans), default=0.0)

    @property
    def duration(self) -> float:
        """Seconds from the first start to the last end or, while spans run, the last known time."""
        times = [time for span in self.spans for time in (span.start, span.end) if time is not None]
        return max(times, default=0.0) - self.start

    @property
    def services(self) -> tuple[str, ...]:
        """The services that took part, in the order in which they did."""
        ordered = sorted(self.spans, key=lambda span: span.start)
        return tuple(dict.fromkeys(span.service for span in ordered if span.service))

    @property
    def tree(self) -> tuple[tuple[int, Span], ...]:
        """Every span with how deep it stands (a root: 0), each above those inside it."""
        return tuple(self._walk())

    def _walk(self) -> Iterator[tuple[int, Span]]:
        stack = [(0, span) for span in reversed(self.roots)]
        while stack:
            depth, span = stack.pop()
            yield depth, span
            stack += [(depth + 1, inside) for inside in reversed(self.children(span))]

    def children(self, span: Span) -> tuple[Span, ...]:
        """The spans directly inside `span`."""
        return tuple(self._children.get(_key(span), ()))

    def self_time(self, span: Span) -> float | None:
        """The seconds of `span` in which nothing directly inside it was under way.

        None while it runs. What is inside counts only as far as it lies within the span.
        """
        if self._self_times is None:
            self._self_times = {_key(one): self._own_time(one) for one in self.spans}
        return self._self_times[_key(span)]

    def _own_time(self, span: Span) -> float | None:
        if span.end is None:
            return None
        busy, reached = 0.0, span.start
        for inside in self._children.get(_key(span), ()):  # by their starts
            start = max(inside.start, reached)
            end = span.end if inside.end is None else min(inside.end, span.end)
            if end > start:
                busy += end - start
                reached = end
        return max(0.0, span.end - span.start - busy)

    # -- views ------------------------------------------------------------------------------

    def frame(self) -> pd.DataFrame:
        """One row for each span; see ``tables.spans_frame``."""
        from sagakit.tables import spans_frame

        return spans_frame(self.spans)

    def timeline(self) -> Picture:
        """The trace over time, drawn as an execution's timeline is.

        A row is a span's place in the tree; siblings of one name that do not overlap share it, as
        attempts. Of a saga's own spans those with ``saga.side`` = ``compensation`` stand below the
        axis, and those with ``saga.in_doubt`` are in doubt.
        """
        from sagakit.views import timeline_picture

        return timeline_picture(self.name or "trace", self._bars())

    def _bars(self) -> list[Bar]:
        start = self.start
        rows = self._rows()
        found: list[Bar] = []
        stack = list(reversed(rows[""]))
        while stack:
            path, spans = stack.pop()
            inside = rows.get(path)
            left_out = sum(map(self._below, spans)) if inside is None else 0
            numbered = enumerate(spans, start=1)
            found += [_bar(span, path, number, start, left_out) for number, span in numbered]
            stack += reversed(inside or [])
        return found

    def _rows(self) -> dict[str, list[Row]]:
        """The rows directly inside each row, by its path; "" for the outermost.

        A level that would make them too many is left out, with all that is below it.
        """
        level = _rows("", self.roots)
        if len(level) > MOST_ROWS:  # many roots stand under one row, which shows some of them
            around = Span("", "", None, self.name, self.start, self.start + self.duration)
            level = _rows("", [around])
            return {"": level, level[0][0]: _rows(f"{level[0][0]}/", self.roots)}
        found = {"": level}
        count = len(level)
        for _ in range(MOST_DEEP - 1):
            inside = {path: _rows(f"{path}/", self._within(spans)) for path, spans in level}
            # of many in one row the timeline shows some and sums up the others
            count += sum(min(len(rows), MOST_INSIDE + 1) for rows in inside.values())
            level = [row for rows in inside.values() for row in rows]
            if not level or count > MOST_ROWS:
                break
            found |= inside
        return found

    def _within(self, spans: Iterable[Span]) -> list[Span]:
        inside = (one for span in spans for one in self._children.get(_key(span), ()))
        return sorted(inside, key=lambda span: span.start)

    def _below(self, span: Span) -> int:
        count, stack = 0, [span]
        while stack:
            inside = self.children(stack.pop())
            count += len(inside)
            stack += inside
        return count

    def __repr__(self) -> str:
        words = [f"{len(self.spans):,} span{'s' if len(self.spans) != 1 else ''}"]
        services = len(self.services)
        if services:
            words.append(f"{services} service{'s' if services != 1 else ''}")
        words.append(duration(self.duration))
        failed = sum(span.status == "error" for span in self.spans)
        running = sum(span.end is None for span in self.spans)
        words += [f"{failed:,} failed"] if failed else []
        words += [f"{running:,} running"] if running else []
        name = self.name if len(self.name) <= 60 else f"{self.name[:59]}…"
        return f"<Trace of {name!r}: {', '.join(words)}>"

    def _repr_html_(self) -> str:
        return self.timeline()._repr_html_()


def _key(span: Span) -> Key:
    return span.trace_id, span.span_id


def _rows(above: str, spans: Iterable[Span]) -> list[Row]:
    return [(f"{above}{name}", lane) for name, lane in rows_of(spans, lambda span: span.name)]


def rows_of(spans: Iterable[Span], name_of: Callable[[Span], str]) -> list[Row]:
    """The rows of siblings: one of a name that starts before the last has ended gets another.

    Parameters:
        spans: by their starts.
        name_of: what a span's row is called.
    """
    rows: dict[str, list[list[Span]]] = {}
    ends: dict[str, list[tuple[float, int]]] = {}  # when the last span of each row ends
    for span in spans:
        # a slash in a name is no step down the tree
        name = " ".join(name_of(span).split()).replace("/", "∕") or "(nameless)"
        lanes, free = rows.setdefault(name, []), ends.setdefault(name, [])
        number = len(lanes)
        if free and free[0][0] <= span.start:
            _, number = heapq.heappop(free)
        else:
            lanes.append([])
        lanes[number].append(span)
        heapq.heappush(free, (math.inf if span.end is None else span.end, number))
    return [
        (f"{name}{f' #{number}' if number > 1 else ''}", lane)
        for name, lanes in rows.items()
        for number, lane in enumerate(lanes, start=1)
    ]


def outcome_of(span: Span) -> str:
    """How a span ended, in the legend's words for states."""
    if span.end is None:
        return "running"
    if span.attributes.get("saga.in_doubt") is True:
        return "in doubt"
    back = span.attributes.get("saga.side") == "compensation"
    ended = ("compensation failed", "compensated") if back else ("failed", "succeeded")
    return ended[span.status != "error"]


def _bar(span: Span, path: str, attempt: int, start: float, deeper: int) -> Bar:
    from sagakit.views import Bar

    back = span.attributes.get("saga.side") == "compensation"
    words = [span.message] if span.status == "error" and span.message else []
    words += [f"{deeper:,} more inside"] if deeper else []
    return Bar(
        step=path,
        side="compensation" if back else "action",
        attempt=attempt,
        start=span.start - start,
        end=None if span.end is None else span.end - start,
        outcome=outcome_of(span),
        label=", ".join(words),
    )
