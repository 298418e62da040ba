"""What commands print: rich tables on a terminal, tab-separated text when piped, or JSON; and how
they end.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sagakit.cli.given import reading

if TYPE_CHECKING:
    from sagakit.execution import Execution
    from sagakit.saga import Saga


OUTCOMES = (
    "Exit codes: 0 completed (or waiting), 1 error, 2 compensated, 3 stuck (or abandoned); "
    "Ctrl-C gives 130."
)
EXIT = {"completed": 0, "running": 0, "waiting": 0, "compensated": 2, "stuck": 3, "abandoned": 3}


def print_json(value: Any, indent: int | None = 2) -> None:
    import msgspec

    text = msgspec.json.encode(value)
    if indent is not None:
        text = msgspec.json.format(text, indent=indent)
    click.echo(text)  # bytes: JSON is UTF-8 in every locale


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    if not sys.stdout.isatty():
        for row in (header, *rows):
            click.echo("\t".join(map(_flat, row)))
        return
    if not rows and empty:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(name, overflow="fold") for name in header)  # what is long is never cut
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text(_flat(cell)) for cell in row))
    Console().print(table)


def _flat(cell: str) -> str:
    """One line without tabs and control characters, so that a row stays a row."""
    return "".join(c if c.isprintable() else " " for c in " ".join(cell.split()))


def print_execution(execution: Execution, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(execution))
        return
    from sagakit.scenario.injection import INJECTED
    from sagakit.story import tell

    start = execution.started_at
    rows = [
        (f"{event.at - start:.3f}", *tell(event, path))  # type: ignore[attr-defined]
        for path, event in execution.history()
    ]
    print_table(("seconds", "event", "step", "detail"), rows)
    click.echo(f"{execution.id}: {repr(execution).strip('<>')}")
    if execution.error is not None and execution.status != "completed":
        error = execution.error
        own = error.type in ("TerminalError", "InDoubtError") or INJECTED in error.message
        # an outcome in one line; what looks like a bug of the action's with its place
        text = _flat(f"{error.type}: {error.message}") if own else error.traceback.rstrip()
        click.echo(text, err=True)


def _as_json(execution: Execution) -> dict[str, Any]:
    import msgspec

    from sagakit.events import shown
    from sagakit.journal.codec import encode_event

    redaction = execution.redaction
    results = execution.results
    found = {
        "id": execution.id,
        "saga": execution.saga.name,
        "version": execution.saga.version,
        "status": execution.status,
        "results": results if redaction is None else redaction.clean(results),
        "states": execution.states,
        "stuck": execution.stuck_steps,
        "events": [
            msgspec.Raw(encode_event(shown(event, redaction))) for event in execution.events
        ],
    }
    if execution.children:
        children = execution.children.items()
        found["children"] = {step: _as_json(child) for step, child in children}
    return found


def time_text(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


def print_stored(journal: Path, execution_id: str, saga: Saga | None, as_json: bool) -> NoReturn:
    """Print an execution as the journal has it, and exit as its status says."""
    from sagakit.drivers.local.engine import read_execution
    from sagakit.execution import pinned_to

    with reading(journal) as opened:
        events = opened.read(execution_id)
        same = saga is not None and pinned_to(events).fingerprint == saga.fingerprint
        known = saga if same else None
        execution = read_execution(opened, events, known)
    print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])
