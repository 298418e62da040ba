"""``sagakit audit``: is a journal as it was written, and who did what, when and why?"""

from __future__ import annotations

import contextlib
import csv
import datetime
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import msgspec

from sagakit.cli.given import json_option
from sagakit.cli.output import print_json

if TYPE_CHECKING:
    from sagakit.journal.audit import Act, Verdict


@click.group(short_help="Verify a journal's log; export who did what, when and why.")
def audit() -> None:
    """The log of a journal is sealed record by record: verify it, or export it."""


@audit.command(short_help="Find the first record that was tampered with.")
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--head", metavar="NUMBER:MARK", help="A head noted earlier must be in the log.")
@json_option
def verify(journal: Path, head: str | None, as_json: bool) -> None:
    """Read the whole log of JOURNAL and name the first record that was changed, removed, put
    in or moved. Exit code 0: all is as it was written, 1: it is not.

    A journal begun with SAGAKIT_AUDIT_KEY in the environment needs it here too. Note the head
    that is printed elsewhere: with --head, a log that was cut off is found out as well.
    """
    from sagakit.journal.audit import Head
    from sagakit.journal.audit import verify as verify_journal

    noted = None if head is None else Head.parse(head)
    verdict = verify_journal(journal, head=noted)
    if as_json:
        print_json(_as_json(verdict))
    else:
        click.echo(_in_words(verdict))
    sys.exit(0 if verdict.sound else 1)


@audit.command(short_help="Write everything that happened, as CSV or JSON Lines.")
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--csv", "form", flag_value="csv", default=True, help="CSV (the default).")
@click.option("--jsonl", "form", flag_value="jsonl", help="JSON Lines.")
@click.option("--output", type=click.Path(path_type=Path), help="Write here, not to stdout.")
@click.option("--execution", metavar="ID", help="Only what happened to this execution.")
@click.option("--by-hand", is_flag=True, help="Only operators' acts and signals.")
def export(
    journal: Path, form: str, output: Path | None, execution: str | None, by_hand: bool
) -> None:
    """Write each event of JOURNAL, in the order in which it was recorded: when, which
    execution and step, and for an operator's act by whom and why."""
    from sagakit.journal.audit import trail

    acts = trail(journal, execution=execution, by_hand=by_hand)
    write = _write_csv if form == "csv" else _write_lines
    if output is None:
        write(acts, sys.stdout)
        return
    with _replacing(output) as file:
        count = write(acts, file)
    click.echo(f"wrote {count:,} records to {output}", err=True)


def _in_words(verdict: Verdict) -> str:
    how = "with the key" if verdict.keyed else "without a key"
    size = f"{verdict.records:,} records of {verdict.executions:,} executions, {how}"
    if verdict.finding is None:
        return f"sound: {size}\nhead {verdict.head}"
    return f"NOT as it was written: {verdict.finding}\n{size}"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(verdict)
    return {"sound": verdict.sound, **body, "head": str(verdict.head)}


def _cells(act: Act) -> dict[str, Any]:
    cells = msgspec.structs.asdict(act)
    cells["at"] = datetime.datetime.fromtimestamp(act.at, datetime.UTC).isoformat()
    return cells


def _write_csv(acts: Iterable[Act], file: TextIO) -> int:
    from sagakit.journal.audit import Act

    writer = csv.DictWriter(file, Act.__struct_fields__, lineterminator="\n")
    writer.writeheader()
    return _each(acts, writer.writerow)


def _write_lines(acts: Iterable[Act], file: TextIO) -> int:
    return _each(acts, lambda cells: file.write(json.dumps(cells, ensure_ascii=False) + "\n"))


def _each(acts: Iterable[Act], write: Callable[[dict[str, Any]], object]) -> int:
    count = 0
    for act in acts:
        write(_cells(act))
        count += 1
    return count


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A file that takes this place once it is whole."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
