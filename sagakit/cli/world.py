"""``sagakit demo`` and ``lab``: the checkout world replayed, and the lessons."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from sagakit.cli.given import json_option, optional
from sagakit.cli.output import print_json


@click.command(short_help="Replay 830 orders, check the books.")
@click.option("--journal", type=click.Path(path_type=Path), help="Continue on this file.")
@click.option(
    "--concurrency", type=click.IntRange(1), default=1, help="Orders at once (default 1)."
)
@click.option("--limit", type=click.IntRange(0), help="Only the first so many orders.")
@json_option
def demo(journal: Path | None, concurrency: int, limit: int | None, as_json: bool) -> None:
    """Replay the 830 orders of Northwind through the checkout saga, and check the books.

    Run again on the same journal after any kill: it continues where it stopped.
    """
    replay_module = optional("sagakit.services.replay", "services")
    report = replay_module.replay(journal, concurrency=concurrency, limit=limit)
    if as_json:
        names = ("completed", "compensated", "stuck", "revenue", "units_left", "balanced")
        print_json({name: getattr(report, name) for name in names}, indent=None)
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


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(jupyter_options: Sequence[str]) -> None:
    """Open JupyterLab on the tour. Further options go to 'jupyter lab'."""
    app = optional("jupyterlab.labapp", "lab")
    root = Path(__file__).parents[2]
    tour = Path("notebooks", "00-welcome.ipynb")
    where = []
    if (root / tour).exists():  # a checkout; an installed sagakit opens where one stands
        where.append(f"--ServerApp.root_dir={root}")
        where.append(f"--LabApp.default_url=/lab/tree/{tour.as_posix()}")
    quiet = (  # ask no server elsewhere for news or updates, and the reader nothing about them
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    )
    app.main(["--ServerApp.ip=127.0.0.1", *quiet, *where, *jupyter_options])
