"""Log lines say where they belong, and go out as OpenTelemetry logs beside their spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from sagakit import Engine, Saga, StepContext, run, simulate, step

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk.resources import Resource

from sagakit.trace import capture, otel_logs

# renamed in 1.39; the older one warns since
_Exporter = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged, as the last processor sees it."""
    seen: list[dict[str, Any]] = []

    def keep(_: Any, __: str, line: Any) -> Any:
        seen.append(dict(line))
        return ""

    structlog.configure(processors=[keep], logger_factory=CapturingLogger)
    yield seen
    structlog.reset_defaults()


def charge(ctx: StepContext) -> None:
    ctx.logger.info("charged", amount=42)


def test_a_line_names_its_trace_and_span_where_it_is_traced(lines) -> None:
    with capture() as caught:
        for drive in (simulate, run):
            drive(Saga("shop", step(charge)), id="shop-7")
    attempts = [span for span in caught.spans if span.name == "charge #1"]
    assert len(lines) == 2
    for line, span in zip(lines, attempts, strict=True):
        assert line == {
            "event": "charged",
            "amount": 42,
            "saga": "shop",
            "execution": "shop-7",
            "step": "charge",
            "side": "action",
            "attempt": 1,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
        }


def test_a_line_names_no_trace_where_nobody_traces(lines) -> None:
    simulate(Saga("shop", step(charge)))
    assert "trace_id" not in lines[0]


@pytest.fixture
def records(lines) -> Any:
    exporter = _Exporter()
    provider = LoggerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_log_record_processor(log_export.SimpleLogRecordProcessor(exporter))
    keep = structlog.get_config()["processors"][0]
    structlog.configure(processors=[otel_logs(provider), keep])
    return lambda: [entry.log_record for entry in exporter.get_finished_logs()]


def test_a_line_goes_out_as_a_log_record_of_its_attempts_span(records, lines) -> None:
    with Engine() as engine, capture() as caught:
        engine.run(Saga("shop", step(charge)), id="shop-7")
    (record,) = records()
    (attempt,) = (span for span in caught.spans if span.name == "charge #1")
    assert (f"{record.trace_id:032x}", f"{record.span_id:016x}") == (
        attempt.trace_id,
        attempt.span_id,
    )
    assert (record.body, record.severity_text, record.severity_number.value) == (
        "charged",
        "INFO",
        9,
    )
    assert dict(record.attributes) == {
        "amount": 42,
        "saga.name": "shop",
        "saga.execution.id": "shop-7",
        "saga.step": "charge",
        "saga.side": "action",
        "saga.attempt": 1,
    }
    assert lines[0]["event"] == "charged", "the line itself passes through"


def test_a_record_tells_the_exception(records) -> None:
    def pay(ctx: StepContext) -> None:
        try:
            raise ValueError("no money")
        except ValueError:
            ctx.logger.exception("refused", customer=["ALFKI"])

    simulate(Saga("shop", step(pay)))
    (record,) = records()
    said = record.attributes
    assert (record.severity_text, said["exception.type"]) == ("ERROR", "ValueError")
    assert said["exception.message"] == "no money"
    assert "raise ValueError" in said["exception.stacktrace"]
    assert said["customer"] == "['ALFKI']"


def test_a_line_of_others_belongs_to_the_span_that_is_current(records) -> None:
    def pay() -> None:
        structlog.get_logger().warning("slow")

    with capture() as caught:
        simulate(Saga("shop", step(pay)))
    (record,) = records()
    (attempt,) = (span for span in caught.spans if span.name == "pay #1")
    assert f"{record.span_id:016x}" == attempt.span_id
    assert record.severity_text == "WARNING"
