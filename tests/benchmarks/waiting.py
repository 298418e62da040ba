"""Waiting: 100,000 executions that wait for a time or an event, by themselves or inside others;
items of one list that wake one after another; and timers that are kept."""

from __future__ import annotations

import functools
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

from measure import HERE, peak_memory, ratio, spread, worker
from report import Goal, Group, Table

EXECUTIONS = 100_000
RATE = 1_000  # timers a second
MEMORY = 1.5e9  # bytes
STARTUP = 10.0  # seconds
LATENESS = 0.050  # seconds
FAR = 30 * 86400.0  # seconds
ITEMS = (1_000, 10_000)
GROWTH = 1.5  # what one of the many items costs, beside one of the few


def measure(quick: bool) -> Group:
    count, seconds, rounds = (2_000, 1, 1) if quick else (EXECUTIONS, 10, 3)
    alone = _begun_and_woken("", count, rounds)
    inside = _begun_and_woken(" inside", count, rounds)
    sizes = (100, 1_000) if quick else ITEMS
    items: dict[int, list[float]] = {size: [] for size in sizes}
    timers = []
    for _ in range(rounds):
        for size in sizes:
            items[size].append(_in_a_folder("items", size)["seconds"])
        timers.append(_in_a_folder("timers", RATE * seconds))
    return _group(count, alone, inside, items, timers, quick)


Answer = dict[str, Any]  # of a worker


def _begun_and_woken(how: str, count: int, rounds: int) -> tuple[Answer, list[Answer]]:
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        began = worker("waiting", f"begin{how}", folder, count)
        return began, [worker("waiting", f"restart{how}", folder, count) for _ in range(rounds)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_a_folder(act: str, count: int) -> Answer:
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        return worker("waiting", act, folder, count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rows(what: str, began: Answer, woken: list[Answer]) -> list[tuple[str, ...]]:
    startup = [answer["seconds"] for answer in woken]
    reached = [answer["signal"] for answer in woken]
    return [
        (f"{what}: until all wait", f"{began['seconds']:.1f} s", ""),
        ("peak memory of that process", f"{began['peak'] / 1e6:,.0f} MB", ""),
        ("of that, before the first execution", f"{began['idle'] / 1e6:,.0f} MB", ""),
        (
            "`Engine(file)` and `recover(saga)` after a restart",
            f"{median(startup):.2f} s",
            spread(startup),
        ),
        ("peak memory of that process", f"{max(a['peak'] for a in woken) / 1e6:,.0f} MB", ""),
        (
            "a signal by correlation, until all that it ends has ended",
            f"{median(reached) * 1e3:.1f} ms",
            spread(reached),
        ),
    ]


def _group(
    count: int,
    alone: tuple[Answer, list[Answer]],
    inside: tuple[Answer, list[Answer]],
    items: dict[int, list[float]],
    timers: list[Answer],
    quick: bool,
) -> Group:
    group = Group(f"Waiting: {count:,} executions that wait for a time or an event, SQLite")
    late = [answer["p99"] for answer in timers]
    answers = [alone[0], *alone[1], inside[0], *inside[1]]
    peak = max(answer["peak"] for answer in answers)
    startup = max(median(a["seconds"] for a in woken) for _, woken in (alone, inside))
    few, many = items
    growth = ratio(items[many], items[few])
    table = Table("", ("what", "figure", "spread"))
    table.rows += [
        *_rows("by themselves (`engine.start`, half for 30 days, half for an event)", *alone),
        *_rows(f"inside a `sub_saga` ({count // 2:,}, and those around them)", *inside),
        *(
            (
                f"`for_each` over {size:,} items, each a saga that waits: a signal to one of them, "
                "one after another, until it has ended",
                f"{median(seconds) * 1e3:.2f} ms",
                spread(seconds),
            )
            for size, seconds in items.items()
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
        f"{startup:.2f} s",
        startup < STARTUP,
    )
    goal(
        f"One of {ITEMS[1]:,} items that wait wakes: beside one of {ITEMS[0]:,}",
        f"at most {GROWTH}×",
        f"{growth:.2f}×",
        growth <= GROWTH,
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


def _items(ctx: Any) -> Any:
    return ctx.input


def _sagas(inside: bool = False) -> tuple[Any, Any]:
    from sagakit import Saga, await_event, step, sub_saga, timer

    far = Saga("far", step(_noop, _noop, name="a"), timer("month", FAR), step(_noop, name="b"))
    paid = Saga(
        "paid",
        step(_noop, _noop, name="a"),
        await_event("paid", correlate=_order, timeout=FAR),
        step(_noop, name="b"),
    )
    if inside:
        around = (Saga(f"around {one.name}", sub_saga(one)) for one in (far, paid))
        far, paid = around
    return far, paid


def _until_waiting(engine: Any, count: int) -> None:
    while True:
        counts = engine.journal.counts()  # some may not even have begun
        if sum(counts.values()) == count and not counts.get("running") and not engine._core.live:
            break
        time.sleep(0.05)
    assert counts == {"waiting": count}, f"too slow: some do not wait any more: {counts}"


def begin(folder: Path, count: int, inside: bool = False) -> Answer:
    """Start them all in one process; nobody waits for their ends."""
    from sagakit import Engine

    far, paid = _sagas(inside)
    with Engine(folder / "sagas.db", sagas=(far, paid)) as engine:
        idle = peak_memory()
        start = perf_counter()
        for number in range(count // 2 if inside else count):
            engine.start((far, paid)[number % 2], str(number), id=f"{number:032x}")
        _until_waiting(engine, count)
        seconds = perf_counter() - start
        assert not engine._core.live
    return {"seconds": seconds, "idle": idle, "peak": peak_memory()}


def restart(folder: Path, count: int, inside: bool = False) -> Answer:
    """Open the journal again, recover, and reach some of them by a signal."""
    from sagakit import Engine

    start = perf_counter()
    with Engine(folder / "sagas.db") as engine:
        assert engine.recover(*_sagas(inside)) == []
        seconds = perf_counter() - start
        before = engine.journal.counts()["waiting"]
        assert before > count * 0.9
        took = []
        for row in engine.list(status="waiting", saga="paid", limit=50):
            outermost = row.id.partition("/")[0]
            begun = perf_counter()
            engine.signal("paid", correlation=str(int(outermost, 16)))
            while engine.status(outermost).status != "completed":
                pass
            took.append(perf_counter() - begun)
        assert engine.journal.counts()["completed"] >= 50
    return {"seconds": seconds, "signal": median(took), "peak": peak_memory()}


def items(folder: Path, count: int) -> Answer:
    """Wake the items of one list, one after another."""
    from sagakit import Engine, Saga, for_each

    _, paid = _sagas()
    saga = Saga("each", for_each("all", _items, paid, limit=count))
    took = []
    with Engine(folder / "sagas.db") as engine:
        engine.run(saga, [str(number) for number in range(count)], id="e", until_rest=True)
        assert engine.journal.counts() == {"waiting": count + 2}
        for number in range(count):
            begun = perf_counter()
            engine.signal("paid", correlation=str(number))
            while engine.status(f"e/all/{number}").status != "completed":
                pass
            took.append(perf_counter() - begun)
    return {"seconds": median(took)}


def timers(folder: Path, count: int) -> Answer:
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
    acts: dict[str, Callable[[Path, int], Answer]] = {
        "begin": begin,
        "begin inside": functools.partial(begin, inside=True),
        "restart": restart,
        "restart inside": functools.partial(restart, inside=True),
        "items": items,
        "timers": timers,
    }
    print(json.dumps(acts[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
