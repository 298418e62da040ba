"""The command line: one program, ``sagakit``, with a command for each thing one does to sagas.

Exit codes: 0 completed, 1 error (a wrong call included), 2 compensated, 3 stuck. Rich tables on a
terminal, tab-separated text when piped, JSON with ``--json``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import io
import os
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sagakit.audit_cli import audit_commands
from sagakit.check_cli import check_command
from sagakit.doctor_cli import doctor_command
from sagakit.errors import SagaError
from sagakit.explore_cli import explore_command
from sagakit.scenario_cli import scenario_of, scenarios_command
from sagakit.trace_cli import trace_command

if TYPE_CHECKING:
    from sagakit.execution import Execution
    from sagakit.journal.base import ExecutionRow, Post
    from sagakit.saga import Saga
    from sagakit.trace import Export

EXIT = {"completed": 0, "running": 0, "waiting": 0, "compensated": 2, "stuck": 3, "abandoned": 3}


def text(value: str) -> str:
    """Words of a person. Python hands bytes that the locale cannot read on as surrogates; the
    terminal that typed them most likely speaks UTF-8. A ValueError becomes a usage error."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8")


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_journal = click.argument("journal", type=click.Path(path_type=Path))
_TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
_wait = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=2.0,
    metavar="SECONDS",
    help="If an engine has the journal open: how long to wait for what it says (default 2).",
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 completed (or waiting), 1 error, 2 compensated, 3 stuck.",
)
@click.version_option(package_name="sagakit")
def cli() -> None:
    """Understand, run and break sagas: distributed transactions made of local steps."""


# -- run and show ---------------------------------------------------------------------------


@cli.command(short_help="Run a saga: FILE.yaml or FILE.py:NAME.")
@click.argument("saga")
@click.option(
    "--input", "input_text", type=text, metavar="JSON", help="The input: JSON text, or @FILE."
)
@click.option(
    "--scenario",
    "named",
    type=text,
    metavar="FILE|NAME",
    help="Faults as data: FILE.yaml, or one that 'sagakit scenarios' lists.",
)
@click.option(
    "--fail",
    "fails",
    type=text,
    multiple=True,
    metavar="STEP[@ATTEMPT]",
    help="Fail a step for good (STEP) or at one attempt (STEP@1); OUTER/INNER in the saga that "
    "does a step; repeatable.",
)
@click.option(
    "--signal",
    "signals",
    type=text,
    multiple=True,
    metavar="[STEP/]EVENT[=JSON][@SECONDS]",
    help="An event arrives from outside (for the saga that does STEP), so long after the start; "
    "repeatable.",
)
@click.option(
    "--cancel", type=click.FloatRange(min=0), metavar="SECONDS", help="Call it off after so long."
)
@click.option("--seed", type=int, default=0, help="Seed of the simulation (default 0).")
@click.option("--real", is_flag=True, help="Run in real time instead of virtual time.")
@click.option(
    "--journal", type=click.Path(path_type=Path), help="Run durably on this file (implies --real)."
)
@click.option(
    "--id",
    "execution_id",
    type=text,
    help="The execution's id; with --journal, run it only once.",
)
@click.option(
    "--otlp",
    is_flag=True,
    help="Send its trace and measures to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names "
    "(with --real or --journal).",
)
@_json
def run(
    saga: str,
    input_text: str | None,
    named: str | None,
    fails: Sequence[str],
    signals: Sequence[str],
    cancel: float | None,
    seed: int,
    real: bool,
    journal: Path | None,
    execution_id: str | None,
    otlp: bool,
    as_json: bool,
) -> None:
    """Run SAGA, a YAML file or MODULE_OR_FILE.py:NAME.

    The actions of a YAML file are simulated. Those of a Python file are really called, in virtual
    time too: there only the clock is not real.
    """
    if seed and (real or journal is not None):
        raise SagaError("--seed is for virtual time; leave it out with --real and --journal")
    if execution_id == "":
        raise SagaError("--id is empty; give the execution an id, or leave --id out")
    if otlp and not (real or journal is not None):
        raise SagaError("--otlp is for real time; give --real or --journal as well")
    definition = load_saga(saga)
    if otlp:
        click.get_current_context().with_resource(_sent(definition.name))
    value = _read_input(input_text)
    scenario = scenario_of(named, fails, signals, cancel, definition)
    if journal is not None:
        from sagakit.drivers.local import Engine

        began = time.time()
        execution_id = execution_id or uuid.uuid4().hex
        click.echo(f"execution {execution_id} on {journal}", err=True)
        with Engine(journal) as engine:
            execution = engine.run(
                definition, value, id=execution_id, scenario=scenario, until_rest=True
            )
        if execution.started_at < began:
            click.echo("this id was started before; here is that execution", err=True)
    elif real:
        from sagakit.drivers.local import run as run_now

        execution = run_now(definition, value, id=execution_id, scenario=scenario)
    else:
        from sagakit.drivers.simulated import simulate

        execution = simulate(definition, value, id=execution_id, scenario=scenario, seed=seed)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


