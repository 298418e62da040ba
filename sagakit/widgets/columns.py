"""A trace as columns of numbers: what the explorer draws, small enough for many thousand spans."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagakit.execution import Execution
from sagakit.spans import Span
from sagakit.story import join
from sagakit.trace_view import Trace, outcome_of, rows_of
from sagakit.views.style import STATES, STATUSES
from sagakit.widgets.frames import Graph

_TYPES = {"d": "f8", "i": "i4", "B": "u1"}  # of Python's arrays, and what the page calls them
_LOOKS = STATES.keys() | STATUSES.keys()
_Key = tuple[str, str]
EXACT = 2**53 - 1  # a larger number is not always exact in the page


class Texts:
    """Texts that recur, by their numbers."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


class Columns:
    """A trace laid out in lanes: one for each span, but siblings of a name that do not overlap
    share one, as the attempts of a step do.

    Parameters:
        execution: whose trace it is, for the graph and the critical path; None: any trace.
    """

    def __init__(self, trace: Trace, execution: Execution | None) -> None:
        self.trace = trace
        self.execution = execution
        self.graph = None if execution is None else Graph(execution.saga, execution)
        self.spans: list[Span] = []
        self.lanes: list[str] = []  # their names; no two are alike in one that is around them
        self._around: list[int] = []  # by lane: the one around it; -1: none
        self._texts = Texts()
        self._numbers: dict[_Key, int] = {}
        self._places: dict[_Key, int] = {}  # (path of a step, side): its lane
        self.of_spans: dict[str, array[Any]] = {
            name: array(kind)
            for name, kind in (
                ("start", "d"),
                ("end", "d"),
                ("lane", "i"),
                ("parent", "i"),
                ("name", "i"),
                ("service", "i"),
                ("outcome", "i"),
                ("node", "i"),
                ("critical", "B"),
            )
        }
        self.of_lanes = {name: array("i") for name in ("depth", "size", "label", "twin")}
        self._begin = trace.start
        self._nodes = _Nodes(execution, self.graph)
        self._critical: dict[object, None] = dict.fromkeys(
            critical_spans(trace) if execution is None else _critical(execution)
        )
        self._lay_out()

    def _lay_out(self) -> None:
        """Every lane with what is inside it below it."""
        open_: list[tuple[int, int]] = []  # (depth, number) of lanes around
        stack = [(-1, 0, row) for row in reversed(rows_of(self.trace.roots, _lane_name))]
        while stack:
            around, depth, (name, spans) = stack.pop()
            self._close(open_, depth)
            lane = len(self.lanes)
            self.lanes.append(name)
            self._around.append(around)
            open_.append((depth, lane))
            for column, value in (("depth", depth), ("size", 0), ("twin", -1)):
                self.of_lanes[column].append(value)
            self.of_lanes["label"].append(self._texts.number(name))
            for span in spans:
                self._add(span, lane)
            within = [one for span in spans for one in self.trace.children(span)]
            within.sort(key=lambda one: one.start)
            stack += [(lane, depth + 1, row) for row in reversed(rows_of(within, _lane_name))]
        self._close(open_, 0)

    def _close(self, open_: list[tuple[int, int]], depth: int) -> None:
        """Note how many lanes are inside those that end here."""
        while open_ and open_[-1][0] >= depth:
            _, lane = open_.pop()
            self.of_lanes["size"][lane] = len(self.lanes) - lane - 1

    def _add(self, span: Span, lane: int) -> None:
        self._numbers[span.trace_id, span.span_id] = len(self.spans)
        self.spans.append(span)
        columns, number = self.of_spans, self._texts.number
        columns["start"].append(span.start - self._begin)
        columns["end"].append(math.nan if span.end is None else span.end - self._begin)
        columns["lane"].append(lane)
        columns["parent"].append(self._numbers.get((span.trace_id, span.parent_id or ""), -1))
        columns["name"].append(number(span.name))
        columns["service"].append(number(_service(span)))
        columns["outcome"].append(number(_outcome(span)))
        path = self._nodes.path(span)
        columns["node"].append(self._nodes.of(path))
        if path is not None:
            self._places.setdefault((path, str(span.attributes.get("saga.side", ""))), lane)
        which = _side(span) if self.execution is not None else _key(span)
        columns["critical"].append(which in self._critical)

    def lane_of(self, step: str, side: str) -> int:
        """The outermost lane of a step, by its path, or of what undoes it; -1: there is none."""
        return self._places.get((step, side), -1)

    def twins_of(self, other: Columns) -> None:
        """Note which lane of another trace each lane here stands beside: that of the same name,
        in lanes that stand beside each other, or outermost as it is."""
        theirs = zip(other._around, other.lanes, strict=True)
        known = {lane: number for number, lane in enumerate(theirs)}
        twins = self.of_lanes["twin"]
        for number, (around, name) in enumerate(zip(self._around, self.lanes, strict=True)):
            beside = -1 if around < 0 else twins[around]
            if around < 0 or beside >= 0:
                twins[number] = known.get((beside, name), -1)

    def state(self, put: Packed) -> dict[str, Any]:
        """See ``TraceRun`` in ``ui/src/watching.ts``; the numbers go into ``put``."""
        execution, graph = self.execution, self.graph
        return {
            "title": self.trace.name if execution is None else execution.id,
            "status": "" if execution is None else execution.status,
            "duration": self.trace.duration,
            "texts": list(self._texts.numbers),
            "spans": {"count": len(self.spans), **put.columns(self.of_spans)},
            "lanes": {"count": len(self.lanes), **put.columns(self.of_lanes)},
            "nodes": [] if graph is None else graph.nodes,
            "edges": [] if graph is None else [list(edge) for edge in graph.edges],
            "states": self._nodes.states,
        }

    def details(self, number: int) -> dict[str, Any]:
        """All that is known of a span: attributes, what happened in it, what it is linked to."""
        span = self.spans[number]
        return {
            "name": span.name,
            "kind": span.kind,
            "status": span.status,
            "message": span.message,
            "attributes": _plain(span.attributes),
            "events": [
                {
                    "at": event.at - self._begin,
                    "name": event.name,
                    "attributes": _plain(event.attributes),
                }
                for event in span.events
            ],
            "links": [
                {
                    "span": self._numbers.get((link.trace_id, link.span_id), -1),
                    "attributes": _plain(link.attributes),
                }
                for link in span.links
            ],
        }


