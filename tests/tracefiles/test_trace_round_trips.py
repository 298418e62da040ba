"""What is written is read back equal, within the resolution that each format has."""

from __future__ import annotations

import base64
import gzip
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from tracefiles.spans_to_write import same, trees

from sagakit.spans import Link, Span, SpanEvent
from sagakit.tracefiles import FORMATS, read_trace, trace_bytes, write_trace

PER_SECOND = {"otlp": 10**9, "otlp-lines": 10**9, "jaeger": 10**6, "chrome": 10**9}
SPAN = Span("1" * 32, "2" * 16, None, "pay", 0.0, 0.0, service="shop")
LINKED = msgspec.structs.replace(SPAN, links=(Link(SPAN.trace_id, "7" * 16, {}),))


@pytest.mark.parametrize("format", ["otlp", "otlp-lines", "chrome"])
@given(spans=trees(10**9))
@example(spans=[SPAN])
@example(spans=[LINKED])
def test_spans_come_back_equal(format: Any, spans: list[Span]) -> None:
    found = read_trace(trace_bytes(spans, format=format), format=format)
    assert same(found, spans)


@given(spans=trees(10**6))
@example(spans=[LINKED])
def test_spans_of_whole_microseconds_come_back_equal_from_jaeger(spans: list[Span]) -> None:
    assert same(read_trace(trace_bytes(spans, format="jaeger"), format="jaeger"), spans)


@given(spans=trees(10**6))
def test_no_order_of_formats_changes_them(spans: list[Span]) -> None:
    found = spans
    for format in (*FORMATS, *reversed(FORMATS)):
        found = read_trace(trace_bytes(found, format=format), format=format)
    assert same(found, spans)


@pytest.mark.parametrize("format", FORMATS)
def test_the_format_is_seen_from_the_content(format: Any) -> None:
    assert read_trace(trace_bytes([SPAN, _other()], format=format)) == [SPAN, _other()]


def _other() -> Span:
    return msgspec.structs.replace(SPAN, trace_id="3" * 32)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_spans_give_the_same_bytes(format: Any) -> None:
    assert trace_bytes([SPAN, _other()], format=format) == trace_bytes(
        [SPAN, _other()], format=format
    )


def test_a_chrome_file_keeps_floats_to_the_last_bit() -> None:
    span = msgspec.structs.replace(SPAN, start=1 / 3, end=2 / 3)
    assert read_trace(trace_bytes([span], format="chrome")) == [span]


def test_what_no_number_says_survives_otlp_and_is_text_elsewhere() -> None:
    odd = {"nan": math.nan, "inf": -math.inf, "list": (1.5, math.inf), "big": 2**70}
    span = msgspec.structs.replace(SPAN, attributes=odd)
    (otlp,) = read_trace(trace_bytes([span]))
    assert repr(otlp.attributes) == repr({**odd, "big": str(2**70)})
    (chrome,) = read_trace(trace_bytes([span], format="chrome"))
    assert chrome.attributes == {
        "nan": "NaN", "inf": "-Infinity", "list": ("1.5", "Infinity"), "big": str(2**70),
    }  # fmt: skip
    (jaeger,) = read_trace(trace_bytes([span], format="jaeger"))
    assert repr(jaeger.attributes["nan"]) == "nan"
    assert jaeger.attributes["list"] == ("1.5", "Infinity")


def test_an_event_that_looks_like_a_link_stays_one() -> None:
    event = SpanEvent("link", 0.0, {"trace_id": "1" * 32, "span_id": "5" * 16})
    span = msgspec.structs.replace(SPAN, events=(event,))
    assert read_trace(trace_bytes([span], format="jaeger")) == [span]


def test_a_file_is_written_whole_zipped_if_its_name_says_so(tmp_path: Any) -> None:
    target = tmp_path / "trace.json.gz"
    assert write_trace([SPAN], target, format="jaeger") == target
    assert gzip.decompress(target.read_bytes()).startswith(b'{"data":[')
    assert read_trace(target) == [SPAN]
    first = target.read_bytes()
    write_trace([SPAN], str(target), format="jaeger")
    assert target.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["trace.json.gz"]


# -- against the official protobuf package ----------------------------------------------------


def _rebased(value: Any, turn: Any) -> Any:
    """OTLP writes ids in hexadecimal where protobuf's own JSON mapping has base64."""
    if isinstance(value, list):
        return [_rebased(item, turn) for item in value]
    if not isinstance(value, dict):
        return value
    ids = ("traceId", "spanId", "parentSpanId")
    return {key: turn(item) if key in ids else _rebased(item, turn) for key, item in value.items()}


def _to_base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def _to_hex(text: str) -> str:
    return base64.b64decode(text).hex()


@given(spans=trees(10**9))
def test_the_official_protobuf_package_reads_what_we_write(spans: list[Span]) -> None:
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    from google.protobuf import json_format

    document = _rebased(json.loads(trace_bytes(spans)), _to_base64)
    request = json_format.ParseDict(document, service.ExportTraceServiceRequest())
    found = [
        span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans
    ]
    ids = {(span.trace_id, span.span_id) for span in spans}
    assert {(span.trace_id.hex(), span.span_id.hex()) for span in found} == ids
    assert sum(len(span.events) for span in found) == sum(len(span.events) for span in spans)


@given(spans=trees(10**9))
def test_we_read_what_the_official_protobuf_package_writes(spans: list[Span]) -> None:
    assume(spans and all(span.start > 0 for span in spans))  # protobuf leaves a 0 out
    trace = pytest.importorskip("opentelemetry.proto.trace.v1.trace_pb2")
    from google.protobuf import json_format

    document = _rebased(json.loads(trace_bytes(spans)), _to_base64)
    data = json_format.ParseDict(document, trace.TracesData())
    for enums in (True, False):
        text = json_format.MessageToDict(data, use_integers_for_enums=enums)
        found = read_trace(json.dumps(_rebased(text, _to_hex)).encode(), format="otlp")
        assert same(found, spans)