def _sent(saga: str) -> Export:
    """Everything that is traced from now on goes to a collector; closing it sends what is left."""
    try:
        from sagakit.trace import otlp

        export = otlp(service=os.environ.get("OTEL_SERVICE_NAME", saga))
    except ImportError as error:
        raise SagaError(
            f"--otlp needs OpenTelemetry ({error}): pip install 'sagakit[otlp]'"
        ) from error
    export.make_global()
    return export


@cli.command()
@click.argument("saga")
@click.option("--svg", "svg", type=click.Path(path_type=Path), help="Write the picture here.")
@click.option("--dot", is_flag=True, help="Print Graphviz DOT.")
@click.option("--yaml", "yaml", is_flag=True, help="Print the YAML form.")
@_json
def show(saga: str, svg: Path | None, dot: bool, yaml: bool, as_json: bool) -> None:
    """Show SAGA's steps, or draw it."""
    definition = load_saga(saga)
    if svg is not None:
        definition.flow().save(svg)
        click.echo(f"wrote {svg}", err=True)
    elif dot:
        click.echo(definition.to_graphviz().source)
    elif yaml:
        click.echo(definition.to_yaml(), nl=False)
    elif as_json:
        _print_json(definition.to_spec())
    else:
        note = f", {definition.flow_note}" if definition.flow_note else ""
        click.echo(f"{repr(definition).strip('<>')}{note}")
        rows = [
            (
                item.name,
                kind,
                ", ".join(item.after or ()),
                node.compensation or "",
                item.service or "",
                _what_it_does(definition, item.name, node.notes),
            )
            for item, kind, node in zip(
                definition.steps, definition.plan.kinds, definition.flow_nodes(), strict=True
            )
        ]
        _table(("step", "kind", "after", "compensation", "service", "does"), rows)


def _what_it_does(saga: Saga, step: str, notes: Sequence[str]) -> str:
    """What a step does besides calling its action once."""
    nest = saga.plan.nests.get(saga.plan.index[step])
    if nest is None:
        return ", ".join(notes)
    inside = "for each item" if nest.each else f"the saga {saga.child(step).name}"
    return ", ".join((inside, *notes))


# -- the journal ----------------------------------------------------------------------------


@cli.command("list")
@_journal
@click.option("--status", type=click.Choice(sorted(EXIT)), help="Only this status.")
@click.option("--saga", type=text, help="Only this saga, by name.")
@click.option("--since", type=_TIME, help="Only those that started then or later (UTC).")
@click.option("--until", type=_TIME, help="Only those that started before then (UTC).")
@click.option("--failed-step", type=text, help="Only those that failed at this step.")
@click.option("--outermost", is_flag=True, help="Only those that are no part of another one.")
@click.option("--newest", is_flag=True, help="The latest start first.")
@click.option("--limit", type=click.IntRange(1), help="At most this many.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: every column, times in ISO 8601.")
@_json
def list_(journal: Path, as_csv: bool, as_json: bool, **wanted: Any) -> None:
    """List the executions in JOURNAL, in the order of their start."""
    from sagakit.journal.base import asked

    for name in ("since", "until"):
        if wanted[name] is not None:
            wanted[name] = wanted[name].replace(tzinfo=datetime.UTC)
    with _reading(journal) as opened:
        rows = opened.find(asked(**wanted))
    if as_json:
        _print_json(rows)
    elif as_csv:
        _print_csv(rows)
    else:
        _table(
            ("id", "saga", "version", "status", "started", "took", "retries", "failed at"),
            [_listed(row) for row in rows],
            empty="no executions",
        )


