"""Chrome's trace files: what chrome://tracing and Perfetto open and many profilers write.

After "Trace Event Format" (the Chromium project's document) and Perfetto's "Visualizing external
trace formats". Read are complete (X), duration (B, E), async (b, n, e), instant (i, I), flow
(s, t, f) and metadata (M) events, of the object form and of the list form, whose last bracket may
be missing; counters, samples, objects and memory dumps are passed over, and so is an end without
its beginning.

Other tools' slices have no ids: they get numbers. A slice is inside the one around it on its thread
(async ones: of its id); an instant belongs to the slice around it, or becomes a span of no
duration; a flow becomes a link; a beginning without an end runs. Times are on the file's own clock,
in seconds. The thread's name and the category become the attributes ``thread.name`` and
``category``, the process's name is the service.

Spans that we write are complete events, or beginnings where they run, with what the format has no
word for (ids, status, links, our float times) in ``args.sagakit``; so they come back equal, but
that NaN, infinities and whole numbers of more than 64 bits have become text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from sagakit.spans import Kind, Link, Span, SpanEvent, Status, Value
from sagakit.tracefiles.reading import MICRO, Documents, Gathered, Wrong, hex_id, value, wrong
from sagakit.tracefiles.slices import Slice, beginnings_and_ends, following, sweep

Track = tuple[Any, ...]


class _Id2(msgspec.Struct):
    local: int | str | None = None
    everywhere: int | str | None = msgspec.field(default=None, name="global")


class _Event(msgspec.Struct, gc=False):
    ph: str
    name: str = ""
    cat: str = ""
    ts: float | None = None
    dur: float | None = None
    pid: int | str | None = None
    tid: int | str | None = None
    id: int | str | None = None
    id2: _Id2 | None = None
    bp: str = ""
    args: Any = None


class OwnLink(msgspec.Struct, gc=False, omit_defaults=True):
    """A link as ``args.sagakit`` holds it."""

    trace_id: str
    span_id: str
    attributes: dict[str, Any] = {}


class OwnSpan(msgspec.Struct, gc=False, omit_defaults=True):
    """What ``args.sagakit`` of a span's event holds."""

    trace_id: str
    span_id: str
    start: float
    end: float | None = None
    parent_id: str | None = None
    kind: Kind = "internal"
    status: Status = "unset"
    message: str = ""
    links: list[OwnLink] = []


class OwnEvent(msgspec.Struct, gc=False):
    """What ``args.sagakit`` of an instant holds: whose it is, and when it was."""

    trace_id: str
    span_id: str
    at: float


class _File(msgspec.Struct):
    events: list[msgspec.Raw] = msgspec.field(name="traceEvents")


_FILE = msgspec.json.Decoder(_File)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT = msgspec.json.Decoder(_Event)
_START = re.compile(rb"\s*\[")
_TIMED = frozenset("XBEbneiIstf")


def read_chrome(file: str, data: bytes) -> list[Span]:
    """The spans of a Chrome trace file; TraceFileError where it is malformed."""
    raws, place = _events(file, data)
    reading = _Reading(hashlib.blake2b(data, digest_size=16).hexdigest())
    for number, raw in enumerate(raws):
        try:
            reading.take(number, _decoded(raw))
        except Wrong as error:
            raise error.at(file, f"{place}[{number}]") from None
    gathered = Gathered(file)
    for number, span in reading.spans():
        try:
            gathered.add(span)
        except Wrong as error:
            raise error.at(file, f"{place}[{number}]") from None
    return gathered.done()


def _events(file: str, data: bytes) -> tuple[list[msgspec.Raw], str]:
    documents = Documents(file, data)
    if _START.match(data) is None:
        found: list[msgspec.Raw] = documents.decode(_FILE, "", 0, data).events
        return found, "traceEvents"
    try:
        return _LIST.decode(data), ""
    except msgspec.DecodeError:
        pass
    try:  # the format lets a program that was stopped leave the last bracket out
        return _LIST.decode(data.rstrip().removesuffix(b",") + b"]"), ""
    except msgspec.DecodeError:
        found = documents.decode(_LIST, "", 0, data)
        return found, ""


