"""A malformed file gets one clear error, which names the file, the place and the cure."""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.errors import TraceFileError
from sagakit.spans import Link, Span, SpanEvent
from sagakit.tracefiles import FORMATS, read_trace, trace_bytes, write_trace

TRACES = Path(__file__).parents[2] / "data" / "traces"
SPAN = Span("1" * 32, "2" * 16, None, "pay", 1.0, 2.0)


def refused(data: bytes, format: Any = None) -> TraceFileError:
    with pytest.raises(TraceFileError) as caught:
        read_trace(data, format=format)
    assert caught.value.place
    assert caught.value.why
    assert caught.value.cure
    return caught.value


def changed(file: str, change: Callable[[Any], None]) -> bytes:
    document = json.loads((TRACES / file).read_bytes())
    change(document)
    return json.dumps(document).encode()


def otlp_span(document: Any, number: int = 0) -> Any:
    return document["resourceSpans"][1]["scopeSpans"][0]["spans"][number]


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("startTimeUnixNano", "soon", ".startTimeUnixNano: expected `int`, got `str`"),
        ("startTimeUnixNano", "-5", ".startTimeUnixNano: -5 is not a time in nanoseconds"),
        ("startTimeUnixNano", "9" * 400, ".startTimeUnixNano: 9"),
        ("startTimeUnixNano", None, ".startTimeUnixNano: expected `int`, got `null`"),
        ("traceId", "abc", ".traceId: 'abc' is not an id of 32 hexadecimal digits"),
        ("traceId", "x" * 32, ".traceId: 'xxxx"),
        ("traceId", "W47/95gDgQPSabYzgT/GDA==", "it looks like base64"),
        ("spanId", "", ".spanId: '' is not an id of 16 hexadecimal digits"),
        ("spanId", "0" * 16, ".spanId: an id of zeros alone is no id"),
        ("parentSpanId", "12", ".parentSpanId: '12' is not"),
        ("endTimeUnixNano", "1", "span 'charge card' ends 1.54471266e+09 s before it starts"),
        ("kind", 9, ".kind: 9 is none of 0, 1, 2, 3, 4, 5"),
        ("status", {"code": "FINE"}, ".status.code: 'FINE' is none of 0, 1, 2"),
        ("name", 5, ".name: expected `str`, got `int`"),
        ("attributes", {"a": 1}, ".attributes: expected `array | null`, got `object`"),
        ("attributes", [{"key": "k", "value": {"intValue": "1.5"}}], ".attributes[0].value.intV"),
        ("attributes", [{"key": "k", "value": {"intValue": 2**63}}], ".attributes[0].value.intV"),
        ("events", [{"timeUnixNano": "x"}], ".events[0].timeUnixNano: expected"),
        ("links", [{"traceId": "1" * 32}], ".links[0].spanId: ''"),
    ],
)  # fmt: skip
def test_otlp_errors_name_the_path(field: str, value: Any, place: str) -> None:
    data = changed("otlp.json", lambda document: otlp_span(document).update({field: value}))
    error = str(refused(data))
    assert error.startswith("trace file '(bytes)': resourceSpans[1].scopeSpans[0].spans[0]")
    assert place in error


def test_a_path_of_a_file_by_lines_begins_with_the_line() -> None:
    lines = (TRACES / "collector.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"1700000000050000000"', b"true")
    error = refused(b"".join(lines))
    assert error.place == "line 3: resourceSpans[0].scopeSpans[0].spans[0].startTimeUnixNano"
    lines[1] = b'{"resourceSpans": nul}\n'
    error = refused(b"".join(lines))
    assert error.place == f"line 2, column 23 (byte {len(lines[0]) + 22})"
    del lines[1]
    lines[1] = lines[1][:40]
    assert refused(b"".join(lines)).place.startswith("line 2, column 41 (byte ")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda span: span.update(startTime="now"), "spans[1].startTime: expected `int`"),
        (lambda span: span.pop("duration"), "spans[1]: object missing required field `duration`"),
        (lambda span: span.update(duration=-1), "spans[1].duration: -1 µs is less than nothing"),
        (lambda span: span.update(traceID="g1"), "spans[1].traceID: '"),
        (lambda span: span.update(spanID="1" * 17), "spans[1].spanID: '11111111111111111' is not"),
        (lambda span: span["references"][0].update(spanID="?"), "spans[1].references[0].spanID"),
        (lambda span: span["tags"].append({"key": "n", "type": "int64", "value": "x"}),
         "spans[1].tags[3].value: 'x' is no int64"),
        (lambda span: span.update(logs=[{"timestamp": -1}]), "spans[1].logs[0].timestamp: -1"),
    ],
)  # fmt: skip
def test_jaeger_errors_name_the_path(change: Callable[[Any], None], place: str) -> None:
    data = changed("jaeger.json", lambda document: change(document["data"][0]["spans"][1]))
    assert f": data[0].{place}" in str(refused(data))


