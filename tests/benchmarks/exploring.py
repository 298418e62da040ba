"""Exploration: scenarios a second through the real coordinator and real callables; and every order
in which the calls of two sagas can follow one another."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

from measure import spread
from report import Goal, Group, Table

RATE = 20_000  # scenarios a second
FIVE = 2.0  # seconds, two faults and every crash
TEN = 20.0
TOGETHER = 1.0  # seconds, two five-step sagas


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
        "their beginnings, and the last level is done on all cores if it takes 0.1 s. "
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
    together, slowest = _interleavings(rounds)
    group.tables.append(together)
    goals += tuple(_in_time("Interleavings of two five-step sagas", TOGETHER, slowest))
    for what, wanted, shown, met in goals:
        group.goals.append(Goal(what, wanted, shown, None if quick else met))
    return group


def _interleavings(rounds: int) -> tuple[Table, float]:
    """Two five-step sagas in every order of their calls, and what the slowest pair took."""
    from sagakit.lab import ORDER, Twin, interleave

    twin = Twin()
    other = {**ORDER, "order_id": 10249}
    worst, world = _one_row()
    table = Table(
        "Two five-step sagas in every order of their calls",
        ("sagas", "reduced", "interleavings", "ran", "anomalies", "seconds"),
    )
    slowest = 0.0
    for name, saga, inputs, fresh in (
        ("checkout twice, of the same products", twin.saga, [ORDER, other], twin.fresh),
        ("every call changes the same row", worst, [None, None], world),
    ):
        for reduce in (True, False):
            took = []
            for _ in range(rounds):
                began = perf_counter()
                found = interleave(saga, saga, inputs=inputs, world=fresh, reduce=reduce)
                took.append(perf_counter() - began)
            assert found.complete
            slowest = max(slowest, median(took))
            kinds = ", ".join(found.anomalies) or "none"
            figures = (f"{found.total:,}", f"{found.ran:,}", kinds, f"{median(took):.3f}")
            table.rows.append((name, "yes" if reduce else "no", *figures))
    table.notes.append(
        "Interleavings are all there are; ran are those that had to run, since every other one "
        "differs from one of them only by swapped calls that do not conflict. Where every call "
        "conflicts with every other one nothing can be left out."
    )
    return table, slowest


def _one_row() -> tuple[Any, Any]:
    from sagakit import Saga, step
    from sagakit.lab.table import World

    world = World(rows={"x": 0})

    def count() -> None:
        world.rows["x"] += 1

    return Saga("count", *(step(count, name=f"s{n}") for n in range(5))), world.fresh


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
