"""What the state machine drives in its tests: at the top of a module, for another process."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from sagakit import Engine, Retry, Saga, await_event, for_each, pivot, step, sub_saga, timer
from sagakit.services import CheckoutWorld

STOCK = {1: 9, 2: 100}
LOCK = threading.Lock()  # of the one connection


def checkout(folder: Path) -> CheckoutWorld:
    return CheckoutWorld(folder, STOCK)


class Books(NamedTuple):
    balanced: bool
    problems: tuple[str, ...]


class Bank:
    """One account in an SQLite file. An execution that completed has booked its amount once; one
    that was compensated, nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = sqlite3.connect(
            folder / "bank.db", isolation_level=None, check_same_thread=False, timeout=20
        )
        self.file.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT, cents INTEGER)")
        self.file.execute("CREATE TABLE IF NOT EXISTS done (key TEXT PRIMARY KEY, how TEXT)")

    def close(self) -> None:
        self.file.close()

    def book(self, ctx: Any) -> int:
        with sqlite_transaction(self.file):
            how = self.how(ctx.action_key)
            if how is None:
                self.enter(ctx.action_key, ctx.input)
                self.mark(ctx.action_key, "done")
        return int(ctx.input)

    def unbook(self, ctx: Any) -> None:
        with sqlite_transaction(self.file):
            if self.how(ctx.action_key) == "done":
                self.enter(ctx.action_key, -ctx.input)
            self.mark(ctx.action_key, "undone")

    def how(self, key: str) -> str | None:
        row = self.file.execute("SELECT how FROM done WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def mark(self, key: str, how: str) -> None:
        self.file.execute(
            "INSERT INTO done VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET how = excluded.how",
            (key, how),
        )

    def enter(self, key: str, cents: int) -> None:
        self.file.execute("INSERT INTO entries VALUES (?, ?)", (key, cents))

    def books(self) -> Books:
        query = "SELECT key, count(*), sum(cents) FROM entries GROUP BY key"
        wrong = []
        for key, count, cents in self.file.execute(query):
            how = self.how(key)
            if count != (1 if how == "done" else 2) or (how == "undone" and cents):
                wrong.append(f"{key} is {how}: {count} entries, {cents} cents")
        return Books(not wrong, tuple(wrong))


class CarelessBank(Bank):
    """Its compensation is not idempotent."""

    def unbook(self, ctx: Any) -> None:
        with sqlite_transaction(self.file):
            if self.how(ctx.action_key) is not None:
                self.enter(ctx.action_key, -ctx.input)
            self.mark(ctx.action_key, "undone")


class sqlite_transaction:  # noqa: N801
    def __init__(self, file: sqlite3.Connection) -> None:
        self.file = file

    def __enter__(self) -> None:
        LOCK.acquire()
        self.file.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, *_: Any) -> None:
        self.file.execute("COMMIT" if kind is None else "ROLLBACK")
        LOCK.release()


def transfer(bank: Bank) -> Saga:
    """It waits before its pivot and behind it."""
    return Saga(
        "transfer",
        step(bank.book, bank.unbook, name="book", retry=Retry(2)),
        await_event("approved", timeout=600),
        timer("cool", 0.01),
        pivot(done, name="point"),
        await_event("printed"),
        step(done, name="file"),
    )


def parts(bank: Bank) -> Saga:
    """Its waits are inside the sagas that do its steps."""
    part = Saga(
        "part",
        step(bank.book, bank.unbook, name="book", retry=Retry(2)),
        await_event("approved", timeout=600),
        timer("cool", 0.01),
    )
    each = Saga("each", for_each("parts", cents, part), step(done, done, name="sum"))
    last = Saga("last", await_event("printed"), step(done, name="file"))
    return Saga("transfer", sub_saga(each), sub_saga(last, pivot=True))


def cents(ctx: Any) -> list[int]:
    """Two parts of an amount."""
    return [ctx.input - 1, 1]


def done(ctx: Any) -> None:
    pass


def booked(bank: Bank, execution: Any) -> bool:
    """An invariant: what was completed stands in the books, and nothing else."""
    key = f"{execution.id}/book/action"
    (cents,) = bank.file.execute("SELECT sum(cents) FROM entries WHERE key = ?", (key,)).fetchone()
    return (cents or 0) == (execution.input if execution.status == "completed" else 0)


def booked_in_parts(bank: Bank, execution: Any) -> bool:
    """The same of ``parts``."""
    (cents,) = bank.file.execute(
        "SELECT sum(cents) FROM entries WHERE key LIKE ?", (f"{execution.id}/%",)
    ).fetchone()
    return (cents or 0) == (execution.input if execution.status == "completed" else 0)


class ForgetfulEngine(Engine):
    """Its recovery skips an execution: the one that began last."""

    def recover(self, *sagas: Saga, progress: Any = None) -> Any:
        running = [row.id for row in self.list(status="running")]
        if not running:
            return super().recover(*sagas, progress=progress)
        found = self.journal.unfinished

        def all_but_one(*wanted: Any) -> Any:
            return ((id, events) for id, events in found(*wanted) if id != running[-1])

        self.journal.unfinished = all_but_one  # type: ignore[method-assign]
        return super().recover(*sagas, progress=progress)


class RenamingEngine(Engine):
    """It takes no notice of an id that it has had before."""

    def run(self, saga: Saga, input: Any = None, *, id: Any = None, **more: Any) -> Any:
        known = id in {row.id for row in self.list()}
        return super().run(saga, input, id=None if known else id, **more)


class HastyEngine(Engine):
    """It answers a start before anything is safe, and never makes it so."""

    def run(self, saga: Saga, input: Any = None, *, id: Any = None, **more: Any) -> Any:
        with Engine() as other:
            return other.run(saga, input, id=id, **more)


class Slow(Engine):
    """It does nothing for a long time."""

    def run(self, saga: Saga, input: Any = None, **more: Any) -> Any:
        time.sleep(60)
