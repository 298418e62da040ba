"""``sagakit import``: sagas made of what other tools describe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagakit.cli.given import json_option
from sagakit.cli.output import print_json, print_table

if TYPE_CHECKING:
    from sagakit.connectors.openapi import Operation
    from sagakit.saga import Saga


@click.group("import", short_help="Make a saga of what another tool describes.")
def import_() -> None:
    """Make a saga of what another tool describes."""


@import_.command(
    "openapi",
    short_help="Make REST steps of an OpenAPI document.",
    epilog="Exit codes: 0 done, 1 FILE is no such document or an operation is not in it.",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--operation",
    "-p",
    "wanted",
    multiple=True,
    metavar="ID",
    help="An operation by its id, or 'PUT /orders/{id}'; repeatable; all when left out.",
)
@click.option("--server", metavar="URL", help="The address, instead of the document's first.")
@click.option("--name", help="The saga's name; the document's title when left out.")
@click.option(
    "--compensate",
    is_flag=True,
    help="Undo what makes something by the operation that deletes it. Look at each: to delete is "
    "no undoing where something was there before.",
)
@click.option("--list", "as_list", is_flag=True, help="List the operations, and make nothing.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="The file to write; printed when left out.",
)
@json_option
def openapi(
    file: Path,
    wanted: Sequence[str],
    server: str | None,
    name: str | None,
    compensate: bool,
    as_list: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Write a saga with one step for each operation of FILE, a document in OpenAPI 3 (YAML or
    JSON), in the order of the options.

    What the operations take becomes the saga's input, with its schema; who asks, a reference to
    a secret. Order, pivot and compensations are yours to say.
    """
    from sagakit.connectors.openapi import operations

    # listing needs no address
    found = operations(file, wanted, server=server or ("https://server" if as_list else None))
    if as_list:
        _list(found, as_json)
        return
    saga = _saga(found, name or _title(file), compensate)
    text = f"# Made by sagakit import openapi {file.name}\n{saga.to_yaml()}"
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, "utf-8")
    if as_json:
        print_json({"file": str(output), "saga": saga.name, "steps": [one.name for one in found]})
    else:
        count = len(found)
        click.echo(f"{output}: saga '{saga.name}', {count} step{'' if count == 1 else 's'}")


def _saga(found: Sequence[Operation], name: str, compensate: bool) -> Saga:
    from sagakit.connectors.openapi import input_schema
    from sagakit.saga import Saga
    from sagakit.steps import step

    steps = [
        step(
            one.action,
            one.compensation if compensate else None,
            name=one.name,
            read=one.action.method in ("GET", "HEAD", "OPTIONS"),
            description=one.summary,
        )
        for one in found
    ]
    return Saga(name, *steps, input_schema=input_schema(found))


def _title(file: Path) -> str:
    from sagakit.connectors.openapi import title

    return re.sub(r"[^a-z0-9]+", "-", title(file).lower()).strip("-") or "imported"


def _list(found: Sequence[Operation], as_json: bool) -> None:
    if as_json:
        keys = ("operation", "method", "path", "summary")
        rows = [dict(zip(keys, _row(one), strict=True)) for one in found]
        print_json(rows)
    else:
        print_table(("operation", "method", "path", "summary"), list(map(_row, found)))


def _row(one: Operation) -> tuple[str, str, str, str]:
    return one.name, one.action.method, one.path, one.summary
