"""Log lines of structlog as OpenTelemetry logs, each beside the span of its attempt."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

from opentelemetry import context, trace
from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber, get_logger
from opentelemetry.context import Context
from opentelemetry.sdk import _logs as sdk
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from sagakit.trace.convert import SCOPE

Processor = Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]

_SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_OTHER_NAMES = {"msg": "info", "warn": "warning", "exception": "error", "fatal": "critical"}

# What `ctx.logger` binds, as our spans call it.
_NAMES = {
    "saga": "saga.name",
    "execution": "saga.execution.id",
    "step": "saga.step",
    "side": "saga.side",
    "attempt": "saga.attempt",
}
_ELSEWHERE = {"event", "level", "timestamp", "trace_id", "span_id", "exc_info"}


def otel_logs(logger_provider: LoggerProvider | None = None) -> Processor:
    """A structlog processor that also emits each line as an OpenTelemetry log record.

    Put it before the renderer; the line itself passes through unchanged::

        structlog.configure(processors=[otel_logs(), structlog.processors.JSONRenderer()])

    A line of ``ctx.logger`` belongs to the span of its attempt, any other one to the current span.

    Parameters:
        logger_provider: where the records go; the global one when left out.
    """

    def emit(_: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        level = _OTHER_NAMES.get(method, method)
        said: dict[str, Any] = {
            _NAMES.get(key, key): value
            if isinstance(value, str | bool | int | float)
            else repr(value)
            for key, value in line.items()
            if key not in _ELSEWHERE
        }
        said.update(_exception(line.get("exc_info")))
        logger = get_logger(SCOPE.name, logger_provider=logger_provider)
        severity = _SEVERITIES.get(level, SeverityNumber.UNSPECIFIED)
        logger.emit(_record(str(line.get("event", "")), level, severity, said, _place(line)))
        return line

    return emit


def _place(line: MutableMapping[str, Any]) -> Context:
    """The context of the span that a line belongs to."""
    around = context.get_current()
    if "trace_id" not in line or "span_id" not in line:
        return around
    flags = trace.get_current_span(around).get_span_context().trace_flags or TraceFlags.SAMPLED
    span = SpanContext(
        int(line["trace_id"], 16), int(line["span_id"], 16), False, TraceFlags(flags)
    )
    return trace.set_span_in_context(NonRecordingSpan(span), around)


def _exception(info: Any) -> dict[str, str]:
    """What a line says of an exception, in the words of the semantic conventions."""
    if isinstance(info, BaseException):
        error: BaseException | None = info
    elif isinstance(info, tuple):
        error = info[1]
    else:
        error = sys.exc_info()[1] if info else None
    if error is None:
        return {}
    return {
        "exception.type": type(error).__qualname__,
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }


def _record(
    body: str, level: str, severity: SeverityNumber, attributes: dict[str, Any], place: Context
) -> Any:
    now = time.time_ns()
    about: dict[str, Any] = {
        "timestamp": now,
        "observed_timestamp": now,
        "severity_text": level.upper(),
        "severity_number": severity,
        "body": body,
        "attributes": attributes,
    }
    if hasattr(sdk, "ReadWriteLogRecord"):
        return LogRecord(context=place, **about)
    # An SDK before 1.39 takes records of its own.
    span = trace.get_current_span(place).get_span_context()
    about |= {"trace_id": span.trace_id, "span_id": span.span_id, "trace_flags": span.trace_flags}
    return sdk.LogRecord(**about)  # type: ignore[attr-defined, unused-ignore]
