"""Memory: 100,000 executions in flight in one Engine, each waiting in its second step."""

from __future__ import annotations

import asyncio
import json
import sys
from time import perf_counter, sleep
from typing import Any

from measure import peak_memory, worker
from report import Goal, Group, Table

IN_FLIGHT = 100_000
WANTED = 1.5e9  # bytes


def measure(quick: bool) -> Group:
    count = 2_000 if quick else IN_FLIGHT
    found = worker("memory", count)
    peak, idle = found["peak"], found["idle"]
    group = Group(f"Memory: {count:,} executions in flight in one Engine, in memory")
    table = Table("", ("what", "figure"))
    table.rows += [
        ("peak memory of the process", f"{peak / 1e6:,.0f} MB"),
        ("before the first execution", f"{idle / 1e6:,.0f} MB"),
        ("all in flight", f"{found['in_flight'] / 1e6:,.0f} MB"),
        ("an execution in flight", f"{(found['in_flight'] - idle) / count / 1e3:.1f} kB"),
        ("until all were in flight", f"{found['started']:.1f} s"),
        ("from then until all had ended", f"{found['ended']:.1f} s"),
    ]
    table.notes.append(
        "Four async steps; the second awaits a future. The caller keeps every future and its "
        "execution, so the peak comes when all have ended."
    )
    group.tables.append(table)
    shown = f"{peak / 1e9:.2f} GB" + (f" (of {count:,})" if quick else "")
    met = None if quick else peak < WANTED
    group.goals.append(Goal(f"Memory of {IN_FLIGHT:,} in flight", "under 1.5 GB", shown, met))
    return group


def hold(count: int) -> dict[str, Any]:
    from sagakit import Engine, Saga, step

    waiting: list[asyncio.Future[None]] = []

    async def noop() -> None:
        pass

    async def wait() -> None:
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        await future

    def release() -> None:
        for future in waiting:
            future.set_result(None)

    actions = (noop, wait, noop, noop)
    saga = Saga("wait", *(step(act, noop, name=f"step_{n}") for n, act in enumerate(actions)))
    with Engine(concurrency=count) as engine:
        engine.register(saga)
        idle = peak_memory()
        begin = perf_counter()
        futures = [engine.start(saga) for _ in range(count)]
        while len(waiting) < count:
            sleep(0.01)
        started = perf_counter()
        in_flight = peak_memory()
        waiting[0].get_loop().call_soon_threadsafe(release)
        for future in futures:
            assert future.result().status == "completed"
        ended = perf_counter()
    return {
        "idle": idle,
        "in_flight": in_flight,
        "peak": peak_memory(),
        "started": started - begin,
        "ended": ended - started,
    }


if __name__ == "__main__":
    print(json.dumps(hold(int(sys.argv[1]))))