class Packed:
    """Columns of numbers one behind the other, each where its type may stand."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def columns(self, columns: Mapping[str, array[Any]]) -> dict[str, tuple[int, str]]:
        """Put some columns in; where each stands (bytes from the start), and its type."""
        return {name: self._put(column) for name, column in columns.items()}

    def _put(self, column: array[Any]) -> tuple[int, str]:
        place = self._size
        made = _little(column)
        self._parts += (made, bytes(-len(made) % 8))
        self._size += len(made) + -len(made) % 8
        return place, _TYPES[column.typecode]

    def whole(self) -> bytes:
        return b"".join(self._parts)


def _little(column: array[Any]) -> bytes:
    """Its bytes, little-endian as every browser has them."""
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


class _Nodes:
    """Which node of the graph a span belongs to, and how the nodes stand."""

    def __init__(self, execution: Execution | None, graph: Graph | None) -> None:
        self._numbers = {} if graph is None else {n["path"]: i for i, n in enumerate(graph.nodes)}
        self._paths = {} if execution is None else dict(_paths(execution, ""))
        known = {} if execution is None else dict(_states(execution, ""))
        self.states = [known.get(path, "pending") for path in self._numbers]

    def path(self, span: Span) -> str | None:
        """The path of its step; empty: it is of the execution as a whole. None: of neither."""
        path = self._paths.get(str(span.attributes.get("saga.execution.id", "")))
        return None if path is None else join(path, str(span.attributes.get("saga.step", "")))

    def of(self, path: str | None) -> int:
        """-1: none. What stands for a step that is not drawn is the step around it."""
        if path is None:
            return -1
        while path not in self._numbers and "/" in path:
            path = path.rpartition("/")[0]
        return self._numbers.get(path, -1)


def _paths(execution: Execution, path: str) -> Iterable[tuple[str, str]]:
    yield execution.id, path
    for name, child in execution.children.items():
        yield from _paths(child, join(path, name))


def _states(execution: Execution, path: str) -> Iterable[tuple[str, str]]:
    for name, state in execution.states.items():
        yield join(path, name), state
    for name, child in execution.children.items():
        yield from _states(child, join(path, name))


def _critical(execution: Execution) -> Iterable[tuple[str, str, str]]:
    """(execution, step, side) of what decided when it ended, also inside its steps."""
    for piece in execution.critical_path:
        yield execution.id, piece.step, piece.side
        child = execution.children.get(piece.step)
        if child is not None:
            yield from _critical(child)


def critical_spans(trace: Trace) -> Iterator[_Key]:
    """The spans that decided when a trace of any tool ended: from the last root's end backwards,
    within each span the one inside it that ended last, then the last one that ended before that
    one began, and so on."""
    last = trace.start + trace.duration
    ends = {_key(span): last if span.end is None else span.end for span in trace.spans}

    def backwards(spans: Iterable[Span], until: float) -> Iterator[tuple[Span, float]]:
        for span in sorted(spans, key=lambda one: ends[_key(one)], reverse=True):
            if ends[_key(span)] <= until:
                yield span, ends[_key(span)]
                until = span.start

    stack = list(backwards(trace.roots, last))[:1]
    while stack:
        span, until = stack.pop()
        yield _key(span)
        stack += backwards(trace.children(span), until)


def _key(span: Span) -> _Key:
    return span.trace_id, span.span_id


def _side(span: Span) -> tuple[object, object, object]:
    said = span.attributes
    return said.get("saga.execution.id"), said.get("saga.step"), said.get("saga.side")


def _lane_name(span: Span) -> str:
    """What a span's lane is called: the attempts of a step share one."""
    if "saga.attempt" in span.attributes:
        return span.name.rpartition(" #")[0] or span.name
    return span.name


def _service(span: Span) -> str:
    return span.service or str(span.attributes.get("saga.step.service", ""))


def _outcome(span: Span) -> str:
    said = span.attributes.get("saga.outcome")
    return said if span.end is not None and said in _LOOKS else outcome_of(span)


def _plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _shown(value) for name, value in attributes.items()}


def _shown(value: Any) -> Any:
    """A value as the page shows it; in words what JSON or the page's numbers cannot hold."""
    match value:
        case tuple() | list():
            return [_shown(one) for one in value]
        case int() if abs(value) > EXACT:
            return str(value)
        case float() if not math.isfinite(value):
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case _:
            return repr(value)
