"""Exploration: scenarios a second through the real coordinator and real callables."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from measure import spread
from report import Goal, Group, Table

RATE = 20_000  # scenarios a second
FIVE = 2.0  # seconds, two faults and every crash
TEN = 20.0


def measure(quick: bool) -> Group:
    rounds = 1 if quick else 5
    six, five, ten = _checkout(confirms=True), _checkout(confirms=False), _ten()
    group = Group("Exploration: every combination of up to so many faults, and every crash point")
    table = Table(
        "", ("saga", "faults", "scenarios", "shared", "pruned", "outcomes", "seconds", "a second")
    )
    rates, seconds = {}, {}
    for name, (saga, input, world), faults in (
        ("checkout, six steps, the in-memory twin", six, 2),
        ("the same", six, 1 if quick else 3),
        ("checkout, five steps, the in-memory twin", five, 2),
        ("ten steps", ten, 1 if quick else 2),
    ):
        took, report = _explored(saga, input, world, faults, rounds if faults < 3 else 1)
        rate = [report.explored / one for one in took]
        key = name, faults
        rates[key], seconds[key] = median(rate), median(took)
        pruned = sum(report.pruned.values())
        counts = report.explored, report.shared, pruned, report.classes
        row = tuple(f"{count:,}" for count in counts)
        figure = f"{median(rate):,.0f} ({spread(rate)})"
        table.rows.append((name, str(faults), *row, f"{median(took):.2f}", figure))
    table.notes.append(
        "Each scenario is a run of the saga through `decide` and `evolve`, with its actions really "
        "called, judged by every built-in invariant (the twin's books among them). Runs share "
        "their beginnings, and the last level is done on both cores if it takes half a second. "
        "Shared are scenarios that came to a situation in which another one was, and whose end is "
        "that one's; pruned are those that cannot differ from one that ran, by their number."
    )
    group.tables.append(table)
    best = max(rates["checkout, six steps, the in-memory twin", 2], rates.get(("the same", 3), 0))
    goals = (
        ("Scenarios a second, six steps", f"at least {RATE:,}", f"{best:,.0f}", best >= RATE),
        *_in_time("Five steps, two faults", FIVE, seconds[table.rows[2][0], 2]),
        *_in_time("Ten steps, two faults", TEN, seconds.get(("ten steps", 2), 0.0)),
    )
    for what, wanted, shown, met in goals:
        group.goals.append(Goal(what, wanted, shown, None if quick else met))
    return group


def _in_time(what: str, limit: float, took: float) -> list[tuple[str, str, str, bool]]:
    return [(what, f"under {limit:.0f} s", f"{took:.2f} s", took < limit)]


def _explored(saga: Any, input: Any, world: Any, faults: int, rounds: int) -> tuple[Any, Any]:
    from sagakit.lab import explore

    took = []
    for _ in range(rounds):
        began = perf_counter()
        report = explore(saga, input, world=world, faults=faults)
        took.append(perf_counter() - began)
        assert report.holds, str(report)
    return took, report


def _checkout(confirms: bool) -> tuple[Any, Any, Any]:
    from sagakit.lab.twin import ORDER, Twin

    twin = Twin(confirms_stock=confirms)
    return twin.saga, ORDER, twin.fresh


def _ten() -> tuple[Any, Any, Any]:
    from sagakit import Retry, Saga, TerminalError, step
    from sagakit.lab.table import World

    class Shelf(World):
        """Keys that were done, undone or fenced."""

        def effects(self) -> dict[str, int]:
            return {key.split("/")[1]: 1 for key, state in self.keys.items() if state == "done"}

    shelf = Shelf(keys={})
    keys = shelf.keys

    def act(ctx: Any) -> None:
        if keys.setdefault(ctx.action_key, "done") != "done":
            raise TerminalError("it was undone")

    def undo(ctx: Any) -> None:
        keys[ctx.action_key] = "undone"

    steps = [step(act, undo, name=f"s{n}", retry=Retry(2), timeout=1) for n in range(10)]
    return Saga("ten", *steps), None, shelf.fresh
