"""``sagakit doctor``: what is wrong with an installation, a journal, or one execution."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sagakit.cli.given import json_option, load_saga, reading
from sagakit.cli.output import EXIT, print_json, print_table
from sagakit.errors import SagaError

if TYPE_CHECKING:
    from sagakit.saga import Saga

Check = tuple[str, bool | None, str]  # what, whether it is well (None: it is missing), found


@click.command(short_help="Check this installation, a journal, or one execution.")
@click.argument("subject", required=False, metavar="[EXECUTION|JOURNAL]")
@click.option("--journal", type=click.Path(path_type=Path), help="The journal that has EXECUTION.")
@click.option("--saga", help="The execution's definition: it tells more than the journal does.")
@click.option(
    "--slow",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="From when on a step of EXECUTION is slow (default 1).",
)
@json_option
def doctor(
    subject: str | None,
    journal: Path | None,
    saga: str | None,
    slow: float | None,
    as_json: bool,
) -> None:
    """Say what is wrong with the EXECUTION of this id in --journal: the cause and the fix.

    Without --journal, check this installation, and JOURNAL if one is given.
    """
    if journal is None and (saga or slow):
        raise SagaError("--saga and --slow are about an execution; give --journal and its id")
    if journal is not None and subject is not None:
        definition = None if saga is None else load_saga(saga)
        status = _examine(journal, subject, definition, slow, as_json)
        sys.exit(EXIT[status])
    checks = _installation()
    place = journal or (None if subject is None else Path(subject))
    if place is not None:
        checks.append(_journal_check(place))
    _print_checks(checks, as_json)


def _print_checks(checks: Sequence[Check], as_json: bool) -> None:
    if as_json:
        print_json([{"check": name, "ok": ok, "found": found} for name, ok, found in checks])
    else:
        words = {True: "ok", None: "missing", False: "BAD"}
        print_table(
            ("check", "", "found"), [(name, words[ok], found) for name, ok, found in checks]
        )
    sys.exit(1 if any(ok is False for _, ok, _ in checks) else 0)


def _examine(
    journal: Path,
    id: str,
    saga: Saga | None,
    slow: float | None,
    as_json: bool,
) -> str:
    """Print what is wrong with an execution; its status."""
    import msgspec

    from sagakit.drivers.local.engine import read_execution
    from sagakit.execution import first_event, pinned_to
    from sagakit.lab.diagnosis import SLOW, diagnose

    with reading(journal) as opened:
        events = opened.read(id)
        pinned = saga is not None and pinned_to(events).fingerprint == saga.fingerprint
        if saga is not None and not pinned:
            click.echo(_not_used(saga, first_event(events).saga), err=True)
        execution = read_execution(opened, events, saga if pinned else None)
    found = diagnose(execution, slow=slow or SLOW, remembered=not pinned)
    if as_json:
        print_json(
            {
                "id": execution.id,
                "saga": execution.saga.name,
                "status": execution.status,
                "findings": [msgspec.to_builtins(finding) for finding in found],
            }
        )
        return execution.status
    rows = [(one.symptom, one.step, one.cause, one.fix) for one in found]
    if rows:
        print_table(("symptom", "step", "cause", "fix"), rows)
    healthy = "" if found else "; nothing is wrong with it"
    click.echo(f"{execution.id}: {repr(execution).strip('<>')}{healthy}")
    return execution.status


def _not_used(saga: Saga, name: str) -> str:
    if saga.name != name:
        return f"--saga is saga '{saga.name}', and the execution is of '{name}': not used"
    return f"--saga is another version of saga '{name}': not used"


def _journal_check(journal: Path) -> Check:
    with reading(journal) as opened:
        problems = opened.verify() or _log_problems(journal)
        counts = ", ".join(f"{n} {status}" for status, n in sorted(opened.counts().items()))
    return f"journal {journal}", not problems, "; ".join(problems) or counts or "empty"


def _log_problems(journal: Path) -> list[str]:
    """What reading the whole log finds."""
    from sagakit.errors import JournalKeyError
    from sagakit.journal.audit import verify

    try:
        finding = verify(journal).finding
    except JournalKeyError:
        return []  # only who has the key can tell; SQLite found nothing wrong
    return [] if finding is None else [str(finding)]


def _installation() -> list[Check]:
    import importlib.util
    import platform
    import shutil
    import sqlite3
    from importlib.metadata import version

    checks: list[Check] = [
        ("sagakit", True, version("sagakit")),
        ("Python", sys.version_info >= (3, 11), platform.python_version()),
        ("SQLite", sqlite3.sqlite_version_info >= (3, 38), sqlite3.sqlite_version),
    ]
    dot = shutil.which("dot")
    checks.append(("Graphviz dot", True if dot else None, dot or "not needed: own layout"))
    for package, extra in (
        ("pygraphviz", "lab"),
        ("sqlalchemy", "services"),
        ("pandas", "lab"),
        ("jupyterlab", "lab"),
        ("nbval", "test"),
    ):
        there = importlib.util.find_spec(package) is not None
        found = version(package) if there else f"pip install 'sagakit[{extra}]'"
        checks.append((package, True if there else None, found))
    return checks
