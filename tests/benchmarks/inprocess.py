"""In process: the cost of a step and of a rollback, beside the peers; the cost of many steps."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter

import before
from measure import Sample, interleaved, ratio, spread
from peers import PEERS, SAGAKIT, Peer, samples, silence
from report import Goal, Group, Table

from sagakit import Engine, Saga, StepContext, for_each, simulate, step

STEPS, CALLS = 4, 7  # of the happy path; of a rollback: four actions, three compensations
PEER_HEAD = (
    "library",
    "per saga",
    "per step",
    "spread",
    "rollback",
    "per call",
    "call ÷ step",
    "sagakit is",
    "history kept",
)
SIZES = (4, 10, 100, 1_000, 10_000)
ITEMS = (100, 1_000, 10_000)


def measure(quick: bool) -> Group:
    group = Group("In process: four no-op steps")
    _beside_peers(group, quick)
    before.measure(group, quick)
    _by_size(group, quick)
    _by_items(group, quick)
    return group


# -- beside the peers -----------------------------------------------------------------------


def _beside_peers(group: Group, quick: bool) -> None:
    silence()
    happy: dict[str, Sample] = {}
    rollback: dict[str, Sample] = {}
    missing: dict[str, str] = {}
    with asyncio.Runner() as runner:
        for peer in (SAGAKIT, *PEERS):
            try:
                happy[peer.name], rollback[peer.name] = samples(peer, runner)
            except ImportError as error:
                missing[peer.name] = f"not installed: {error}"
            except Exception as error:  # a peer may raise anything
                if peer is SAGAKIT:
                    raise
                missing[peer.name] = f"does not work here: {type(error).__name__}: {error}"
        # Both in the same rounds: the ratio between them is one of the goals.
        both = {f"{name}/happy": sample for name, sample in happy.items()}
        both |= {f"{name}/rollback": sample for name, sample in rollback.items()}
        figures = interleaved(both, rounds=3 if quick else 15, seconds=0.005 if quick else 0.06)
    _peer_table(group, figures, missing)
    _peer_goals(group, figures)


def _peer_table(group: Group, figures: dict[str, list[float]], missing: dict[str, str]) -> None:
    table = Table(
        "Beside the peers (µs)",
        PEER_HEAD,
    )
    ours = figures["sagakit/happy"]
    for peer in (SAGAKIT, *PEERS):
        if peer.name in missing:
            table.rows.append((peer.name, missing[peer.name], *[""] * 6, peer.history))
            continue
        happy, rollback = figures[f"{peer.name}/happy"], figures[f"{peer.name}/rollback"]
        table.rows.append(
            (
                peer.label,
                f"{median(happy) * 1e6:.1f}",
                f"{median(happy) / STEPS * 1e6:.2f}",
                spread(happy),
                f"{median(rollback) * 1e6:.1f}",
                f"{median(rollback) / CALLS * 1e6:.2f}",
                f"{_rollback_ratio(happy, rollback):.2f}",
                _compared(peer, ratio(happy, ours)),
                peer.history,
            )
        )
    table.notes.append(
        "Rollback: step 4 raises, then 3 compensations: 7 calls. Medians of interleaved rounds; "
        "ratios are taken within a round. Every peer was first seen to make exactly these calls."
    )
    group.tables.append(table)


def _compared(peer: Peer, times: float) -> str:
    if peer is SAGAKIT:
        return ""
    return f"{times:.1f}× faster" if times >= 1 else f"{1 / times:.1f}× slower"


def _rollback_ratio(happy: list[float], rollback: list[float]) -> float:
    return ratio(rollback, happy) * STEPS / CALLS


def _peer_goals(group: Group, figures: dict[str, list[float]]) -> None:
    happy, rollback = figures["sagakit/happy"], figures["sagakit/rollback"]
    per_step = median(happy) / STEPS * 1e6
    shown = f"{per_step:.2f} µs"
    group.goals += [
        Goal("A step, history kept", "at most 5 µs", shown, per_step <= 5),
        Goal("A step, history kept: the aim", "3 µs", shown, per_step <= 3),
    ]
    times = _rollback_ratio(happy, rollback)
    group.goals.append(
        Goal("Rollback per call ÷ happy path per call", "at most 1.5", f"{times:.2f}", times <= 1.5)
    )
    rivals = {
        peer.name: ratio(figures[f"{peer.name}/happy"], happy)
        for peer in PEERS
        if peer.keeps_history and f"{peer.name}/happy" in figures
    }
    nearest = min(rivals, key=lambda name: rivals[name], default=None)
    group.goals.append(
        Goal(
            "Faster than every peer that keeps any history",
            "more than 1×",
            f"{rivals[nearest]:.0f}× the nearest, {nearest}" if nearest else "no such peer is here",
            min(rivals.values()) > 1 if rivals else None,
        )
    )


# -- many steps -----------------------------------------------------------------------------


def _by_size(group: Group, quick: bool) -> None:
    sizes = SIZES[:-1] if quick else SIZES
    built: dict[str, float] = {}
    subjects: dict[str, Sample] = {}
    for shape in (_chain, _wide):
        for size in sizes:
            begin = perf_counter()
            saga = shape(size)
            built[f"{saga.name}/{size}"] = perf_counter() - begin
            subjects[f"{saga.name}/{size}"] = _simulating(saga)
    figures = interleaved(subjects, rounds=3 if quick else 9, seconds=0.01 if quick else 0.1)
    table = Table("Per step, by number of steps (µs)", ("shape", *(f"{size:,}" for size in sizes)))
    for name in ("chain", "wide"):
        costs = [[cost / size for cost in figures[f"{name}/{size}"]] for size in sizes]
        table.rows.append((name, *(f"{median(cost) * 1e6:.2f}" for cost in costs)))
        build = [built[f"{name}/{size}"] / size for size in sizes]
        table.rows.append((f"{name}, to define it", *(f"{cost * 1e6:.0f}" for cost in build)))
        cheapest = min(costs, key=median)
        growth = ratio(costs[-1], cheapest)
        group.goals.append(
            Goal(
                f"Cost per step flat from 4 to {sizes[-1]:,} steps, {name}",
                "at most 1.5× the cheapest size",
                f"{growth:.2f}×",
                growth <= 1.5,
            )
        )
    table.notes.append(
        "Chain: each step after the one above. Wide: one step, then all but two side by side, "
        "then one after all of them. To define it: building the `Saga`, once."
    )
    group.tables.append(table)


def _by_items(group: Group, quick: bool) -> None:
    sizes = ITEMS[:-1] if quick else ITEMS
    bodies = {"a step": step(_noop, _noop, name="body"), "a saga": Saga("body", step(_noop, _noop))}
    subjects = {
        f"{name}/{size}": _simulating(Saga("each", for_each("all", _items, body)), size)
        for name, body in bodies.items()
        for size in sizes
    }
    name, body = "a saga that awaits, on an Engine", Saga("body", step(_soon, _soon))
    awaiting = Saga("each", for_each("all", _items, body))
    subjects |= {f"{name}/{size}": _on_an_engine(awaiting, size) for size in sizes}
    bodies[name] = body
    figures = interleaved(subjects, rounds=3 if quick else 9, seconds=0.01 if quick else 0.1)
    table = Table(
        "For each: per item, by number of items (µs)", ("body", *(f"{size:,}" for size in sizes))
    )
    for name in bodies:
        costs = [[cost / size for cost in figures[f"{name}/{size}"]] for size in sizes]
        table.rows.append((name, *(f"{median(cost) * 1e6:.1f}" for cost in costs)))
        growth = ratio(costs[-1], costs[0])
        group.goals.append(
            Goal(
                f"For each of {sizes[-1]:,} items, {name}: an item beside one of {sizes[0]:,}",
                "at most 1.5×",
                f"{growth:.2f}×",
                growth <= 1.5,
            )
        )
    table.notes.append(
        "`for_each` over a list that is the input, ten items at once, in virtual time: a step for "
        "each item, or a saga of one step, which is an execution of its own. On an Engine, whose "
        "journal is in memory, each action awaits: its execution ends in a later turn of the loop."
    )
    group.tables.append(table)


def _items(ctx: StepContext) -> list[int]:
    return list(range(ctx.input))


def _simulating(saga: Saga, input: object = None) -> Sample:
    assert simulate(saga, input).status == "completed"

    def sample(count: int) -> float:
        begin = perf_counter()
        for _ in range(count):
            simulate(saga, input)
        return perf_counter() - begin

    return sample


def _on_an_engine(saga: Saga, input: object) -> Sample:
    def sample(count: int) -> float:
        with Engine() as engine:
            begin = perf_counter()
            for _ in range(count):
                assert engine.run(saga, input).status == "completed"
            return perf_counter() - begin

    return sample


def _noop() -> None:
    pass


async def _soon() -> None:
    await asyncio.sleep(0)


def _chain(size: int) -> Saga:
    return Saga("chain", *(step(_noop, _noop, name=f"s{number}") for number in range(size)))


def _wide(size: int) -> Saga:
    middle = [f"s{number}" for number in range(1, size - 1)]
    return Saga(
        "wide",
        step(_noop, _noop, name="first"),
        *(step(_noop, _noop, name=name, after="first") for name in middle),
        step(_noop, _noop, name="last", after=middle),
    )