def _listed(row: ExecutionRow) -> tuple[str, ...]:
    took = "" if row.duration is None else f"{row.duration:.3f} s"
    failure = "" if row.failed_step is None else f"{row.failed_step} ({row.error})"
    version, retries = row.version or "", str(row.retries or "")
    return row.id, row.saga, version, row.status, _time(row.started_at), took, retries, failure


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


@cli.command(short_help="Show one execution and its events.")
@_journal
@click.argument("execution_id", type=text, metavar="ID")
@_json
def inspect(journal: Path, execution_id: str, as_json: bool) -> None:
    """Show one execution of JOURNAL: where each step stands, and every event."""
    from sagakit.drivers.local.engine import read_execution

    with _reading(journal) as opened:
        execution = read_execution(opened, opened.read(execution_id), None)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


@cli.command(short_help="Continue every execution that has something to do.")
@_journal
@click.argument("sagas", nargs=-1, required=True, metavar="SAGA...")
@_json
def recover(journal: Path, sagas: Sequence[str], as_json: bool) -> None:
    """Continue every execution of the SAGAs in JOURNAL that has something to do, until it ends or
    waits.

    One that waits for an event, or for a time that has not come, is left as it is and counted.
    """
    from sagakit.drivers.local import Engine

    definitions = [load_saga(saga) for saga in sagas]
    _must_exist(journal)
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
        _print_json(
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


@cli.command(short_help="Decide about a stuck execution.")
@_journal
@click.argument("execution_id", type=text, metavar="ID")
@click.argument("resolution", type=click.Choice(["retry", "skip", "abandon"]))
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@click.option("--step", type=text, help="Only this stuck step.")
@click.option("--saga", help="The definition, needed to retry or skip.")
@_json
def resolve(
    journal: Path,
    execution_id: str,
    resolution: Any,
    by: str,
    why: str,
    step: str | None,
    saga: str | None,
    as_json: bool,
) -> None:
    """Decide about the stuck execution ID: retry, skip (settled by hand) or abandon."""
    from sagakit.drivers.local import Engine

    if saga is None and resolution != "abandon":
        raise SagaError(f"'{resolution}' needs the saga's definition; give it with --saga")
    definitions = [] if saga is None else [load_saga(saga)]
    _must_exist(journal)
    with Engine(journal, sagas=definitions) as engine:
        execution = engine.resolve(execution_id, resolution, by=by, why=why, step=step)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


@cli.command(short_help="Deliver an event to an execution that waits for it.")
@_journal
@click.argument("event", type=text)
@click.option("--saga", required=True, help="The definition, to go on with.")
@click.option("--to", type=text, metavar="ID", help="The execution, by its id (or --correlation).")
@click.option("--correlation", type=text, help="The execution, by what its wait correlates.")
@click.option(
    "--payload", type=text, metavar="JSON", help="What the event brings: JSON text, or @FILE."
)
@click.option(
    "--keep",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="With --correlation: if nobody waits for it yet, keep it so long for the first who does.",
)
@click.option("--id", "signal_id", type=text, help="The signal's id: delivered once, sent twice.")
@click.option("--by", type=text, default="", help="Who sends it; kept in the journal.")
@_wait
@_json
def signal(
    journal: Path,
    event: str,
    saga: str,
    to: str | None,
    correlation: str | None,
    payload: str | None,
    keep: float | None,
    signal_id: str | None,
    by: str,
    wait: float,
    as_json: bool,
) -> None:
    """Deliver EVENT to an execution in JOURNAL, and let it go on until it ends or waits again.

    It continues every execution of the saga that has something to do, as 'recover' does. If an
    engine has the journal open, the event is posted to it instead: 'delivered' says that the
    engine has recorded it, 'posted' that it has not answered yet.
    """
    from sagakit.drivers.local import Engine
    from sagakit.errors import JournalBusyError, SignalError
    from sagakit.journal.base import Post

    definition = load_saga(saga)
    value = _read_input(payload, "--payload")
    if (to is None) == (correlation is None):
        raise SignalError(f"the signal '{event}': give either --to or --correlation")
    if keep is not None and correlation is None:
        raise SignalError(f"the signal '{event}': --keep is for one with --correlation")
    _must_exist(journal)
    try:
        engine = Engine(journal)
    except JournalBusyError:
        id = signal_id or uuid.uuid4().hex
        post = Post(id, event, value, to, correlation, keep, time.time(), by)
        _post(journal, post, wait, definition, as_json)
    with engine:
        engine.recover(definition)
        send = functools.partial(engine.signal, event, value, to=to, correlation=correlation)
        reached = send(id=signal_id, keep=keep, by=by)
    if reached is None:
        _kept(event, as_json)
    _print_stored(journal, reached.id, definition, as_json)


@cli.command(short_help="Call an execution off.")
@_journal
@click.argument("execution_id", type=text, metavar="ID")
@click.option("--saga", required=True, help="The definition, to compensate with.")
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@_wait
@_json
def cancel(
    journal: Path, execution_id: str, saga: str, by: str, why: str, wait: float, as_json: bool
) -> None:
    """Call the execution ID off: what it has done is compensated. After its pivot it is refused.

    If an engine has the journal open, it is asked to: 'delivered' says that the engine has
    recorded it, 'posted' that it has not answered yet.
    """
    from sagakit.drivers.local import Engine
    from sagakit.errors import CancellationError, JournalBusyError
    from sagakit.journal.base import Post

    definition = load_saga(saga)
    _must_exist(journal)
    try:
        engine = Engine(journal, sagas=[definition])
    except JournalBusyError:
        if not by.strip() or not why.strip():
            raise CancellationError("say who decides (--by) and why (--why)") from None
        post = Post(uuid.uuid4().hex, to=execution_id, at=time.time(), by=by, why=why)
        _post(journal, post, wait, definition, as_json)
    with engine:
        execution = engine.cancel(execution_id, by=by, why=why)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


def _post(journal: Path, post: Post, wait: float, saga: Saga, as_json: bool) -> NoReturn:
    """Ask something of the engine that has the journal open, and say what is known of it."""
    from sagakit.journal import mail
    from sagakit.journal.sqlite import SqliteJournal

    with _reading(journal):
        pass  # a journal, and of a format that this sagakit knows
    with SqliteJournal.explained(journal):
        mail.post(journal, post)
    end = time.monotonic() + wait
    while True:
        with SqliteJournal.explained(journal):
            outcome, execution_id = mail.outcome(journal, post.id)
        if outcome is not None or time.monotonic() >= end:
            break
        time.sleep(0.05)
    if outcome is None:
        note = f"no answer within {wait:g} s; it stays posted for the engine that has the journal"
        if as_json:
            _print_json({"outcome": "posted", "request": post.id})
        else:
            click.echo(f"posted ({note})")
        sys.exit(0)
    if outcome == mail.KEPT:
        _kept(post.event or "", as_json)
    if execution_id is None:
        raise SagaError(outcome)
    click.echo(f"{outcome} by the engine that has the journal open", err=True)
    _print_stored(journal, execution_id, saga, as_json)


def _kept(event: str, as_json: bool) -> NoReturn:
    if as_json:
        _print_json({"outcome": "kept"})
    else:
        click.echo(f"kept: nobody waits for '{event}' yet")
    sys.exit(0)


def _print_stored(journal: Path, execution_id: str, saga: Saga, as_json: bool) -> NoReturn:
    """Print an execution as the journal has it, and exit as its status says."""
    from sagakit.drivers.local.engine import read_execution
    from sagakit.execution import pinned_to

    with _reading(journal) as opened:
        events = opened.read(execution_id)
        known = saga if pinned_to(events).fingerprint == saga.fingerprint else None
        execution = read_execution(opened, events, known)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


@cli.command(short_help="Move an execution to another version of its saga.")
@_journal
@click.argument("execution_id", type=text, metavar="ID")
@click.argument("saga")
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@_json
def migrate(journal: Path, execution_id: str, saga: str, by: str, why: str, as_json: bool) -> None:
    """Move the execution ID, which has not ended, to the definition SAGA.

    Nothing is run: 'recover' or 'resolve' goes on under the new definition.
    """
    from sagakit.drivers.local import Engine

    definition = load_saga(saga)
    _must_exist(journal)
    with Engine(journal) as engine:
        execution = engine.migrate(execution_id, to=definition, by=by, why=why)
    _print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


# -- the world around -----------------------------------------------------------------------


@cli.command(short_help="Replay 830 orders, check the books.")
@click.option("--journal", type=click.Path(path_type=Path), help="Continue on this file.")
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, help="Orders at once (default 1)."
)
@click.option("--limit", type=click.IntRange(0), help="Only the first so many orders.")
@_json
def demo(journal: Path | None, concurrency: int, limit: int | None, as_json: bool) -> None:
    """Replay the 830 orders of Northwind through the checkout saga, and check the books.

    Run again on the same journal after any kill: it continues where it stopped.
    """
    replay_module = _optional("sagakit.services.replay", "services")
    report = replay_module.replay(journal, concurrency=concurrency, limit=limit)
    if as_json:
        names = ("completed", "compensated", "stuck", "revenue", "units_left", "balanced")
        _print_json({name: getattr(report, name) for name in names}, indent=None)
    else:
        click.echo(f"orders completed    {report.completed:>12,}")
        click.echo(f"orders compensated  {report.compensated:>12,}")
        click.echo(f"orders stuck        {report.stuck:>12,}")
        click.echo(f"revenue kept        {report.revenue:>12,.2f}")
        click.echo(f"units left          {report.units_left:>12,}")
        click.echo("money and stock balance" if report.balanced else "THE BOOKS DO NOT BALANCE:")
    for problem in report.problems:
        click.echo(f"  - {problem}", err=True)
    sys.exit(1 if not report.balanced else 3 if report.stuck else 0)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(jupyter_options: Sequence[str]) -> None:
    """Open JupyterLab on the first lesson. Further options go to 'jupyter lab'."""
    app = _optional("jupyterlab.labapp", "lab")
    root = Path(__file__).parent.parent
    lesson = Path("notebooks", "01-first-saga.ipynb")
    where = []
    if (root / lesson).exists():  # a checkout; an installed sagakit opens where one stands
        where.append(f"--ServerApp.root_dir={root}")
        where.append(f"--LabApp.default_url=/lab/tree/{lesson.as_posix()}")
    quiet = (  # ask no server elsewhere for news or updates, and the reader nothing about them
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    app.main(["--ServerApp.ip=127.0.0.1", *quiet, *where, *jupyter_options])


# -- what commands are given ----------------------------------------------------------------


def load_saga(reference: str) -> Saga:
    """A saga from a YAML file or from MODULE_OR_FILE.py:NAME.

    Raises:
        SagaError: there is no such file, module or name, or it is not a saga.
    """
    from sagakit.builder import SagaBuilder
    from sagakit.saga import Saga

    if reference.endswith((".yaml", ".yml")):
        if not Path(reference).is_file():
            raise SagaError(f"there is no file '{reference}'")
        return Saga.from_yaml(reference)
    if reference and Path(reference).is_dir():
        raise SagaError(f"'{reference}' is a folder; give FILE.yaml or FILE.py:NAME")
    place, colon, name = reference.rpartition(":")
    if not colon:
        place, name = reference, ""
    module = _import(place, reference)
    sagas = {key: v for key, v in vars(module).items() if isinstance(v, Saga | SagaBuilder)}
    if not name and len(sagas) == 1:
        name = next(iter(sagas))
    if name not in sagas:
        known = ", ".join(f"'{place}:{key}'" for key in sagas) or "none"
        choice = f"holds {len(sagas)} sagas" if sagas and not name else "is not a saga"
        raise SagaError(f"'{reference}' {choice}; those in it: {known}")
    found = sagas[name]
    return found.build() if isinstance(found, SagaBuilder) else found


def _load(reference: str) -> Any:
    """What a module or file has under a name: MODULE_OR_FILE.py:NAME, where NAME may be dotted.

    Raises:
        SagaError: there is no such file, module or name.
    """
    place, _, name = reference.rpartition(":")
    if not place:
        raise SagaError(f"'{reference}' names nothing; give FILE.py:NAME or MODULE:NAME")
    found = _import(place, reference)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise SagaError(f"'{place}' has no '{name}'") from None
    return found


def _import(place: str, reference: str) -> Any:
    """A module or file, run once: what a command takes from it in two places belongs together."""
    if place not in _imported:
        _imported[place] = _run_module(place, reference)
    return _imported[place]


_imported: dict[str, Any] = {}


def _run_module(place: str, reference: str) -> Any:
    import importlib
    import importlib.util

    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise SagaError(f"there is no file '{place}'")
        sys.path.insert(0, str(path.parent.absolute()))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules.setdefault(path.stem, module)
        with _loading(place):
            spec.loader.exec_module(module)
        return module
    neither = f"'{reference}' is neither a .yaml file nor a module; give FILE.yaml or FILE.py:NAME"
    if not all(part.isidentifier() for part in place.split(".")):
        raise SagaError(neither)
    sys.path.insert(0, str(Path.cwd()))
    with _loading(place):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if f"{place}.".startswith(f"{error.name}."):
                raise SagaError(neither) from None
            raise


@contextlib.contextmanager
def _loading(place: str) -> Iterator[None]:
    """Say in one line, with the line of the user's code, why it could not be loaded."""
    try:
        yield
    except SagaError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything
        if isinstance(error, SyntaxError):
            what, file, line = error.msg, error.filename, error.lineno
        else:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            what, file, line = str(error), frame.filename, frame.lineno
        raise SagaError(
            f"'{place}' cannot be loaded: {type(error).__name__}: {what} ({file}, line {line})"
        ) from None


def _read_input(text: str | None, option: str = "--input") -> Any:
    import msgspec

    if text is None:
        return None
    source = option
    if text.startswith("@"):
        source = text[1:]
        try:
            text = Path(source).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SagaError(f"{option} @{source}: {why}") from None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise SagaError(f"{source} is not JSON: {error}") from None


def _must_exist(journal: Path) -> None:
    if not journal.is_file():
        raise SagaError(f"there is no journal '{journal}'")


class _reading:  # noqa: N801  used as a function
    """A journal opened for reading, beside an engine that may be writing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Any:
        from sagakit.journal.sqlite import SqliteJournal

        _must_exist(self.path)
        self.journal = SqliteJournal(self.path, read_only=True)
        return self.journal

    def __exit__(self, *_: object) -> None:
        self.journal.close()


def _optional(module: str, extra: str) -> Any:
    """Import a part that an extra brings, or say how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("sagakit"):
            raise
        raise SagaError(f"this needs {error.name}: pip install 'sagakit[{extra}]'") from None


# -- output ---------------------------------------------------------------------------------


def _print_json(value: Any, indent: int | None = 2) -> None:
    import msgspec

    text = msgspec.json.encode(value)
    if indent is not None:
        text = msgspec.json.format(text, indent=indent)
    click.echo(text)  # bytes: JSON is UTF-8 in every locale


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
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


def _print_execution(execution: Execution, as_json: bool) -> None:
    if as_json:
        _print_json(_as_json(execution))
        return
    from sagakit.scenario.injection import INJECTED
    from sagakit.story import tell

    start = execution.started_at
    rows = [
        (f"{event.at - start:.3f}", *tell(event, path))  # type: ignore[attr-defined]
        for path, event in execution.history()
    ]
    _table(("seconds", "event", "step", "detail"), rows)
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


def _time(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")


cli.add_command(trace_command(_table, _print_json))
cli.add_command(audit_commands(_print_json))
cli.add_command(check_command(load_saga, _table, _print_json))
cli.add_command(explore_command(_print_json, load_saga, _load, _read_input))
cli.add_command(doctor_command(_table, _print_json, _reading, load_saga, EXIT))
cli.add_command(scenarios_command(_table, _print_json))


def main() -> None:
    """The entry point: one line for an error that has a cure, a traceback for a bug."""
    for stream in (sys.stdout, sys.stderr):  # what a locale cannot show is escaped, no error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except SagaError as error:
        click.echo(f"sagakit: {error}", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("sagakit: interrupted; what is in a journal can be recovered", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nothing is wrong
        sys.exit(1)
    except OSError as error:  # a file that cannot be read or written
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"sagakit: {what}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
