"""Traces, metrics and logs to a collector, by OpenTelemetry's official OTLP exporters."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Literal, NamedTuple

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from sagakit.trace.observer import instrument, uninstrument

Protocol = Literal["http", "grpc"]


class Export:
    """Providers that send to a collector; ``with`` it, or ``shutdown`` it, so that all is sent."""

    def __init__(self, spans: Any, measures: Any, lines: Any, resource: Resource) -> None:
        self.tracer_provider = TracerProvider(resource=resource)
        self.tracer_provider.add_span_processor(BatchSpanProcessor(spans))
        reader = PeriodicExportingMetricReader(measures)
        self.meter_provider = MeterProvider([reader], resource=resource)
        self.logger_provider = LoggerProvider(resource=resource)
        self.logger_provider.add_log_record_processor(BatchLogRecordProcessor(lines))

    def make_global(self) -> None:
        """Let all of the program use them, for good: OpenTelemetry sets each global once."""
        trace.set_tracer_provider(self.tracer_provider)
        metrics.set_meter_provider(self.meter_provider)
        _logs.set_logger_provider(self.logger_provider)

    def shutdown(self) -> None:
        """Watch executions no more, and send what is left."""
        uninstrument()
        self.tracer_provider.shutdown()
        self.meter_provider.shutdown()
        self.logger_provider.shutdown()

    def __enter__(self) -> Export:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()


def otlp(
    endpoint: str | None = None,
    *,
    protocol: Protocol | None = None,
    service: str | None = None,
) -> Export:
    """Send spans and metrics of all executions (and the log lines of ``otel_logs``, given its
    ``logger_provider``) to an OpenTelemetry collector; it calls ``instrument``.

    The standard ``OTEL_*`` environment variables hold for whatever is left out.

    Parameters:
        endpoint: of the collector, such as ``http://localhost:4318`` (HTTP) or
            ``http://localhost:4317`` (gRPC).
        protocol: by default what OTEL_EXPORTER_OTLP_PROTOCOL says, else HTTP.
        service: the resource's ``service.name``.

    Raises:
        ImportError: the exporters are missing: ``pip install 'sagakit[otlp]'``.
        ValueError: no such protocol.
    """
    said = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    chosen = protocol or ("grpc" if said == "grpc" else "http")
    if chosen not in ("http", "grpc"):
        raise ValueError(f"the OTLP protocol is {chosen!r}; give 'http' or 'grpc'")
    try:
        exporters = _over_grpc(endpoint) if chosen == "grpc" else _over_http(endpoint)
    except ImportError as error:
        raise ImportError(f"{error}; give the exporters: pip install 'sagakit[otlp]'") from error
    resource = Resource.create({SERVICE_NAME: service} if service else {})
    export = Export(*exporters, resource)
    instrument(tracer_provider=export.tracer_provider, meter_provider=export.meter_provider)
    return export


class _Exporters(NamedTuple):
    spans: Any
    measures: Any
    lines: Any


def _over_http(endpoint: str | None) -> _Exporters:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    def at(signal: str) -> str | None:
        return None if endpoint is None else f"{endpoint.rstrip('/')}/v1/{signal}"

    return _Exporters(
        OTLPSpanExporter(at("traces")),
        OTLPMetricExporter(at("metrics")),
        OTLPLogExporter(at("logs")),
    )


def _over_grpc(endpoint: str | None) -> _Exporters:
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return _Exporters(
        OTLPSpanExporter(endpoint), OTLPMetricExporter(endpoint), OTLPLogExporter(endpoint)
    )
