"""Waiting: 100,000 executions that wait for a time or an event, and timers that are kept."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from measure import HERE, peak_memory, spread, worker
from report import Goal, Group, Table

EXECUTIONS = 100_000
RATE = 1_000  # timers a second
MEMORY = 1.5e9  # bytes
STARTUP = 10.0  # seconds
LATENESS = 0.050  # seconds
FAR = 30 * 86400.0  # seconds


def measure(quick: bool) -> Group:
    count, seconds, rounds = (2_000, 1, 1) if quick else (EXECUTIONS, 10, 3)
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        began = worker("waiting", "begin", folder, count)
        woken = [worker("waiting", "restart", folder, count) for _ in range(rounds)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    timers = []
    for _ in range(rounds):
        folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
        try:
            timers.append(worker("waiting", "timers", folder, RATE * seconds))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return _group(count, began, woken, timers, quick)


def _group(
    count: int,
    began: dict[str, Any],
    woken: list[dict[str, Any]],
    timers: list[dict[str, Any]],
    quick: bool,
) -> Group:
    group = Group(f"Waiting: {count:,} executions that wait for a time or an event, SQLite")
    startup = [answer["seconds"] for answer in woken]
    reached = [answer["signal"] for answer in woken]
    late = [answer["p99"] for answer in timers]
    peak = max(began["peak"], *(answer["peak"] for answer in woken))
    table = Table("", ("what", "figure", "spread"))
    table.rows += [
        (
            "until all wait (`engine.start`, half for 30 days, half for an event)",
            f"{began['seconds']:.1f} s",
            "",
        ),
        ("peak memory of that process", f"{began['peak'] / 1e6:,.0f} MB", ""),
        ("of that, before the first execution", f"{began['idle'] / 1e6:,.0f} MB", ""),
        (
            "`Engine(file)` and `recover(saga)` after a restart",
            f"{median(startup):.2f} s",
            spread(startup),
        ),
        ("peak memory of that process", f"{max(a['peak'] for a in woken) / 1e6:,.0f} MB", ""),
        (
            "a signal by correlation, until its execution has ended",
            f"{median(reached) * 1e3:.1f} ms",
            spread(reached),
        ),
        (
            f"timers kept at {RATE:,}/s, {timers[0]['count']:,} of them: late by, median",
            f"{median(a['p50'] for a in timers) * 1e3:.1f} ms",
            "",
        ),
        ("99 of 100 at most", f"{median(late) * 1e3:.1f} ms", spread(late)),
        ("at most", f"{max(a['worst'] for a in timers) * 1e3:.1f} ms", ""),
    ]
    table.notes.append(
        "Each timer is an execution of two steps, started before and parked; it is late by the "
        "time from its end until the action of its second step begins, and every one of them "
        "completes."
    )
    group.tables.append(table)

    def goal(what: str, wanted: str, shown: str, met: bool) -> None:
        note = f" (of {count:,})" if quick else ""
        group.goals.append(Goal(what, wanted, shown + note, None if quick else met))

    goal(
        f"Memory with {EXECUTIONS:,} waiting", "under 1.5 GB", f"{peak / 1e9:.2f} GB", peak < MEMORY
    )
    goal(
        f"Recovery with {EXECUTIONS:,} waiting",
        f"under {STARTUP:.0f} s",
        f"{median(startup):.2f} s",
        median(startup) < STARTUP,
    )
    goal(
        f"Timers late, 99 of 100, at {RATE:,}/s",
        f"under {LATENESS * 1e3:.0f} ms",
        f"{median(late) * 1e3:.1f} ms",
        median(late) < LATENESS,
    )
    return group


async def _noop() -> None:
    pass


def _order(ctx: Any) -> Any:
    return ctx.input


def _sagas() -> tuple[Any, Any]:
    from sagakit import Saga, await_event, step, timer

    far = Saga("far", step(_noop, _noop, name="a"), timer("month", FAR), step(_noop, name="b"))
    paid = Saga(
        "paid",
        step(_noop, _noop, name="a"),
        await_event("paid", correlate=_order, timeout=FAR),
        step(_noop, name="b"),
    )
    return far, paid


def _until_waiting(engine: Any, count: int) -> None:
    while engine.journal.counts().get("running", 0) or engine._core.live:
        time.sleep(0.05)
    assert engine.journal.counts() == {"waiting": count}, "too slow: some do not wait any more"


def begin(folder: Path, count: int) -> dict[str, Any]:
    """Start them all in one process; nobody waits for their ends."""
    from sagakit import Engine

    far, paid = _sagas()
    with Engine(folder / "sagas.db", sagas=(far, paid)) as engine:
        idle = peak_memory()
        start = perf_counter()
        for number in range(count):
            engine.start((far, paid)[number % 2], str(number), id=f"{number:032x}")
        _until_waiting(engine, count)
        seconds = perf_counter() - start
        assert not engine._core.live
    return {"seconds": seconds, "idle": idle, "peak": peak_memory()}


def restart(folder: Path, count: int) -> dict[str, Any]:
    """Open the journal again, recover, and reach some of them by a signal."""
    from sagakit import Engine

    start = perf_counter()
    with Engine(folder / "sagas.db") as engine:
        assert engine.recover(*_sagas()) == []
        seconds = perf_counter() - start
        before = engine.journal.counts()["waiting"]
        assert before > count * 0.9
        took = []
        for row in engine.list(status="waiting", saga="paid", limit=50):
            begun = perf_counter()
            engine.signal("paid", correlation=str(int(row.id, 16)))
            while engine.status(row.id).status != "completed":
                pass
            took.append(perf_counter() - begun)
        assert engine.journal.counts()["completed"] >= 50
    return {"seconds": seconds, "signal": median(took), "peak": peak_memory()}


def timers(folder: Path, count: int) -> dict[str, Any]:
    """Executions whose timers end one after another, RATE of them a second."""
    from sagakit import Engine, Saga, step, timer

    late: list[float] = []

    async def note(ctx: Any) -> None:
        late.append(time.time() - ctx.input)

    def left(ctx: Any) -> float:
        return max(0.0, float(ctx.input) - time.time())

    saga = Saga("timer", timer("wait", left), step(note))
    with Engine(folder / "sagas.db", concurrency=1000) as engine:
        engine.register(saga)
        first = time.time() + 5 + count / 500  # when all have been started
        for number in range(count):
            engine.start(saga, first + number / RATE)
        _until_waiting(engine, count)
        while engine.journal.counts().get("completed", 0) < count:
            time.sleep(0.2)
    late.sort()
    return {
        "count": count,
        "p50": late[len(late) // 2],
        "p99": late[len(late) * 99 // 100],
        "worst": late[-1],
    }


if __name__ == "__main__":
    acts: dict[str, Callable[[Path, int], dict[str, Any]]] = {
        "begin": begin,
        "restart": restart,
        "timers": timers,
    }
    print(json.dumps(acts[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
