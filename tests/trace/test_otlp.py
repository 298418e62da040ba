"""OTLP by the official exporters, received and decoded by the official services and messages."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from sagakit import Saga, StepContext, TerminalError, run, step

pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

from sagakit import telemetry
from sagakit.trace import capture, otel_logs, otlp

ROOT = Path(__file__).parents[2]

Received = list[tuple[str, Any]]  # the signal, and the decoded request

_SIGNALS = {
    "/v1/traces": ("traces", traces.ExportTraceServiceRequest),
    "/v1/metrics": ("metrics", metrics.ExportMetricsServiceRequest),
    "/v1/logs": ("logs", logs.ExportLogsServiceRequest),
}


class _Collector(BaseHTTPRequestHandler):
    received: Received

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        signal, kind = _SIGNALS[self.path]
        assert self.headers["content-type"] == "application/x-protobuf"
        self.received.append((signal, kind.FromString(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def over_http() -> Iterator[tuple[str, Received]]:
    received: Received = []
    handler = type("Collector", (_Collector,), {"received": received})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def over_grpc() -> Iterator[tuple[str, Received]]:
    grpc = pytest.importorskip("grpc")
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

    received: Received = []

    class Traces(traces_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(("traces", request))
            return traces.ExportTraceServiceResponse()

    class Metrics(metrics_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(("metrics", request))
            return metrics.ExportMetricsServiceResponse()

    class Logs(logs_grpc.LogsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(("logs", request))
            return logs.ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    traces_grpc.add_TraceServiceServicer_to_server(Traces(), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)
    logs_grpc.add_LogsServiceServicer_to_server(Logs(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}", received
    server.stop(None).wait()


@pytest.fixture(autouse=True)
def _no_logs_left() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def charge(ctx: StepContext) -> None:
    ctx.logger.info("charged", amount=42)


def refund() -> None:
    pass


def refuse() -> None:
    raise TerminalError("sold out")


SHOP = Saga("shop", step(charge, refund), step(refuse))


def said(attributes: Any) -> dict[str, Any]:
    return {
        entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in attributes
    }


def check(received: Received, caught: Any) -> None:
    """The collector has what the capture has; and measures, and a line."""
    by_id = {span.span_id: span for span in caught.spans}
    spans = [
        (resource.resource, scope.scope, span)
        for signal, request in received
        if signal == "traces"
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert {span.span_id.hex() for _, _, span in spans} == set(by_id)
    for resource, scope, span in spans:
        mine = by_id[span.span_id.hex()]
        assert said(resource.attributes)["service.name"] == "shop"
        assert scope.name == "sagakit"
        assert (span.trace_id.hex(), span.name) == (mine.trace_id, mine.name)
        assert span.parent_span_id.hex() == (mine.parent_id or "")
        assert span.start_time_unix_nano == round(mine.start * 1e9)
        assert span.end_time_unix_nano == round(mine.end * 1e9)
        assert (span.status.code == 2, span.status.message) == (
            mine.status == "error",
            mine.message,
        )
        assert said(span.attributes) == mine.attributes
        assert [event.name for event in span.events] == [event.name for event in mine.events]
        assert [link.span_id.hex() for link in span.links] == [link.span_id for link in mine.links]
    measured = {
        metric.name
        for signal, request in received
        if signal == "metrics"
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
    }
    assert {"saga.execution.ended", "saga.step.duration"} <= measured
    (record,) = (
        record
        for signal, request in received
        if signal == "logs"
        for record in request.resource_logs[0].scope_logs[0].log_records
    )
    attempt = next(span for span in caught.spans if span.name == "charge #1")
    assert record.body.string_value == "charged"
    assert (record.trace_id.hex(), record.span_id.hex()) == (attempt.trace_id, attempt.span_id)


def send(**options: Any) -> Any:
    with otlp(service="shop", **options) as export, capture() as caught:
        structlog.configure(
            processors=[otel_logs(export.logger_provider), lambda *_: ""],
            logger_factory=CapturingLogger,
        )
        run(SHOP)
    assert telemetry.observer is None
    return caught


def test_a_collector_gets_spans_measures_and_log_lines_over_http(over_http) -> None:
    endpoint, received = over_http
    check(received, send(endpoint=endpoint))


def test_a_collector_gets_spans_measures_and_log_lines_over_grpc(over_grpc) -> None:
    endpoint, received = over_grpc
    check(received, send(endpoint=endpoint, protocol="grpc"))


def test_the_standard_environment_variables_hold(over_http, over_grpc, monkeypatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", over_http[0])
    check(over_http[1], send())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", over_grpc[0])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    check(over_grpc[1], send())


def test_the_command_line_sends_a_run_and_what_its_actions_trace(over_http, tmp_path) -> None:
    endpoint, received = over_http
    (tmp_path / "shop.py").write_text(
        "from opentelemetry import trace\n"
        "from sagakit import Saga, step\n"
        "def charge():\n"
        "    with trace.get_tracer('shop').start_as_current_span('bank'):\n"
        "        pass\n"
        "shop = Saga('shop', step(charge))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    program = "from sagakit.cli import main; main()"
    command = [sys.executable, "-c", program, "run", str(tmp_path / "shop.py:shop"), "--otlp"]
    for more in (["--real"], ["--journal", str(tmp_path / "sagas.db")]):
        received.clear()
        done = subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        resources = [
            sent for signal, it in received if signal == "traces" for sent in it.resource_spans
        ]
        assert {said(sent.resource.attributes)["service.name"] for sent in resources} == {"shop"}
        spans = [span for sent in resources for scope in sent.scope_spans for span in scope.spans]
        names = {span.span_id: span.name for span in spans}
        parents = {span.name: names.get(span.parent_span_id) for span in spans}
        assert parents == {
            "saga shop": None, "charge": "saga shop", "charge #1": "charge", "bank": "charge #1",
        }  # fmt: skip
        assert "metrics" in {signal for signal, _ in received}
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "--otlp is for real time; give --real or --journal as well" in refused.stderr


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="'carrier pigeon'; give 'http' or 'grpc'"):
        otlp(protocol="carrier pigeon")  # type: ignore[arg-type]
    assert telemetry.observer is None
