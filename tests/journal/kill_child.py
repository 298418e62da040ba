"""The process that the SIGKILL matrix kills: orders through the checkout world, on disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

from sagakit import (
    Engine,
    Saga,
    Scenario,
    StepContext,
    TerminalError,
    await_event,
    for_each,
    step,
    sub_saga,
    timer,
)
from sagakit.events import Event
from sagakit.journal.sqlite import SqliteJournal
from sagakit.services import CheckoutWorld

ORDERS = 10
CONCURRENCY = 5
STOCK = {1: 9, 2: 100}  # enough of product 1 for some orders: the others turn back


def orders() -> dict[str, dict[str, Any]]:
    """Inputs by execution id; four of ten find too little of product 1 left."""
    return {
        f"order-{number}": {
            "order_id": number,
            "customer": f"C{number % 3}",
            "ship_city": "Reims",
            "ship_country": "France",
            "shipper": "Speedy Express",
            "lines": [
                {"product": 2, "quantity": 1},
                {"product": 1, "quantity": 3 if number % 2 else 1},
            ],
            "amount_cents": 1000 + number,
        }
        for number in range(1, ORDERS + 1)
    }


def place_of(id: str, event: Event) -> str:
    """``order-1/pay StepStarted charge_payment``."""
    return f"{id} {type(event).__name__} {getattr(event, 'step', '')}".strip()


class KillingJournal(SqliteJournal):
    """Dies by SIGKILL before or after a commit, and notes every commit that returned.

    The commit is the n-th one, or the one that holds an event: which events share a commit, and
    so how many commits there are, is chance.
    """

    def __init__(self, path: Path, acknowledged: Path, kill_at: int | str, after: bool) -> None:
        super().__init__(path)
        self.count = 0
        self.kill_at = kill_at
        self.after = after
        self.acknowledged = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def append(self, batch: Any, rests: Any = None) -> None:
        self.count += 1
        places = {place_of(id, event) for id, _, events in batch for event in events}
        fatal = self.kill_at == self.count or self.kill_at in places
        if fatal and not self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        super().append(batch, rests)
        os.write(self.acknowledged, b"%d\n" % sum(len(events) for _, _, events in batch))
        if fatal and self.after:
            os.kill(os.getpid(), signal.SIGKILL)


def work(folder: str, kill_at: int, after: bool) -> None:
    """Recover what is there, then run every order; die at the given boundary."""
    at = Path(folder)
    journal = KillingJournal(at / "journal.db", at / "acknowledged", kill_at, after)
    with CheckoutWorld(at / "services", STOCK) as world, Engine(journal, concurrency=5) as engine:
        engine.recover(world.saga)
        futures = [engine.start(world.saga, order, id=id) for id, order in orders().items()]
        for future in futures:
            future.result()


def nothing() -> None:
    pass


WAITING = Saga(
    "waiting",
    step(nothing, nothing),
    await_event("paid", timeout=60),
    timer("cool", 0.05),
    step(nothing, nothing, name="last"),
)
SIGNALLED = Scenario().signal("paid", {"sum": 7}, at=0.05)


def wait(path: str, kill_at: int) -> None:
    """Run a saga that waits; die after the given commit."""
    journal = KillingJournal(Path(path), Path(f"{path}.acknowledged"), kill_at, after=True)
    with Engine(journal) as engine:
        engine.run(WAITING, id="one", scenario=SIGNALLED)


class Ledger:
    """A participant: entries by idempotency key in an SQLite file of its own."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA busy_timeout=10000")
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, undone INTEGER NOT NULL)"
        )
        self.lock = threading.Lock()

    def act(self, ctx: StepContext) -> None:
        with self.lock:
            self.connection.execute(
                "INSERT OR IGNORE INTO entries VALUES (?, 0)", (ctx.action_key,)
            )

    def undo(self, ctx: StepContext) -> None:
        with self.lock:
            self.connection.execute(
                "INSERT INTO entries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET undone = 1",
                (ctx.action_key,),
            )

    def standing(self) -> list[str]:
        """The keys of what was done and not undone."""
        rows = self.connection.execute("SELECT key FROM entries WHERE NOT undone ORDER BY key")
        return [key for (key,) in rows]


def refuse() -> None:
    raise TerminalError("no")


def items() -> list[int]:
    return [1, 2, 3]


def family(ledger: Ledger, *, fails: bool) -> Saga:
    """A saga that holds a saga, that works on items, with a saga for each of others."""
    inner = Saga("inner", step(ledger.act, ledger.undo, name="x"))
    middle = Saga(
        "middle",
        for_each("lines", items, step(ledger.act, ledger.undo, name="line"), limit=2),
        sub_saga(inner),
    )
    return Saga(
        "outer",
        sub_saga(middle),
        for_each("each", items, inner, limit=2),
        step(refuse if fails else ledger.act, name="last"),
    )


def run_family(path: str, kill_at: int, fails: bool) -> None:
    """Recover or run it; die after the given commit."""
    ledger = Ledger(Path(f"{path}.ledger"))
    journal = KillingJournal(Path(path), Path(f"{path}.acknowledged"), kill_at, after=True)
    saga = family(ledger, fails=fails)
    with Engine(journal) as engine:
        engine.recover(saga)
        engine.run(saga, id="one")


def _order(ctx: Any) -> Any:
    return ctx.input


PARKED = Saga(
    "parked",
    step(nothing, nothing),
    await_event("paid", correlate=_order, timeout=600),
    step(nothing, nothing, name="last"),
)
LETTERS = 10  # so many that the last kill in the test comes before the last commit


def waiting_family(ledger: Ledger) -> Saga:
    """A saga that waits within another one, for each item, and then for a while."""
    inner = Saga(
        "inner",
        step(ledger.act, ledger.undo, name="x"),
        await_event("paid", correlate=_order),
        timer("cool", 0.02),
        step(ledger.act, ledger.undo, name="y"),
    )
    middle = Saga("middle", for_each("each", items, inner, limit=3))
    return Saga("outer", sub_saga(middle), step(ledger.act, name="last"))


def pay(engine: Engine) -> None:
    """Send all signals again: who sends them cannot know what arrived."""
    for number in items():
        engine.signal("paid", number, correlation=str(number), id=f"s{number}", keep=600)


def run_waiting_family(path: str, kill_at: int) -> None:
    """Recover or run it, and send the signals; die after the given commit."""
    ledger = Ledger(Path(f"{path}.ledger"))
    journal = KillingJournal(Path(path), Path(f"{path}.acknowledged"), kill_at, after=True)
    saga = waiting_family(ledger)
    with Engine(journal, sagas=[saga]) as engine:
        engine.recover(saga)
        engine.run(saga, id="one", until_rest=True)
        pay(engine)
        engine.run(saga, id="one")


def park(path: str, kill_at: int) -> None:
    """Signals that come before their waits, and signals that come after; die after the commit."""
    journal = KillingJournal(Path(path), Path(f"{path}.acknowledged"), kill_at, after=True)
    with Engine(journal) as engine:
        for number in range(0, LETTERS, 2):
            engine.signal("paid", number, correlation=str(number), id=f"s{number}", keep=600)
        for number in range(LETTERS):
            engine.run(PARKED, str(number), id=f"e{number}", until_rest=True)
        for number in range(LETTERS):
            engine.signal("paid", number, correlation=str(number), id=f"s{number}", keep=600)
