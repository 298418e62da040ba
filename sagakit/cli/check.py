"""``sagakit check``: what will hurt in a saga, before it is run."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagakit.cli.given import json_option, load_saga
from sagakit.cli.output import print_json, print_table
from sagakit.errors import DefinitionError, SagaError

if TYPE_CHECKING:
    from sagakit.lab.check import Finding, Findings

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_HEADER = ("place", "severity", "rule", "step", "finding", "cure")


@click.command(
    short_help="Find what will hurt in sagas, without running them.",
    epilog="Exit codes: 0 nothing that counts was found, 1 an error was found (with --strict: "
    "or a warning), or FILE cannot be read.",
)
@click.argument("sagas", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--ignore",
    multiple=True,
    metavar="RULE[:STEP]",
    help="Accept the findings of this rule, or those of one step (OUTER/INNER in the saga that "
    "does a step); repeatable.",
)
@click.option("--strict", is_flag=True, help="Let warnings count as errors do.")
@json_option
@click.option("--sarif", "as_sarif", is_flag=True, help="Print SARIF 2.1.0, for code hosts.")
def check(
    sagas: Sequence[str], ignore: Sequence[str], strict: bool, as_json: bool, as_sarif: bool
) -> None:
    """Check each FILE, a YAML file or MODULE_OR_FILE.py:NAME: compensations, timeouts, retries,
    the pivot, conditions, isolation, secrets.

    Nothing is run, but a Python file is loaded. data/rules.md explains the rules, each with an
    example.
    """
    from sagakit.lab.check import sarif_log

    if as_json and as_sarif:
        raise SagaError("give --json or --sarif, not both")
    found: dict[str, Findings] = {}
    unread = []
    for reference in sagas:
        try:
            found[reference] = _check(reference, ignore)
        except SagaError as error:  # what the other files have is told all the same
            unread.append(str(error))
    everything = [finding for findings in found.values() for finding in findings]
    if as_sarif:
        print_json(sarif_log(everything))
    elif as_json:
        print_json(everything)
    else:
        if sys.stdout.isatty():
            _show(everything)
        elif everything:
            print_table(_HEADER, list(map(_row, everything)))
        for reference, findings in found.items():
            click.echo(f"{reference}: {findings.summary}", err=True)
    counts = ("error", "warning") if strict else ("error",)
    if unread:
        raise SagaError("\n".join(unread))
    sys.exit(1 if any(finding.severity in counts for finding in everything) else 0)


def _check(reference: str, ignore: Sequence[str]) -> Findings:
    from sagakit.lab.check import check, refused

    try:
        saga = load_saga(reference)
    except DefinitionError as error:
        return refused(error.problems, _file(reference) or reference)
    try:
        return check(saga, ignore=ignore, file=_file(reference))
    except ValueError as error:
        raise SagaError(f"--{error}") from None


def _file(reference: str) -> Path | None:
    """The file in which a saga is written."""
    place, colon, _ = reference.rpartition(":")
    place = place if colon else reference
    if reference.endswith((".yaml", ".yml")):
        return Path(reference)
    if place.endswith(".py"):
        return Path(place)
    spec = importlib.util.find_spec(place)
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _show(everything: Sequence[Finding]) -> None:
    """For people: each finding with its cure below it, since a table would be too wide."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)
    for finding in everything:
        place = finding.place or finding.saga
        style = _STYLES[finding.severity]
        mark = (f"{finding.severity} {finding.rule}", style)
        head = Text.assemble((place, "dim"), "  ", mark, "  ", (finding.step or "", "bold"))
        console.print(head, soft_wrap=True)
        console.print(Padding(Text(f"{finding.message};\n{finding.cure}"), (0, 0, 0, 4)))


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.place,
        finding.severity,
        finding.rule,
        finding.step or "",
        finding.message,
        finding.cure,
    )
