"""Recovery: 10,000 unfinished executions, each cut off after its second StepStarted."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from measure import HERE, peak_memory, spread, worker
from report import Goal, Group, Table

EXECUTIONS = 10_000
WANTED = 5.0  # seconds


def measure(quick: bool) -> Group:
    count = 500 if quick else EXECUTIONS
    answers = [_round(count) for _ in range(1 if quick else 5)]
    seconds = [answer["seconds"] for answer in answers]
    peak = max(answer["peak"] for answer in answers)
    group = Group(f"Recovery of {count:,} unfinished executions of four async steps")
    took = median(seconds)
    table = Table("", ("what", "figure", "spread"))
    table.rows += [
        ("`Engine(file)` and `recover(saga)` to the end of all", f"{took:.2f} s", spread(seconds)),
        ("executions a second", f"{count / took:,.0f}", ""),
        ("peak memory of the process", f"{peak / 1e6:,.0f} MB", ""),
    ]
    group.tables.append(table)
    what, wanted = f"Recovery of {EXECUTIONS:,} unfinished executions", f"under {WANTED:.0f} s"
    met = None if quick else took < WANTED
    shown = f"{took:.2f} s" + (f" (of {count:,})" if quick else "")
    group.goals.append(Goal(what, wanted, shown, met))
    return group


def _round(count: int) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        worker("recovery", "crash", folder, count)
        return worker("recovery", "recover", folder, count)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _noop() -> None:
    pass


def _saga() -> Any:
    from sagakit import Saga, step

    return Saga("noop", *(step(_noop, _noop, name=f"step_{n}") for n in range(4)))


def crash(folder: Path, count: int) -> dict[str, Any]:
    """What a process leaves behind that was killed with this many executions in flight."""
    from sagakit.events import ExecutionStarted, StepStarted, StepSucceeded
    from sagakit.journal.sqlite import SqliteJournal

    saga = _saga()
    journal = SqliteJournal(folder / "sagas.db")
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    at = 1_750_000_000.0
    batch = []
    for number in range(count):
        id = f"{number:032x}"
        events = [
            ExecutionStarted(saga.name, saga.version, saga.fingerprint, id, None, at),
            StepStarted("step_0", 1, at),
            StepSucceeded("step_0", 1, at),
            StepStarted("step_1", 1, at),
        ]
        batch.append((id, 0, events))
    for begin in range(0, count, 500):
        journal.append(batch[begin : begin + 500])
    journal.close()
    return {}


def recover(folder: Path, count: int) -> dict[str, Any]:
    from sagakit import Engine

    saga = _saga()
    begin = perf_counter()
    with Engine(folder / "sagas.db") as engine:
        engine.recover(saga)
        seconds = perf_counter() - begin
        counts = engine.journal.counts()
    assert counts == {"completed": count}, f"not all of them completed: {counts}"
    return {"seconds": seconds, "peak": peak_memory()}


if __name__ == "__main__":
    act = {"crash": crash, "recover": recover}[sys.argv[1]]
    print(json.dumps(act(Path(sys.argv[2]), int(sys.argv[3]))))
