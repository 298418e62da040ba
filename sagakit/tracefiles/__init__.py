"""Traces in files, as other tools write and read them: OTLP JSON, Jaeger JSON, Chrome's events."""

from sagakit.tracefiles.files import FORMATS, Format, read_trace, trace_bytes, write_trace

__all__ = ["FORMATS", "Format", "read_trace", "trace_bytes", "write_trace"]
