"""``sagakit trace``: a trace file as a table, as a picture, or in another format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from sagakit.cli.given import json_option
from sagakit.cli.output import print_json, print_table
from sagakit.errors import SagaError

if TYPE_CHECKING:
    from sagakit.trace_view import Trace
    from sagakit.tracefiles import Format

# as FORMATS has them: here in words, so that --help loads no reader
_FORMATS = click.Choice(("otlp", "otlp-lines", "jaeger", "chrome"))
_HEADER = ("span", "service", "start", "took", "self", "status", "note")


@click.command(short_help="Show or convert a trace file of any tool.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", type=_FORMATS, help="FILE's format; left out, seen from its content.")
@click.option("--svg", type=click.Path(path_type=Path), help="Write the timeline here.")
@click.option("--convert", type=_FORMATS, help="Write the trace to --output in this format.")
@click.option("--output", type=click.Path(path_type=Path), help="Where --convert writes.")
@json_option
def trace(
    file: Path,
    format: str | None,
    svg: Path | None,
    convert: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Show the spans of FILE: OTLP JSON, Jaeger JSON or Chrome Trace Event JSON (gzip too).

    With --svg or --convert it is written instead.
    """
    from sagakit.trace_view import Trace

    if (convert is None) != (output is None):
        raise SagaError("give --convert and --output together")
    found = Trace.read(file, format=cast("Format | None", format))
    if svg is not None:
        found.timeline().save(svg)
        click.echo(f"wrote {svg}", err=True)
    if convert is not None and output is not None:
        found.write(output, format=cast("Format", convert))
        click.echo(f"wrote {output}", err=True)
    if as_json:
        print_json(_as_json(found))
    elif svg is None and convert is None:
        print_table(_HEADER, _rows(found))
        click.echo(repr(found).strip("<>"))


def _rows(trace: Trace) -> list[tuple[str, ...]]:
    from sagakit.views.timescale import duration

    rows: list[tuple[str, ...]] = []
    for depth, span in trace.tree:
        took, alone = span.duration, trace.self_time(span)
        rows.append(
            (
                "· " * depth + span.name,
                span.service,
                duration(span.start - trace.start),
                "running" if took is None else duration(took),
                "" if alone is None else duration(alone),
                span.status,
                span.message,
            )
        )
    return rows


def _as_json(trace: Trace) -> dict[str, Any]:
    import msgspec

    spans = [
        {
            **msgspec.to_builtins(span),
            "depth": depth,
            "duration": span.duration,
            "self_time": trace.self_time(span),
        }
        for depth, span in trace.tree
    ]
    return {"name": trace.name, "start": trace.start, "duration": trace.duration, "spans": spans}
