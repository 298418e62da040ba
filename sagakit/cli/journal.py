"""``sagakit list``, ``inspect`` and ``recover``: what is in a journal, and going on with it."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagakit.cli.given import journal_argument, json_option, load_saga, must_exist, reading, text
from sagakit.cli.output import (
    EXIT,
    OUTCOMES,
    print_execution,
    print_json,
    print_table,
    time_text,
)

if TYPE_CHECKING:
    from sagakit.journal.base import ExecutionRow


_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command("list")
@journal_argument
@click.option("--status", type=click.Choice(sorted(EXIT)), help="Only this status.")
@click.option("--saga", type=text, help="Only this saga, by name.")
@click.option("--since", type=_TIME, help="Only those that started then or later (UTC).")
@click.option("--until", type=_TIME, help="Only those that started before then (UTC).")
@click.option("--failed-step", type=text, help="Only those that failed at this step.")
@click.option("--outermost", is_flag=True, help="Only those that are no part of another one.")
@click.option("--newest", is_flag=True, help="The latest start first.")
@click.option("--limit", type=click.IntRange(1), help="At most this many.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every column, times in ISO 8601.")
@json_option
def list_(journal: Path, as_csv: bool, as_json: bool, **wanted: Any) -> None:
    """List the executions in JOURNAL, in the order of their start."""
    from sagakit.journal.base import asked

    for name in ("since", "until"):
        if wanted[name] is not None:
            wanted[name] = wanted[name].replace(tzinfo=datetime.UTC)
    with reading(journal) as opened:
        rows = opened.find(asked(**wanted))
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        print_table(
            ("id", "saga", "version", "status", "started", "took", "retries", "failed at"),
            [_listed(row) for row in rows],
            empty="no executions",
        )


def _listed(row: ExecutionRow) -> tuple[str, ...]:
    took = "" if row.duration is None else f"{row.duration:.3f} s"
    failure = "" if row.failed_step is None else f"{row.failed_step} ({row.error})"
    version, retries = row.version or "", str(row.retries or "")
    return row.id, row.saga, version, row.status, time_text(row.started_at), took, retries, failure


def _print_csv(rows: Sequence[ExecutionRow]) -> None:
    import csv

    import msgspec

    from sagakit.journal.base import ExecutionRow

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*ExecutionRow.__struct_fields__, "duration"])
    for row in rows:
        cells = msgspec.structs.asdict(row)
        for name in ("started_at", "changed_at"):
            cells[name] = datetime.datetime.fromtimestamp(cells[name], datetime.UTC).isoformat()
        writer.writerow([*cells.values(), row.duration])


@click.command(short_help="Show one execution and its events.", epilog=OUTCOMES)
@journal_argument
@click.argument("execution_id", type=text, metavar="ID")
@json_option
def inspect(journal: Path, execution_id: str, as_json: bool) -> None:
    """Show one execution of JOURNAL: where each step stands, and every event."""
    from sagakit.drivers.local.engine import read_execution

    with reading(journal) as opened:
        execution = read_execution(opened, opened.read(execution_id), None)
    print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


@click.command(short_help="Continue every execution that has something to do.", epilog=OUTCOMES)
@journal_argument
@click.argument("sagas", nargs=-1, required=True, metavar="SAGA...")
@json_option
def recover(journal: Path, sagas: Sequence[str], as_json: bool) -> None:
    """Continue every execution of the SAGAs in JOURNAL that has something to do, until it ends or
    waits.

    One that waits for an event, or for a time that has not come, is left as it is and counted.
    """
    from sagakit.drivers.local import Engine

    definitions = [load_saga(saga) for saga in sagas]
    must_exist(journal)
    with Engine(journal) as engine:
        executions = engine.recover(*definitions)
        names = {saga.name for saga in definitions}
        rows = [
            *engine.list(status="running", outermost=True),
            *engine.list(status="waiting", outermost=True),
        ]
        left = sum(row.saga not in names for row in rows)
        waiting = sum(row.saga in names and row.status == "waiting" for row in rows)
    counts: dict[str, int] = {}
    for execution in executions:
        counts[execution.status] = counts.get(execution.status, 0) + 1
    if as_json:
        ids = [execution.id for execution in executions]
        print_json(
            {
                "recovered": len(ids),
                "outcomes": counts,
                "ids": ids,
                "waiting": waiting,
                "left": left,
            }
        )
    else:
        if left:
            click.echo(f"{left} unfinished of other sagas were left alone", err=True)
        outcomes = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        click.echo(f"recovered {len(executions)}" + (f": {outcomes}" if outcomes else ""))
        if waiting:
            click.echo(f"{waiting} wait{'s' if waiting == 1 else ''} for an event or a time")
    sys.exit(max((EXIT[status] for status in counts), default=0))
