"""``sagakit resolve``, ``signal``, ``cancel`` and ``migrate``: what people do to an execution, also
beside an engine that has its journal open.
"""

from __future__ import annotations

import functools
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from sagakit.cli.given import (
    journal_argument,
    json_option,
    load_saga,
    must_exist,
    read_input,
    reading,
    text,
    wait_option,
)
from sagakit.cli.output import EXIT, OUTCOMES, print_execution, print_json, print_stored
from sagakit.errors import SagaError

if TYPE_CHECKING:
    from sagakit.journal.base import Post
    from sagakit.saga import Saga


@click.command(short_help="Decide about a stuck execution.", epilog=OUTCOMES)
@journal_argument
@click.argument("execution_id", type=text, metavar="ID")
@click.argument("resolution", type=click.Choice(["retry", "skip", "abandon"]))
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@click.option("--step", type=text, help="Only this stuck step.")
@click.option(
    "--saga", help="The definition, needed to retry or skip unless an engine has the journal open."
)
@wait_option
@json_option
def resolve(
    journal: Path,
    execution_id: str,
    resolution: Any,
    by: str,
    why: str,
    step: str | None,
    saga: str | None,
    wait: float,
    as_json: bool,
) -> None:
    """Decide about the stuck execution ID, and let it go on until it ends or waits.

    \b
    retry    try the stuck steps again
    skip     somebody settled them by hand: go on as though they had succeeded
    abandon  leave everything as it is, for good: nothing more is run or undone

    An abandoned execution is at its end; its exit code stays 3.

    If an engine has the journal open, it is asked to: 'delivered' says that the engine has
    recorded it, 'posted' that it has not answered yet.
    """
    from sagakit.drivers.local import Engine
    from sagakit.errors import JournalBusyError, ResolutionError
    from sagakit.journal.base import Post

    definitions = [] if saga is None else [load_saga(saga)]
    must_exist(journal)
    if not by.strip() or not why.strip():
        raise ResolutionError("say who decides (--by) and why (--why)")
    try:
        engine = Engine(journal, sagas=definitions)
    except JournalBusyError:
        id, at = uuid.uuid4().hex, time.time()
        post = Post(id, to=execution_id, at=at, by=by, why=why, resolution=resolution, step=step)
        _post(journal, post, wait, definitions[0] if definitions else None, as_json)
    with engine:
        if saga is None and resolution != "abandon":
            raise SagaError(f"'{resolution}' needs the saga's definition; give it with --saga")
        execution = engine.resolve(execution_id, resolution, by=by, why=why, step=step)
    print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


@click.command(short_help="Deliver an event to an execution that waits for it.", epilog=OUTCOMES)
@journal_argument
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
@wait_option
@json_option
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
    value = read_input(payload, "--payload")
    if (to is None) == (correlation is None):
        raise SignalError(f"the signal '{event}': give either --to or --correlation")
    if keep is not None and correlation is None:
        raise SignalError(f"the signal '{event}': --keep is for one with --correlation")
    must_exist(journal)
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
    print_stored(journal, reached.id, definition, as_json)


@click.command(short_help="Call an execution off.", epilog=OUTCOMES)
@journal_argument
@click.argument("execution_id", type=text, metavar="ID")
@click.option("--saga", required=True, help="The definition, to compensate with.")
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@wait_option
@json_option
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
    must_exist(journal)
    try:
        engine = Engine(journal, sagas=[definition])
    except JournalBusyError:
        if not by.strip() or not why.strip():
            raise CancellationError("say who decides (--by) and why (--why)") from None
        post = Post(uuid.uuid4().hex, to=execution_id, at=time.time(), by=by, why=why)
        _post(journal, post, wait, definition, as_json)
    with engine:
        execution = engine.cancel(execution_id, by=by, why=why)
    print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])


def _post(journal: Path, post: Post, wait: float, saga: Saga | None, as_json: bool) -> NoReturn:
    """Ask something of the engine that has the journal open, and say what is known of it."""
    from sagakit.journal import mail
    from sagakit.journal.sqlite import SqliteJournal

    with reading(journal):
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
            print_json({"outcome": "posted", "request": post.id})
        else:
            click.echo(f"posted ({note})")
        sys.exit(0)
    if outcome == mail.KEPT:
        _kept(post.event or "", as_json)
    if execution_id is None:
        raise SagaError(outcome)
    click.echo(f"{outcome} by the engine that has the journal open", err=True)
    print_stored(journal, execution_id, saga, as_json)


def _kept(event: str, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"outcome": "kept"})
    else:
        click.echo(f"kept: nobody waits for '{event}' yet")
    sys.exit(0)


@click.command(short_help="Move an execution to another version of its saga.", epilog=OUTCOMES)
@journal_argument
@click.argument("execution_id", type=text, metavar="ID")
@click.argument("saga")
@click.option("--by", type=text, required=True, help="Who decides; kept in the journal.")
@click.option("--why", type=text, required=True, help="The reason; kept in the journal.")
@json_option
def migrate(journal: Path, execution_id: str, saga: str, by: str, why: str, as_json: bool) -> None:
    """Move the execution ID, which has not ended, to the definition SAGA.

    Nothing is run: 'recover' or 'resolve' goes on under the new definition.
    """
    from sagakit.drivers.local import Engine

    definition = load_saga(saga)
    must_exist(journal)
    with Engine(journal) as engine:
        execution = engine.migrate(execution_id, to=definition, by=by, why=why)
    print_execution(execution, as_json)
    sys.exit(EXIT[execution.status])