def _decoded(raw: msgspec.Raw) -> _Event:
    try:
        event = _EVENT.decode(raw)
    except msgspec.ValidationError as error:
        raise wrong(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Wrong("", f"is not UTF-8 text: {error}") from None
    if event.ph in _TIMED and event.ts is None:
        raise Wrong(".ts", f"an event of phase '{event.ph}' has no time", "give 'ts' in µs")
    if event.dur is not None and event.dur < 0:
        raise Wrong(".dur", f"{event.dur:g} µs is less than nothing")
    return event


class _Reading:
    """The events of a file, sorted into tracks as they come; then made into spans."""

    def __init__(self, trace_id: str) -> None:
        self.trace_id = trace_id
        self.processes: dict[Any, str] = {}
        self.threads: dict[Any, str] = {}
        self.slices: dict[Track, list[Slice]] = {}
        self.halves: dict[Track, list[tuple[float, bool, Slice]]] = {}
        self.instants: dict[Track, list[tuple[float, int, _Event]]] = {}
        self.flows: list[tuple[float, int, Track, _Event]] = []
        self.own: list[tuple[int, Any, OwnSpan, _Event]] = []
        self.own_events: dict[tuple[str, str], list[SpanEvent]] = {}

    def take(self, number: int, event: _Event) -> None:
        """Sort one event in; `number` is its place in the file."""
        own = event.args.get("sagakit") if isinstance(event.args, dict) else None
        if isinstance(own, dict) and event.ph in "XBi":
            self._take_own(number, event, own)
            return
        thread = (event.pid, event.tid)
        match event.ph:
            case "X":
                self.slices.setdefault(thread, []).append(self._slice(number, event))
            case "B" | "E":
                self._half(thread, number, event, event.ph == "B")
            case "b" | "e":
                self._half(_async(event), number, event, event.ph == "b")
            case "i" | "I" | "n":
                track = _async(event) if event.ph == "n" else thread
                self.instants.setdefault(track, []).append((event.ts or 0.0, number, event))
            case "s" | "t" | "f":
                self.flows.append((event.ts or 0.0, number, thread, event))
            case "M" if isinstance(event.args, dict) and "name" in event.args:
                if event.name == "process_name":
                    self.processes[event.pid] = str(event.args["name"])
                elif event.name == "thread_name":
                    self.threads[thread] = str(event.args["name"])
            case _:
                pass  # counters, samples, objects, memory dumps: nothing that took time

    def _take_own(self, number: int, event: _Event, own: Any) -> None:
        try:
            if event.ph == "i":
                mine = msgspec.convert(own, OwnEvent)
                happened = SpanEvent(event.name, mine.at, _attributes(event.args))
                self.own_events.setdefault((mine.trace_id, mine.span_id), []).append(happened)
            else:
                self.own.append((number, event.pid, _checked(own), event))
        except (msgspec.ValidationError, Wrong) as error:
            found = error if isinstance(error, Wrong) else wrong(error)
            raise Wrong(f".args.sagakit{found.path}", found.why) from None

    def _slice(self, number: int, event: _Event) -> Slice:
        start = event.ts or 0.0
        end = None if event.dur is None else start + event.dur
        return Slice(number, event.name, start, end, event)

    def _half(self, track: Track, number: int, event: _Event, begins: bool) -> None:
        half = Slice(number, event.name, event.ts or 0.0, None, event)
        self.halves.setdefault(track, []).append((half.start, begins, half))

    def spans(self) -> Iterator[tuple[int, Span]]:
        """Every span, after the place of the event that began it, in the file's order."""
        for track, halves in self.halves.items():
            for opened, closing in beginnings_and_ends(halves):
                if closing is not None and isinstance(closing.event.args, dict):
                    args = opened.event.args if isinstance(opened.event.args, dict) else {}
                    opened.event.args = {**args, **closing.event.args}
                self.slices.setdefault(track, []).append(opened)
        found = [part for own in self.own for part in [self._own_span(*own)]]
        found += [(item.number, self._span(item)) for item in self._nested()]
        yield from sorted(found, key=lambda part: part[0])

    def _nested(self) -> Iterator[Slice]:
        """The slices, each inside the one around it, with their instants and flows."""
        asked: dict[Track, list[tuple[float, int, Any]]] = {}
        for track, instants in self.instants.items():
            asked.setdefault(track, []).extend(instants)
        for at, number, track, event in self.flows:
            asked.setdefault(track, []).append((at, number, event))
        ends: dict[int, Slice] = {}
        for track in {**self.slices, **asked}:
            slices = sweep(self.slices.get(track, []), asked.get(track, []))
            for number, event, around in slices.around:
                if event.ph not in "stf":
                    _happened(event, around) if around else self._alone(number, event, slices)
                    continue
                if event.ph == "f" and event.bp != "e":
                    around = following(slices.ordered, event.ts) or around
                if around is not None:
                    ends[number] = around
            self.slices[track] = slices.ordered
        self._link(ends)
        for slices_of in self.slices.values():
            yield from slices_of

    def _alone(self, number: int, event: _Event, slices: Any) -> None:
        """An instant that nothing is around: a span of no duration."""
        at = event.ts or 0.0
        slices.ordered.append(Slice(number, event.name, at, at, event))

    def _link(self, ends: Mapping[int, Slice]) -> None:
        last: dict[Any, Slice] = {}
        for _, number, _, event in sorted(self.flows, key=lambda flow: flow[:2]):
            key = (event.cat, event.id if event.id is not None else event.name)
            here = ends.get(number)
            if here is not None and event.ph != "s" and key in last:
                here.links.append(last[key].number)
            if here is not None:
                last[key] = here

    def _id(self, number: int) -> str:
        return f"{number + 1:016x}"

    def _span(self, item: Slice) -> Span:
        event = item.event
        attributes = dict(_attributes(event.args))
        if event.cat:
            attributes.setdefault("category", event.cat)
        thread = self.threads.get((event.pid, event.tid))
        if thread:
            attributes.setdefault("thread.name", thread)
        return Span(
            trace_id=self.trace_id,
            span_id=self._id(item.number),
            parent_id=None if item.parent is None else self._id(item.parent.number),
            name=item.name,
            start=item.start / MICRO,
            end=None if item.end is None else item.end / MICRO,
            service=self.processes.get(event.pid, ""),
            attributes=attributes,
            events=tuple(item.events),
            links=tuple(Link(self.trace_id, self._id(number)) for number in item.links),
        )

    def _own_span(self, number: int, pid: Any, own: OwnSpan, event: _Event) -> tuple[int, Span]:
        return number, Span(
            trace_id=own.trace_id,
            span_id=own.span_id,
            parent_id=own.parent_id,
            name=event.name,
            start=own.start,
            end=own.end,
            kind=own.kind,
            status=own.status,
            message=own.message,
            service=self.processes.get(pid, ""),
            attributes=_attributes(event.args),
            events=tuple(self.own_events.get((own.trace_id, own.span_id), ())),
            links=tuple(
                Link(link.trace_id, link.span_id, _attributes(link.attributes))
                for link in own.links
            ),
        )


def _checked(own: Any) -> OwnSpan:
    mine = msgspec.convert(own, OwnSpan)
    hex_id(mine.trace_id, 32, ".trace_id")
    hex_id(mine.span_id, 16, ".span_id")
    if mine.parent_id is not None:
        hex_id(mine.parent_id, 16, ".parent_id")
    for i, link in enumerate(mine.links):
        hex_id(link.trace_id, 32, f".links[{i}].trace_id")
        hex_id(link.span_id, 16, f".links[{i}].span_id")
    return mine


def _async(event: _Event) -> Track:
    """What async events of one track share: the category and the id, a local one's process too."""
    if event.id2 is not None and event.id2.local is not None:
        return ("async", event.cat, event.pid, event.id2.local)
    return ("async", event.cat, event.id2.everywhere if event.id2 else event.id)


def _happened(event: _Event, around: Slice) -> None:
    at = (event.ts or 0.0) / MICRO
    around.events.append(SpanEvent(event.name, at, _attributes(event.args)))


def _attributes(args: Any) -> Mapping[str, Value]:
    if not isinstance(args, dict):
        return {}
    pairs = ((str(key), value(item)) for key, item in args.items() if key != "sagakit")
    return {key: item for key, item in pairs if item is not None}