@pytest.mark.parametrize(
    ("event", "place"),
    [
        ({"name": "a"}, ": object missing required field `ph`"),
        ({"ph": "X", "dur": 5}, ".ts: an event of phase 'X' has no time"),
        ({"ph": "X", "ts": "1"}, ".ts: expected `float | null`, got `str`"),
        ({"ph": "X", "ts": 1, "dur": -2}, ".dur: -2 µs is less than nothing"),
        ({"ph": "X", "ts": 1, "pid": [1]}, ".pid: expected `int | str | null`, got `array`"),
        ({"ph": "X", "ts": 1, "args": {"sagakit": {}}},
         ".args.sagakit: object missing required field `trace_id`"),
        ({"ph": "X", "ts": 1, "args": {"sagakit": {"trace_id": "1", "span_id": "2", "start": 1}}},
         ".args.sagakit.trace_id: '1' is not an id"),
    ],
)  # fmt: skip
def test_chrome_errors_name_the_path(event: Any, place: str) -> None:
    data = changed("chrome.json", lambda document: document["traceEvents"].insert(3, event))
    assert f": traceEvents[3]{place}" in str(refused(data))
    assert f": [0]{place}" in str(refused(json.dumps([event]).encode()))


def test_what_is_no_json_has_a_line_a_column_and_a_byte() -> None:
    text = '{\n "resourceSpans": [\n  {"é": nul}\n ]\n}'
    error = refused(text.encode())
    assert error.place == "line 3, column 10 (byte 32)"
    assert error.why == "not JSON: invalid character"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_nan_is_no_json_number(number: str) -> None:
    error = refused(b'[{"ph": "X", "ts": ' + number.encode() + b"}]")
    assert error.why == "not JSON: NaN and Infinity are no JSON numbers"
    assert error.place.startswith("line 1, column 2")


@pytest.mark.parametrize("file", ["otlp.json", "jaeger.json", "chrome.json"])
@given(share=st.floats(0, 0.99))
def test_a_file_that_was_cut_off_says_where_it_ends(file: str, share: float) -> None:
    data = (TRACES / file).read_bytes().rstrip()
    cut = data[: int(len(data) * share)]
    error = refused(cut)
    assert error.place.startswith("line ")
    if cut.strip():
        text = cut.decode("utf-8", "replace").rstrip()
        assert error.place.startswith(f"line {text.count(chr(10)) + 1}")


@pytest.mark.parametrize("data", [b"", b" \n\t ", gzip.compress(b""), b"\xef\xbb\xbf"])
def test_an_empty_file_is_said_to_be_empty(data: bytes) -> None:
    assert refused(data).why == "the file is empty"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is not a JSON object or list"),
        (b"\n\x0a\x04trace", "is not a JSON object or list"),
        ('{"traceEvents": []}'.encode("utf-16"), "is not a JSON object or list"),
        (b"hello", "is not a JSON object or list"),
        (b"\x1f\x8b\x08\x00broken", "cannot be unzipped: "),
        (gzip.compress(b'{"data": []}')[:-9], "cannot be unzipped: "),
        (
            b'{"resourceSpans": [{"resource": {"attributes": [{"key": "\xff"}]}}]}',
            "is not UTF-8 text",
        ),
        (b'{"traceEvents": [{"ph": "M", "name": "\xff"}]}', "is not UTF-8 text"),
        (b'{"a": 1}', "has none of 'resourceSpans' (OTLP), 'data' (Jaeger) and 'traceEvents'"),
        (b'{"data": 5}', "expected `array | null`, got `int`"),
        (b"[" * 100_000, "lists or objects stand too deep inside one another"),
    ],
)
def test_what_is_no_trace_is_refused(data: bytes, why: str) -> None:
    assert refused(data).why.startswith(why)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_of_another_format_than_said_is_refused(format: Any) -> None:
    other = "chrome.json" if format != "chrome" else "otlp.json"
    refused((TRACES / other).read_bytes(), format)


