"""Scenarios on the command line: ``sagakit scenarios``, and what the options of ``run`` say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagakit.cli.given import json_option
from sagakit.cli.output import print_json, print_table
from sagakit.errors import SagaError
from sagakit.redaction import MASK

if TYPE_CHECKING:
    from sagakit.saga import Saga
    from sagakit.scenario import Scenario


@click.command(short_help="List the named scenarios, or show one.")
@click.argument("scenario", required=False, metavar="[NAME|FILE]")
@json_option
def scenarios(scenario: str | None, as_json: bool) -> None:
    """List the scenarios that 'run --scenario' knows by name, each with the outage that it
    stands for; or show one, of this NAME or in this FILE.yaml, as YAML."""
    from sagakit.scenario import library

    if scenario is not None and not as_json:
        click.echo(read_scenario(scenario).to_yaml(), nl=False)
        return
    names = library() if scenario is None else [scenario]
    found = [read_scenario(name) for name in names]
    if as_json:
        specs = [one.to_spec() for one in found]
        print_json(specs if scenario is None else specs[0])
    else:
        print_table(("name", "stands for"), [(one.name, one.description) for one in found])


def read_scenario(reference: str) -> Scenario:
    """A scenario from a YAML file, or of the library."""
    from sagakit.scenario import Scenario

    if not reference.endswith((".yaml", ".yml")):
        return Scenario.named(reference)
    if not Path(reference).is_file():
        raise SagaError(f"there is no file '{reference}'")
    return Scenario.from_yaml(reference)


def scenario_of(
    named: str | None,
    fails: Iterable[str],
    signals: Iterable[str],
    cancel: float | None,
    saga: Saga,
) -> Scenario | None:
    """The scenario that the options of a command say; None if they say nothing.

    Raises:
        SagaError: one of them cannot be read.
    """
    from sagakit.scenario import Scenario

    scenario = Scenario() if named is None else read_scenario(named)
    for item in fails:
        step, at, attempt = item.rpartition("@")
        if not at or item in saga.plan.index:  # a step's own name may hold an @
            step, at, attempt = item, "", ""
        if at and not attempt.isdecimal():
            raise SagaError(f"--fail {item}: '{attempt}' is not an attempt's number")
        scenario = scenario.fail(step, int(attempt) if at else None)
    for item in signals:
        event, equals, payload = item.partition("=")
        at = "0"
        if saga.sensitive and payload:
            item = f"{event}{equals}{MASK}"  # an error must not show it
        if found := re.fullmatch(r"(.*)@(\d+(?:\.\d+)?)", payload or event, re.DOTALL):
            rest, at = found.groups()
            event, payload = (event, rest) if payload else (rest, "")
        try:
            value = json.loads(payload) if payload else None
        except json.JSONDecodeError as error:
            text = MASK if saga.sensitive else payload
            raise SagaError(f"--signal {item}: '{text}' is not JSON: {error}") from None
        to = ""
        if "/" in event and event not in {wait.event for wait in saga.plan.waits.values()}:
            to, _, event = event.rpartition("/")
        scenario = scenario.signal(event, value, at=float(at), to=to)
    if cancel is not None:
        scenario = scenario.cancel(cancel, why="--cancel")
    return scenario if scenario != Scenario() else None
