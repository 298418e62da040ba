"""``sagakit explore``: every combination of faults, and what does not hold under them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from sagakit.cli.given import json_option, load, load_saga, read_input
from sagakit.cli.output import print_json
from sagakit.cli.scenarios import read_scenario

if TYPE_CHECKING:
    from sagakit.lab.report import Report


@click.command(short_help="Break a saga in every way; exit code 1 if something does not hold.")
@click.argument("saga")
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The input of every run.")
@click.option(
    "--faults",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="How many at once, at most.",
)
@click.option("--world", metavar="FILE.py:NAME", help="What makes a fresh world.")
@click.option(
    "--invariant",
    "invariants",
    multiple=True,
    metavar="FILE.py:NAME",
    help="A function f(world, execution) -> bool that must hold; may be given again.",
)
@click.option(
    "--scenario",
    metavar="FILE|NAME",
    help="What happens in every run: the signals that the saga waits for, for instance.",
)
@click.option("--no-crashes", is_flag=True, help="The coordinator does not crash.")
@click.option("--no-prune", is_flag=True, help="Run also what cannot differ.")
@click.option("--no-share", is_flag=True, help="Run each scenario whole, from its start.")
@json_option
def explore(
    saga: str,
    input_text: str | None,
    faults: int,
    world: str | None,
    invariants: Sequence[str],
    scenario: str | None,
    no_crashes: bool,
    no_prune: bool,
    no_share: bool,
    as_json: bool,
) -> None:
    """Run SAGA, a YAML file or MODULE_OR_FILE.py:NAME, under every combination of up to so
    many faults, in virtual time, and say what does not hold and the smallest way to see it.

    Its actions are really called. Give it a --world that is made anew before each run, so that
    no run sees what another one did; then what is left behind in it is judged as well. Exit
    code 0: everything holds, 1: something does not.
    """
    from sagakit.lab import explore as explore_saga

    more: dict[str, Any] = {} if world is None else {"world": load(world)}
    report = explore_saga(
        load_saga(saga),
        read_input(input_text),
        faults=faults,
        crashes=not no_crashes,
        prune=not no_prune,
        share=not no_share,
        invariants=[load(name) for name in invariants],
        scenario=None if scenario is None else read_scenario(scenario),
        **more,
    )
    if as_json:
        print_json(_as_json(report))
    else:
        click.echo(str(report))
        if report.shared:
            click.echo(f"shared: {report.shared:,} ended as another one did from some point on")
    sys.exit(0 if report.holds else 1)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "saga": report.saga,
        "faults": report.faults,
        "holds": report.holds,
        "explored": report.explored,
        "shared": report.shared,
        "pruned": report.pruned,
        "outcomes": report.classes,
        "statuses": dict(report.statuses),
        "violations": [
            {
                "invariant": violation.invariant,
                "count": violation.count,
                "scenario": repr(violation.scenario),
                "status": violation.execution.status,
                "problem": violation.problem or None,
            }
            for violation in report.violations
        ],
    }
