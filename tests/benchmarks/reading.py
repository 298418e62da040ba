"""Reading: a journal of 100,000 executions listed, framed, verified; spans as table and picture."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import msgspec
from measure import HERE, spread, worker
from report import Goal, Group, Table

from sagakit import Saga, Scenario, simulate, step
from sagakit.events import Event
from sagakit.spans import Span

EXECUTIONS = 100_000
SPANS = 100_000
DRAWN = 5_000

_Figures = dict[str, list[float]]


def measure(quick: bool) -> Group:
    count, spans, drawn, rounds = (1_000, 1_000, 500, 1) if quick else (EXECUTIONS, SPANS, DRAWN, 5)
    folder = tempfile.mkdtemp(prefix=".work-", dir=HERE)
    try:
        made = worker("reading", "fill", folder, count)
        figures: _Figures = {"list": [], "frame": [], "verify": []}
        path = Path(folder) / "journal.db"
        for _ in range(rounds):
            figures["list"].append(_list(path))
            figures["frame"].append(worker("reading", "frame", folder, count)["seconds"])
        for _ in range(min(rounds, 3)):
            figures["verify"].append(worker("reading", "verify", folder, count)["seconds"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures["spans"] = [_spans(spans) for _ in range(rounds)]
    timelines = [_timeline(drawn) for _ in range(rounds)]
    figures["timeline"] = [seconds for seconds, _ in timelines]
    return _group(figures, made["events"], count, spans, drawn, timelines[0][1])


def _group(
    figures: _Figures, events: int, executions: int, spans: int, drawn: int, size: int
) -> Group:
    group = Group(f"Reading: a journal of {executions:,} executions, {events:,} events")
    words = {
        "list": ("`sagakit list --status compensated --limit 20`, the whole command", 0.3),
        "frame": (f"`executions_frame(journal.find())`, {executions:,} rows", None),
        "verify": (f"`audit.verify`, {events:,} records", 20.0),
        "spans": (f"`spans_frame`, {spans:,} spans", 2.0),
        "timeline": (f"a timeline of {drawn:,} attempts as SVG, {size / 1e6:.2f} MB", 1.0),
    }
    table = Table("", ("what", "median", "spread"))
    for name, (what, most) in words.items():
        took = median(figures[name])
        table.rows.append((what, f"{took:.3f} s", spread(figures[name])))
        if most is not None:
            group.goals.append(Goal(what, f"under {most:g} s", f"{took:.2f} s", took < most))
    group.goals.append(
        Goal(f"That SVG of {drawn:,} attempts", "under 2 MB", f"{size / 1e6:.2f} MB", size < 2e6)
    )
    group.tables.append(table)
    return group


def _list(path: Path) -> float:
    """The whole command, as one types it."""
    command = ("-m", "sagakit.cli", "list", str(path), "--status", "compensated", "--limit", "20")
    begin = perf_counter()
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    took = perf_counter() - begin
    assert len(done.stdout.splitlines()) == 21, done.stdout
    return took


def _noop() -> None:
    pass


def _saga() -> Saga:
    return Saga("shop", *(step(_noop, _noop, name=f"step_{n}") for n in range(4)))


def _spans(count: int) -> float:
    from sagakit.event_spans import read_spans
    from sagakit.tables import spans_frame

    execution = simulate(_saga(), scenario=Scenario().fail("step_3"))
    some: list[Span] = read_spans(execution.saga, execution.events)
    many = (some * (count // len(some) + 1))[:count]
    begin = perf_counter()
    frame = spans_frame(many)
    took = perf_counter() - begin
    assert len(frame) == count
    return took


def _timeline(count: int) -> tuple[float, int]:
    """Seconds and bytes of a timeline of so many attempts, each fourth of them a retry."""
    saga = Saga("wide", *(step(_noop, _noop, name=f"s{n}", after=()) for n in range(count)))
    execution = simulate(saga)
    begin = perf_counter()
    picture = execution.timeline()
    return perf_counter() - begin, len(picture.svg.encode())


# -- the processes --------------------------------------------------------------------------


def fill(folder: Path, count: int) -> dict[str, Any]:
    """Write so many executions as an engine does, a batch at a time."""
    from sagakit.journal.sqlite import SqliteJournal

    saga = _saga()
    kinds = [simulate(saga).events, simulate(saga, scenario=Scenario().fail("step_3")).events]
    journal = SqliteJournal(folder / "journal.db")
    journal.define(saga.fingerprint, saga.name, saga.version, saga.shape)
    batch: list[tuple[str, int, list[Event]]] = []
    events = 0
    for number in range(count):
        head, *rest = kinds[number % 5 == 0]
        id = f"order-{number}"
        started: Any = msgspec.structs.replace(head, execution_id=id)
        batch.append((id, 0, [started, *rest]))
        events += 1 + len(rest)
        if len(batch) == 500 or number == count - 1:
            journal.append(batch)
            batch.clear()
    journal.close()
    return {"events": events}


def frame(folder: Path, count: int) -> dict[str, Any]:
    import pandas as pd  # noqa: F401  what importing it takes is not the journal's

    from sagakit.journal.sqlite import SqliteJournal
    from sagakit.tables import executions_frame

    journal = SqliteJournal(folder / "journal.db", read_only=True)
    begin = perf_counter()
    made = executions_frame(journal.find())
    took = perf_counter() - begin
    assert len(made) == count
    return {"seconds": took}


def verify(folder: Path, count: int) -> dict[str, Any]:
    from sagakit.journal import audit

    begin = perf_counter()
    verdict = audit.verify(folder / "journal.db")
    took = perf_counter() - begin
    assert verdict.sound, verdict
    assert verdict.executions == count
    return {"seconds": took}


if __name__ == "__main__":
    what, where, how_many = sys.argv[1:]
    work: Callable[[Path, int], dict[str, Any]] = globals()[what]
    print(json.dumps(work(Path(where), int(how_many))))
