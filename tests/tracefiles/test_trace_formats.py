"""Files as other tools write them (data/traces): what becomes of each thing they hold."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest

from sagakit.spans import Link, Span, SpanEvent
from sagakit.tracefiles import read_trace, trace_bytes

TRACES = Path(__file__).parents[2] / "data" / "traces"


def by_name(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans}


def test_otlp_with_its_ids_values_events_and_links() -> None:
    spans = read_trace(TRACES / "otlp.json")
    server, charge, mail = spans
    assert server.trace_id == "5b8efff798038103d269b633813fc60c"
    assert server.parent_id == "eee19b7ec3c1b173"  # not in the file: kept
    assert (server.kind, server.service) == ("server", "shop.frontend")
    assert (server.status, server.message) == ("error", "payment refused")
    assert (server.start, server.duration) == (1544712660.0, 1.0)
    assert server.attributes == {
        "http.response.status_code": 402, "http.route": "/checkout", "tags": ("spring", "été"),
        "cart": '{"teapots":7}',
    }  # fmt: skip
    assert (charge.kind, charge.parent_id) == ("client", server.span_id)
    assert charge.attributes["amount"] == 294.5
    assert math.isnan(charge.attributes["rate"])  # type: ignore[arg-type]
    assert charge.attributes["test"] is True
    assert charge.events == (SpanEvent("exception", 1544712660.7, {"exception.type": "Refused"}),)
    assert charge.links == (Link("0102030405060708090a0b0c0d0e0f10", "0102030405060708"),)
    assert (mail.end, mail.duration) == (None, None)


def test_a_collectors_file_of_one_object_a_line() -> None:
    order, stock = read_trace(TRACES / "collector.jsonl")
    assert (order.parent_id, order.service) == (None, "orders")
    assert (stock.parent_id, stock.service, stock.status) == (order.span_id, "stock", "ok")


def test_jaeger_with_its_references_tags_and_logs() -> None:
    root, query, notify = read_trace(TRACES / "jaeger.json")
    trace_id = "0" * 16 + "95b8f374e549297f"
    assert (root.trace_id, root.span_id, root.parent_id) == (trace_id, "95b8f374e549297f", None)
    assert (root.kind, root.service, root.duration) == ("server", "frontend", pytest.approx(0.7))
    assert root.attributes == {
        "http.status_code": 200, "temperature": 72.5, "sampler.param": True, "blob": "AAAwOQ==",
    }  # fmt: skip
    assert root.events == (
        SpanEvent("GetConn", 1485467191.64, {"level": "info"}),
        SpanEvent("log", 1485467191.65, {"x": "y"}),
    )
    assert (query.span_id, query.parent_id) == ("0" * 14 + "a1", root.span_id)
    assert query.links == (Link("0" * 30 + "ff", "0" * 14 + "ff"),)
    assert (query.status, query.message, query.attributes) == ("error", "lock timeout", {})
    assert notify.parent_id == root.span_id  # it follows from it: Jaeger too puts it there


def test_one_trace_of_jaegers_by_itself_and_text_of_its_stores() -> None:
    whole = json.loads((TRACES / "jaeger.json").read_bytes())["data"][0]
    assert read_trace(json.dumps(whole).encode()) == read_trace(TRACES / "jaeger.json")
    span = {
        "traceID": "1", "spanID": "2", "parentSpanID": "3", "startTime": 1, "duration": 1,
        "tags": [
            {"key": "a", "type": "int64", "value": "7"},
            {"key": "b", "type": "bool", "value": "false"},
            {"key": "c", "type": "float64", "value": "1.5"},
            {"key": "d", "value": "untyped"},
        ],
    }  # fmt: skip
    (found,) = read_trace(json.dumps({"spans": [span]}).encode())
    assert found.attributes == {"a": 7, "b": False, "c": 1.5, "d": "untyped"}
    assert found.parent_id == "0" * 15 + "3"


def test_chromes_slices_stand_inside_those_around_them() -> None:
    found = by_name(read_trace(TRACES / "chrome.json"))
    inside = {
        name: next((one.name for one in found.values() if one.span_id == span.parent_id), None)
        for name, span in found.items()
    }
    assert inside == {
        "load": None, "Asub": "load", "inside Asub": "Asub", "vsync": None, "fetch": None,
        "dns": "fetch", "work": None, "never ends": None,
    }  # fmt: skip
    assert len({span.trace_id for span in found.values()}) == 1
    load, sub = found["load"], found["Asub"]
    assert (load.start, load.end, load.service) == (0.001, 0.003, "renderer")
    assert load.attributes == {
        "url": "https://example.org/", "bytes": 42, "category": "page", "thread.name": "main",
    }  # fmt: skip
    assert sub.duration == pytest.approx(15.5e-6)
    assert sub.attributes["sizes"] == (1.0, 2.5)
    assert sub.attributes["deep"] == '{"a":null}'


def test_chromes_instants_flows_and_open_ends() -> None:
    found = by_name(read_trace(TRACES / "chrome.json"))
    assert [event.name for event in found["inside Asub"].events] == ["paint"]
    assert [event.name for event in found["dns"].events] == ["cached"]
    assert (found["vsync"].start, found["vsync"].duration) == (0.0005, 0.0)
    work = found["work"]
    assert work.links == (Link(work.trace_id, found["Asub"].span_id),)
    assert found["never ends"].end is None


def test_a_chrome_list_may_lack_its_last_bracket() -> None:
    outer, inner = read_trace(TRACES / "chrome-list.json")
    assert (outer.name, inner.parent_id) == ("outer", outer.span_id)
    data = (TRACES / "chrome-list.json").read_bytes()
    assert read_trace(data.rstrip().rstrip(b",") + b"]")[1].name == "inner"


def test_a_flow_without_a_binding_point_leads_to_the_next_slice() -> None:
    events = [
        {"ph": "X", "name": "a", "ts": 0, "dur": 10, "pid": 1, "tid": 1},
        {"ph": "X", "name": "b", "ts": 20, "dur": 10, "pid": 1, "tid": 2},
        {"ph": "s", "name": "go", "id": 1, "ts": 5, "pid": 1, "tid": 1},
        {"ph": "f", "name": "go", "id": 1, "ts": 15, "pid": 1, "tid": 2},
    ]
    a, b = read_trace(json.dumps(events).encode())
    assert (a.links, b.links) == ((), (Link(a.trace_id, a.span_id),))


def test_slices_that_overlap_are_not_inside_one_another() -> None:
    events = [
        {"ph": "X", "name": "a", "ts": 0, "dur": 10},
        {"ph": "X", "name": "b", "ts": 5, "dur": 10},
        {"ph": "X", "name": "unfinished", "ts": 20},
    ]
    spans = read_trace(json.dumps(events).encode())
    assert [span.parent_id for span in spans] == [None, None, None]
    assert spans[2].end is None


def test_of_slices_that_begin_together_the_longer_is_around() -> None:
    events = [
        {"ph": "X", "name": "inner", "ts": 0, "dur": 5},
        {"ph": "X", "name": "outer", "ts": 0, "dur": 10},
        {"ph": "X", "name": "after", "ts": 10, "dur": 0},
    ]
    inner, outer, after = read_trace(json.dumps(events).encode())
    assert (inner.parent_id, outer.parent_id, after.parent_id) == (outer.span_id, None, None)


def test_gzip_and_a_byte_order_mark_are_taken_off() -> None:
    data = (TRACES / "otlp.json").read_bytes()
    spans = repr(read_trace(data))  # a NaN in it is not equal to itself
    assert repr(read_trace(gzip.compress(data))) == spans
    assert repr(read_trace(b"\xef\xbb\xbf" + data)) == spans


def test_equal_spans_are_read_once() -> None:
    (span,) = read_trace(trace_bytes([Span("1" * 32, "2" * 16, None, "pay", 1.0, 2.0)]))
    line = trace_bytes([span], format="otlp-lines")
    assert read_trace(line + line) == [span]


def test_what_we_write_for_chrome_never_overlaps_on_a_lane() -> None:
    def span(number: int, parent: str | None, start: float, end: float | None) -> Span:
        return Span("1" * 32, f"{number:016x}", parent, f"s{number}", start, end, service="shop")

    root = f"{1:016x}"
    spans = [
        span(1, None, 0, 10), span(2, root, 1, 5), span(3, root, 2, 6), span(4, root, 5, 12),
        span(5, f"{3:016x}", 3, 4), span(6, root, 7, None),
    ]  # fmt: skip
    events: list[Any] = json.loads(trace_bytes(spans, format="chrome"))["traceEvents"]
    lanes: dict[int, list[tuple[float, float]]] = {}
    for event in events:
        if event["ph"] in "XB":
            end = event["ts"] + event["dur"] if event["ph"] == "X" else math.inf
            lanes.setdefault(event["tid"], []).append((event["ts"], end))
    for slices in lanes.values():
        for start, end in slices:
            for other, last in slices:
                assert end <= other or last <= start or (start <= other) == (last <= end)
    assert len(lanes) == 3
    (tid,) = {event["tid"] for event in events if event.get("name") in ("s1", "s2")}
    assert tid == 1
