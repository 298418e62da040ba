"""What tests that kill processes share: to run one until it dies, and to look at what is left."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sagakit.events import CompensationStarted, StepStarted
from sagakit.journal.sqlite import SqliteJournal

_context = multiprocessing.get_context("forkserver" if hasattr(signal, "SIGKILL") else "spawn")
# Each child would import these anew: pytest, because it is the main module here.
_context.set_forkserver_preload(["pytest", "sagakit.drivers.local.engine", "sagakit.services"])


def killed(work: Callable[..., None], *what: Any) -> bool:
    """Do this in another process; True if it was killed, False if it got through to its end."""
    child = _context.Process(target=work, args=what)
    child.start()
    child.join(60)
    if child.exitcode is None:
        child.kill()
        raise AssertionError("it hangs")
    assert child.exitcode in (0, -signal.SIGKILL), child.exitcode
    return child.exitcode != 0


def read_all(path: Path) -> dict[str, list]:
    """The events of all executions in a journal, which must be whole."""
    journal = SqliteJournal(path, read_only=True)
    try:
        assert journal.verify() == []
        return {row.id: journal.read(row.id) for row in journal.find()}
    finally:
        journal.close()


def states_of_the_services(folder: Path) -> dict[str, str]:
    """What became of each step, by its key, as the services' own databases have it."""
    states: dict[str, str] = {}
    for path in (folder / "services").glob("*.db"):
        with closing(sqlite3.connect(path)) as database:
            states.update(database.execute("SELECT step_key, state FROM sagakit_inbox"))
    return states


def asked_of_the_services(folder: Path) -> set[tuple[str, str, bool]]:
    """(execution, step, whether it was compensated), as the services' own databases have it."""
    found = set()
    for key, state in states_of_the_services(folder).items():
        execution, step = key.rsplit("/", 1)
        found.add((execution, step, False))
        if state in ("undone", "fenced"):
            found.add((execution, step, True))
    return found


def intended(before: dict[str, list]) -> set[tuple[str, str, bool]]:
    """The same, as the journal announced it."""
    return {
        (id, event.step, isinstance(event, CompensationStarted))
        for id, events in before.items()
        for event in events
        if isinstance(event, StepStarted | CompensationStarted)
    }
