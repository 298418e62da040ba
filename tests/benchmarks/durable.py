"""Durable: sagas a second on disk, beside raw commits, a journal written by hand, and DBOS.

Every measurement is a process of its own (``python durable.py WHAT FOLDER SECONDS``), in a new
folder of the same disk, and all of them take turns.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import functools
import gc
import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from measure import HERE, WorkerError, ratio, spread, worker
from report import Goal, Group, Table

STEPS = 4
IN_FLIGHT = 50
WORKERS: dict[str, tuple[str, str]] = {
    "raw": ("raw commits, one small row each", "commits/s"),
    "floor_sequence": ("hand-written journal, in sequence", "sagas/s"),
    "engine_sequence": ("sagakit Engine, in sequence", "sagas/s"),
    "dbos_sequence": ("DBOS on SQLite, in sequence", "sagas/s"),
    "floor_in_flight": (f"hand-written journal, {IN_FLIGHT} in flight", "sagas/s"),
    "engine_in_flight": (f"sagakit Engine, {IN_FLIGHT} in flight", "sagas/s"),
    "dbos_in_flight": (f"DBOS on SQLite, {IN_FLIGHT} in flight", "sagas/s"),
    "raw@slow": ("raw commits, slow disk", "commits/s"),
    "floor_sequence@slow": ("hand-written journal, in sequence, slow disk", "sagas/s"),
    "engine_sequence@slow": ("sagakit Engine, in sequence, slow disk", "sagas/s"),
}
SLOW = "@slow"
# What gives the 3,000 raw commits a second of the disk that the goal in sequence was written for.
SLOW_SYNC = 280_000  # nanoseconds


def measure(quick: bool) -> Group:
    rounds, seconds = (1, 0.2) if quick else (5, 2.0)
    figures: dict[str, list[float]] = {name: [] for name in WORKERS}
    missing: dict[str, str] = {}
    names = list(WORKERS)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if name in missing:
                continue
            try:
                figures[name].append(_turn(name, seconds))
            except WorkerError as error:
                if not name.startswith("dbos") and not name.endswith(SLOW):
                    raise
                missing[name] = str(error)
                figures[name].clear()
    return _group({name: rates for name, rates in figures.items() if rates}, missing)


def _turn(name: str, seconds: float) -> float:
    # Beside this file, so that everybody writes to the same, real disk (/tmp may be in memory).
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        environment = _slow_disk() if name.endswith(SLOW) else {}
        what = name.removesuffix(SLOW)
        rate: float = worker("durable", what, folder, seconds, environment=environment)["rate"]
        return rate
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def _slow_disk() -> dict[str, str]:
    """The environment in which the disk is slow."""
    library = Path(tempfile.mkdtemp(prefix="sagakit-")) / "slow_sync.so"
    atexit.register(shutil.rmtree, library.parent, ignore_errors=True)
    source = HERE / "slow_sync.c"
    try:
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise WorkerError(f"cannot compile {source.name}: {error}") from None
    return {"LD_PRELOAD": str(library), "SYNC_NANOSECONDS": str(SLOW_SYNC)}


def _group(figures: dict[str, list[float]], missing: dict[str, str]) -> Group:
    group = Group("Durable: four no-op async steps, SQLite, WAL, synchronous=FULL")
    table = Table("", ("what", "median", "unit", "spread", "rounds"))
    for name, (what, unit) in WORKERS.items():
        if name in missing:
            table.rows.append((what, f"does not run here: {missing[name]}", unit, "", ""))
            continue
        rates = figures[name]
        rounds = ", ".join(f"{rate:,.0f}" for rate in rates)
        table.rows.append((what, f"{median(rates):,.0f}", unit, spread(rates), rounds))
    table.notes.append(
        "The hand-written journal commits in groups and keeps the same ten events as JSON, on one "
        "loop, without retries, timeouts or recovery: a floor. DBOS runs with its default "
        "settings: threads that call a sync workflow of sync steps, the fastest of its ways here."
    )
    table.notes.append(
        "On the slow disk each flush takes at least "
        f"{SLOW_SYNC / 1e6:g} ms (slow_sync.c, by LD_PRELOAD), so that raw commits are about as "
        "many as on the disk that the goal in sequence was written for: 3,000 a second. What "
        "Python does for a commit is the same on every disk: its share grows as disks get faster."
    )
    group.tables.append(table)
    group.goals += _goals(figures)
    return group


def _goals(figures: dict[str, list[float]]) -> list[Goal]:
    sequence, in_flight = figures["engine_sequence"], figures["engine_in_flight"]
    rate = median(in_flight)
    in_sequence = "In sequence, as a share of raw commits/s ÷ (steps + 1)"
    goals = [_share(f"{in_sequence}, on this disk", sequence, figures["raw"])]
    if f"engine_sequence{SLOW}" in figures:
        slow, raw = figures[f"engine_sequence{SLOW}"], figures[f"raw{SLOW}"]
        goals.append(_share(f"{in_sequence}, on a disk of {median(raw):,.0f}/s", slow, raw))
    goals += [
        Goal(f"{IN_FLIGHT} in flight", "at least 2,500 sagas/s", f"{rate:,.0f}/s", rate >= 2500),
    ]
    what, wanted = f"{IN_FLIGHT} in flight ÷ DBOS on SQLite", "at least 50×"
    if "dbos_in_flight" in figures:
        times = ratio(in_flight, figures["dbos_in_flight"])
        goals.append(Goal(what, wanted, f"{times:.0f}×", times >= 50))
    else:
        goals.append(Goal(what, wanted, "DBOS does not run here", None))
    return goals


def _share(what: str, sagas: list[float], raw: list[float]) -> Goal:
    share = ratio(sagas, raw) * (STEPS + 1)
    return Goal(what, "at least 0.7", f"{share:.2f}", share >= 0.7)


# -- the processes --------------------------------------------------------------------------


def _repeat(once: Callable[[], object], seconds: float) -> float:
    """How often a second, after a warm-up."""
    _until(once, seconds / 5)
    gc.collect()
    gc.freeze()
    count, took = _until(once, seconds)
    return count / took


def _until(once: Callable[[], object], seconds: float) -> tuple[int, float]:
    count, begin = 0, perf_counter()
    while (took := perf_counter() - begin) < seconds or not count:
        once()
        count += 1
    return count, took


def _connect(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def raw(folder: Path, seconds: float) -> float:
    connection = _connect(folder)
    connection.execute("CREATE TABLE log (no INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    body = (b'{"type":"StepSucceeded","step":"step_1","attempt":1,"at":1750000000.123456}',)
    insert = "INSERT INTO log (body) VALUES (?)"
    return _repeat(lambda: connection.execute(insert, body), seconds)


class _ByHand:
    """A journal with group commit: what is written in one turn of the loop shares a commit."""

    def __init__(self, folder: Path) -> None:
        self.connection = _connect(folder)
        self.connection.execute(
            "CREATE TABLE log (saga INTEGER, seq INTEGER, body BLOB NOT NULL,"
            " PRIMARY KEY (saga, seq)) WITHOUT ROWID"
        )
        self.loop = asyncio.get_running_loop()
        self.rows: list[tuple[int, int, bytes]] = []
        self.waiting: list[asyncio.Future[None]] = []
        self.numbers = itertools.count()

    def write(self, saga: int, seq: int, *events: dict[str, Any]) -> asyncio.Future[None]:
        for place, event in enumerate(events, seq):
            self.rows.append((saga, place, json.dumps(event).encode()))
        if not self.waiting:
            self.loop.call_soon(self._commit)
        future = self.loop.create_future()
        self.waiting.append(future)
        return future

    def _commit(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany("INSERT INTO log VALUES (?, ?, ?)", self.rows)
        self.connection.execute("COMMIT")
        self.rows.clear()
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            future.set_result(None)

    async def run(self) -> None:
        """A saga: an intent before each step, committed with the outcome of the one before."""
        number, at = next(self.numbers), 1750000000.123456
        await self.write(
            number,
            0,
            {"type": "ExecutionStarted", "saga": "noop", "input": None, "at": at},
            {"type": "StepStarted", "step": "step_0", "attempt": 1, "at": at},
        )
        for step in range(STEPS):
            await _noop()
            follows = (
                {"type": "StepStarted", "step": f"step_{step + 1}", "attempt": 1, "at": at}
                if step + 1 < STEPS
                else {"type": "ExecutionCompleted", "at": at}
            )
            done = {"type": "StepSucceeded", "step": f"step_{step}", "attempt": 1, "at": at}
            await self.write(number, 2 + 2 * step, done, follows)


async def _noop() -> None:
    pass


async def _by_hand(folder: Path, seconds: float, at_once: int) -> float:
    journal = _ByHand(folder)

    async def until(seconds: float) -> float:
        count, begin = 0, perf_counter()

        async def one_after_another() -> None:
            nonlocal count
            while perf_counter() - begin < seconds:
                await journal.run()
                count += 1

        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
        return count / (perf_counter() - begin)

    await until(seconds / 5)
    gc.collect()
    gc.freeze()
    return await until(seconds)


def floor_sequence(folder: Path, seconds: float) -> float:
    return asyncio.run(_by_hand(folder, seconds, 1))


def floor_in_flight(folder: Path, seconds: float) -> float:
    return asyncio.run(_by_hand(folder, seconds, IN_FLIGHT))


def _saga() -> Any:
    from sagakit import Saga, step

    return Saga("noop", *(step(_noop, _noop, name=f"step_{n}") for n in range(STEPS)))


def engine_sequence(folder: Path, seconds: float) -> float:
    from sagakit import Engine

    saga = _saga()
    with Engine(folder / "sagas.db") as engine:
        rate = _repeat(lambda: engine.run(saga), seconds)
        _all_completed(engine.journal.counts())
    return rate


def engine_in_flight(folder: Path, seconds: float) -> float:
    from sagakit import Engine

    saga = _saga()
    with Engine(folder / "sagas.db", concurrency=IN_FLIGHT) as engine:

        def until(seconds: float) -> float:
            futures: collections.deque[Any] = collections.deque()
            begin = perf_counter()
            count = 0
            while perf_counter() - begin < seconds:
                futures.append(engine.start(saga))  # waits while 50 are in flight
                count += 1
                if len(futures) > 2 * IN_FLIGHT:
                    futures.popleft().result()
            for future in futures:
                future.result()
            return count / (perf_counter() - begin)

        until(seconds / 5)
        gc.collect()
        gc.freeze()
        rate = until(seconds)
        _all_completed(engine.journal.counts())
    return rate


def _all_completed(counts: dict[str, int]) -> None:
    assert set(counts) == {"completed"}, f"not all of them completed: {counts}"


def _dbos(folder: Path) -> tuple[Any, Callable[[], None]]:
    from dbos import DBOS

    config: Any = {
        "name": "bench",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "CRITICAL",
    }
    DBOS(config=config)

    @DBOS.step()
    def noop() -> None:
        pass

    @DBOS.workflow()
    def saga() -> None:
        for _ in range(STEPS):
            noop()

    DBOS.launch()
    return DBOS, saga


def dbos_sequence(folder: Path, seconds: float) -> float:
    dbos, saga = _dbos(folder)
    rate = _repeat(saga, seconds)
    dbos.destroy()
    return rate


def dbos_in_flight(folder: Path, seconds: float) -> float:
    dbos, saga = _dbos(folder)
    saga()
    count = itertools.count()
    errors: list[BaseException] = []
    begin = perf_counter()

    def one_after_another() -> None:
        try:
            while perf_counter() - begin < seconds:
                saga()
                next(count)
        except BaseException as error:  # noqa: BLE001  raised again below
            errors.append(error)

    threads = [threading.Thread(target=one_after_another) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = next(count) / (perf_counter() - begin)
    dbos.destroy()
    if errors:
        raise errors[0]
    return rate


if __name__ == "__main__":
    what, where, how_long = sys.argv[1:]
    assert what in WORKERS, f"'{what}' is none of {', '.join(WORKERS)}"
    print(json.dumps({"rate": globals()[what](Path(where), float(how_long))}))
