"""``sagakit run`` and ``show``: what a saga does, and what it is."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagakit.cli.given import json_option, load_saga, read_input, text
from sagakit.cli.output import EXIT, OUTCOMES, print_execution, print_json, print_table
from sagakit.cli.scenarios import scenario_of
from sagakit.errors import SagaError

if TYPE_CHECKING:
    from sagakit.saga import Saga
    from sagakit.trace import Export


@click.command(short_help="Run a saga: FILE.yaml or FILE.py:NAME.", epilog=OUTCOMES)
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
@json_option
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
    value = read_input(input_text)
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
    print_execution(execution, as_json)
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


@click.command()
@click.argument("saga")
@click.option("--svg", "svg", type=click.Path(path_type=Path), help="Write the picture here.")
@click.option("--dot", is_flag=True, help="Print Graphviz DOT.")
@click.option("--yaml", "yaml", is_flag=True, help="Print the YAML form.")
@json_option
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
        print_json(definition.to_spec())
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
        print_table(("step", "kind", "after", "compensation", "service", "does"), rows)


def _what_it_does(saga: Saga, step: str, notes: Sequence[str]) -> str:
    """What a step does besides calling its action once."""
    nest = saga.plan.nests.get(saga.plan.index[step])
    if nest is None:
        return ", ".join(notes)
    inside = "for each item" if nest.each else f"the saga {saga.child(step).name}"
    return ", ".join((inside, *notes))