def test_an_unknown_format_is_named_with_those_there_are() -> None:
    error = refused(b"{}", "zipkin")
    assert str(error).endswith("there is no format 'zipkin'; give one of otlp, otlp-lines, jaeger, chrome")  # fmt: skip  # noqa: E501


def test_two_spans_of_one_id_are_refused() -> None:
    def copy_first(document: Any) -> None:
        second = dict(otlp_span(document))
        second["name"] = "another"
        document["resourceSpans"][1]["scopeSpans"][0]["spans"].append(second)

    error = refused(changed("otlp.json", copy_first))
    assert error.place == "resourceSpans[1].scopeSpans[0].spans[2]"
    assert error.why == "spans 'charge card' and 'another' both have the id eee19b7ec3c1b175"


def test_a_span_inside_itself_is_refused() -> None:
    def turn(document: Any) -> None:
        otlp_span(document)["parentSpanId"] = otlp_span(document, 1)["spanId"]
        otlp_span(document, 1)["parentSpanId"] = otlp_span(document)["spanId"]

    error = refused(changed("otlp.json", turn))
    assert error.why == "span 'charge card' is inside itself: its parents lead back to it"


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"trace_id": "1"}, "spans[1].trace_id: '1' is not an id of 32"),
        ({"span_id": SPAN.span_id}, "spans[1]: spans 'pay' and 'other' both have the id"),
        ({"parent_id": "3"}, "spans[1].parent_id: '3' is not"),
        ({"parent_id": "4" * 16}, "span 4444444444444444: span 'other' is inside itself"),
        ({"end": 0.5}, "spans[1]: span 'other' ends 0.5 s before it starts"),
        ({"start": float("nan")}, "spans[1].start: nan is not a time in seconds"),
        ({"end": float("inf")}, "spans[1].end: inf is not a time in seconds"),
        ({"start": -1.0}, "spans[1].start: -1.0 is not a time in seconds"),
        ({"events": (SpanEvent("e", -1.0),)}, "spans[1].events[0].at: -1.0 is not"),
        ({"links": (Link("1" * 32, ""),)}, "spans[1].links[0].span_id: '' is not"),
        ({"name": "\ud800"}, "text: half a surrogate pair"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    fields: Any, place: str, format: Any, tmp_path: Path
) -> None:
    other = msgspec.structs.replace(SPAN, **{"name": "other", "span_id": "4" * 16, **fields})
    target = tmp_path / "trace.json"
    target.write_text("before")
    with pytest.raises(TraceFileError) as caught:
        write_trace([SPAN, other], target, format=format)
    assert f"trace file '{target}': {place}" in str(caught.value)
    assert target.read_text() == "before"


def test_the_file_is_named_and_the_error_can_be_sent_to_another_process(tmp_path: Path) -> None:
    target = tmp_path / "x.json"
    target.write_bytes(b"{")
    with pytest.raises(TraceFileError, match=r"x\.json': line 1, column 2") as caught:
        read_trace(target)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(FileNotFoundError):
        read_trace(tmp_path / "not-there.json")


@given(
    file=st.sampled_from(["otlp.json", "collector.jsonl", "jaeger.json", "chrome.json"]),
    at=st.floats(0, 1),
    bytes_=st.binary(min_size=1, max_size=3),
)
def test_any_other_damage_is_read_or_refused_and_nothing_else(
    file: str, at: float, bytes_: bytes
) -> None:
    data = (TRACES / file).read_bytes()
    place = int(at * len(data))
    try:
        spans = read_trace(data[:place] + bytes_ + data[place + len(bytes_) :])
    except TraceFileError:
        return
    trace_bytes(spans)
