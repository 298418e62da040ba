"""Exploration finds what is wrong, the smallest way to see it, and nothing where all is well."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest

from sagakit import (
    Retry,
    Saga,
    Scenario,
    TerminalError,
    assert_saga,
    await_event,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.lab import Report, explore
from sagakit.lab.cores import in_parts
from sagakit.lab.faults import more_faults
from sagakit.lab.twin import ORDER, Twin


class World:
    """What stands in it, by step; what was undone before it was done is refused."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.undone: set[str] = set()

    def effects(self) -> dict[str, int]:
        return {"/".join(key.split("/")[1:-1]): count for key, count in self.done.items()}


class Shop:
    """Makes worlds, one after another, and steps over the one there is."""

    def fresh(self) -> World:
        self.world = World()
        return self.world

    def act(self, *, idempotent: bool = True, wary: bool = True) -> Callable[[Any], None]:
        def act(ctx: Any) -> None:
            world, key = self.world, ctx.action_key
            if wary and key in world.undone:
                raise TerminalError("it was undone already")
            world.done[key] = 1 if idempotent else world.done.get(key, 0) + 1

        return act

    def undo(self, ctx: Any) -> None:
        self.world.undone.add(ctx.action_key)
        self.world.done.pop(ctx.action_key, None)

    def forget(self, ctx: Any) -> None:
        """A compensation that undoes nothing."""

    def saga(self, *, first: Any = None, undo: Any = "undo") -> Saga:
        undo = self.undo if undo == "undo" else undo
        return Saga(
            "shop",
            step(first or self.act(), undo, name="charge", retry=Retry(2, wait=1)),
            step(self.act(), self.undo, name="reserve"),
            pivot(self.act(), name="confirm", retry=Retry(3), reconcile=lambda: True),
            step(self.act(), name="ship"),
        )


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_nothing_is_found_where_all_is_well(shop: Shop) -> None:
    report = explore(shop.saga(), world=shop.fresh, faults=2)
    stuck = {v.invariant for v in report.violations}
    assert stuck <= {"no_effect_is_missing"}, [str(v) for v in report.violations]
    assert report.explored > 300
    assert set(report.statuses) == {"completed", "compensated", "stuck"}


@pytest.mark.parametrize(
    ("what", "invariant", "faults"),
    [
        ("undoes nothing", "no_effect_survives_compensation", 1),
        ("not idempotent", "each_effect_at_most_once", 1),
        ("not wary", "no_effect_survives_compensation", 1),
        ("no compensation", "no_effect_survives_compensation", 1),
    ],
)
def test_a_mistake_is_found_with_the_fewest_faults(
    shop: Shop, what: str, invariant: str, faults: int
) -> None:
    saga = {
        "undoes nothing": lambda: shop.saga(undo=shop.forget),
        "not idempotent": lambda: shop.saga(first=shop.act(idempotent=False)),
        "not wary": lambda: shop.saga(first=shop.act(wary=False)),
        "no compensation": lambda: shop.saga(undo=None),
    }[what]()
    report = explore(saga, world=shop.fresh, faults=2)
    assert not report.holds
    found = next(v for v in report.violations if v.invariant == invariant)
    assert len(found.scenario.faults) + len(found.scenario.crashes) == faults
    assert found.count > 1
    shop.fresh()
    again = simulate(saga, scenario=found.scenario, id=found.execution.id)
    assert again.log() == found.execution.log(), "the scenario replays it"


def _with_sagas_inside(shop: Shop, charge: Any) -> Saga:
    pay = Saga("pay", step(charge, shop.undo, name="charge", retry=Retry(2, wait=1)))
    return Saga(
        "order",
        for_each("lines", lambda: ["tea", "cups"], sub_saga(pay)),
        sub_saga(Saga("label", step(shop.act(), shop.undo, name="print")), after=()),
        pivot(shop.act(), name="confirm", reconcile=lambda: True, after=("lines", "label")),
        sub_saga(Saga("post", step(shop.act(), name="ship", retry=Retry(3)))),
    )


def test_sagas_inside_are_struck_too_however_deep(shop: Shop) -> None:
    well = explore(_with_sagas_inside(shop, shop.act()), world=shop.fresh, faults=1)
    assert {v.invariant for v in well.violations} <= {"no_effect_is_missing"}, str(well)
    steps = {step for step, _ in well.matrix}
    assert steps >= {"lines/0/charge", "lines/1/charge", "label/print", "confirm", "post/ship"}
    assert ("lines/0/charge", "fail, for good") in well.matrix
    assert ("lines/0/charge", "crash after the effect") in well.matrix
    assert ("post/ship", "fail, for good") not in well.matrix, "it would be tried for ever"
    saga = _with_sagas_inside(shop, shop.act(idempotent=False))
    report = explore(saga, world=shop.fresh, faults=1)
    [found] = [v for v in report.violations if v.invariant == "each_effect_at_most_once"]
    assert repr(found.scenario) == 'Scenario().lose_reply("lines/0/charge", 1)'


def test_every_pair_of_faults_is_met_once_in_sagas_beside_each_other_too(shop: Shop) -> None:
    saga = _with_sagas_inside(shop, shop.act())

    def more(scenario: Scenario) -> list[Scenario]:
        shop.fresh()
        run = simulate(saga, scenario=scenario)
        return [one.scenario for one in more_faults(run, scenario, 0, False)]

    singles = more(Scenario())
    pairs = {frozenset(pair.faults) for one in singles for pair in more(one)}
    report = explore(saga, world=shop.fresh, faults=2, crashes=False)
    assert report.explored == 1 + len(singles) + len(pairs)


def test_what_comes_from_outside_comes_in_every_run_or_is_dropped(shop: Shop) -> None:
    def about(timeout: float | None) -> Report:
        saga = Saga(
            "order",
            step(shop.act(), shop.undo, name="reserve"),
            sub_saga(Saga("pay", await_event("paid", timeout=timeout))),
            await_event("packed", timeout=timeout),
            step(shop.act(), shop.undo, name="ship"),
        )
        happens = Scenario().signal("paid", at=3, to="pay").signal("packed", at=5)
        return explore(saga, world=shop.fresh, faults=1, scenario=happens)

    well = about(60)
    assert {v.invariant for v in well.violations} <= {"no_effect_is_missing"}, str(well)
    assert well.matrix["packed", "drop, for good"] == "compensated"
    assert well.matrix["pay/paid", "drop, for good"] == "compensated"
    assert ("ship", "lose reply") in well.matrix
    (found,) = [v for v in about(None).violations if v.invariant == "single_terminal_state"]
    assert [fault.kind for fault in found.scenario.faults] == ["drop"]
    assert len(found.scenario.interventions) == 2


def test_assertions_take_what_comes_from_outside_too() -> None:
    ship = step(lambda: None, lambda: None, name="ship")
    saga = Saga("order", await_event("paid", timeout=9), ship)
    happens = Scenario().signal("paid", at=5)
    assert assert_saga(saga).survives(scenario=happens).statuses["completed"] > 1
    report = assert_saga(saga).survives_chaos(scenario=happens, runs=20, rate=0)
    assert report.statuses == {"completed": 20}


@pytest.mark.parametrize("wary", [True, False])
@pytest.mark.parametrize("idempotent", [True, False])
def test_pruning_loses_no_outcome_and_no_violation(
    shop: Shop, wary: bool, idempotent: bool
) -> None:
    saga = shop.saga(first=shop.act(idempotent=idempotent, wary=wary))
    pruned, whole = (
        explore(saga, world=shop.fresh, faults=2, prune=prune) for prune in (True, False)
    )
    assert sum(pruned.pruned.values()) + pruned.explored == whole.explored
    assert sum(pruned.pruned.values()) > 0
    assert pruned.classes == whole.classes
    assert [(v.invariant, str(v.scenario)) for v in pruned.violations] == [
        (v.invariant, str(v.scenario)) for v in whole.violations
    ]


def test_an_invariant_of_ones_own_is_asked_and_may_raise(shop: Shop) -> None:
    def nothing_fails(world: World, execution: Any) -> bool:
        return execution.failed_step is None

    def nonsense(world: World, execution: Any) -> bool:
        raise KeyError("what")

    report = explore(shop.saga(), world=shop.fresh, faults=1, invariants=[nothing_fails, nonsense])
    by_name = {v.invariant: v for v in report.violations}
    assert str(by_name["nothing_fails"].scenario) != "no faults"
    assert by_name["nonsense"].problem == "KeyError: 'what'"
    assert by_name["nonsense"].scenario == Scenario()


def act() -> None:
    """Do nothing."""


def test_without_a_world_the_states_alone_are_judged() -> None:
    saga = Saga("s", step(act, act, name="a"), step(act, act, name="b"))
    report = explore(saga, faults=1)
    assert report.holds
    assert repr(report) == (
        f"<Report of 's', up to 1 fault: {report.explored} scenarios, 0 pruned, "
        f"{report.classes} outcomes; every invariant holds>"
    )
    frame = report.frame()
    assert frame.loc["a", "fail"] == "compensated"
    assert frame.loc["b", "repeat"] == "completed"


def test_no_faults_is_one_run(shop: Shop) -> None:
    assert explore(shop.saga(), world=shop.fresh, faults=0).explored == 1
    with pytest.raises(ValueError, match="give 0 or more"):
        explore(shop.saga(), faults=-1)


def careless() -> Twin:
    """A checkout whose refund forgets that it was made."""

    class Careless(Twin):
        def refund_payment(self, ctx: Any) -> None:
            self.undo(ctx, lambda charge: self.transfer("refund", charge))
            self.inbox.pop(ctx.action_key)

    return Careless(confirms_stock=True)


class Opaque:
    """A world that cannot be set back: every run begins at its start."""

    def __init__(self, world: Twin) -> None:
        world.fresh()
        self.effects, self.charges, self.books = world.effects, world.charges, world.books
        self.state = world.snapshot

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self.state(),)


@pytest.mark.parametrize("prune", [True, False])
@pytest.mark.parametrize("make", [careless, lambda: Twin(confirms_stock=True)])
def test_runs_that_share_their_beginnings_differ_in_nothing(
    make: Callable[[], Twin], prune: bool
) -> None:
    twin = make()
    shared = explore(twin.saga, ORDER, world=twin.fresh, faults=2, prune=prune)
    alone = explore(twin.saga, ORDER, world=lambda: Opaque(twin), faults=2, prune=prune)
    for name in ("explored", "pruned", "statuses", "classes", "matrix"):
        assert getattr(shared, name) == getattr(alone, name), name
    assert [str(v) for v in shared.violations] == [str(v) for v in alone.violations]
    assert [v.execution.log() for v in shared.violations] == [
        v.execution.log() for v in alone.violations
    ]


def test_several_cores_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = careless()
    one = explore(twin.saga, ORDER, world=twin.fresh, faults=2)
    module = importlib.import_module("sagakit.lab.explore")
    monkeypatch.setattr(module, "PAYS", 0.0)
    monkeypatch.setattr(module, "cores", lambda: 3)
    pids = set()

    def noted(world: Any, execution: Any) -> bool:
        pids.add(os.getpid())
        return True

    told: list[int] = []
    many = explore(
        twin.saga, ORDER, world=twin.fresh, faults=2, invariants=[noted], progress=told.append
    )
    for name in ("explored", "pruned", "statuses", "classes", "matrix"):
        assert getattr(one, name) == getattr(many, name), name
    assert str(one) == str(many)
    assert pids == {os.getpid()}, "the others counted in processes of their own"
    assert sum(told) >= many.explored * 0.8


def test_what_a_part_on_another_core_raises_is_raised_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def work(part: int) -> int:
        if part:
            raise LookupError("in the fork")
        return part

    with pytest.raises(LookupError, match="in the fork"):
        in_parts(2, work)


def test_coroutines_are_explored_from_the_start() -> None:
    twin = Twin()

    async def ship(ctx: Any) -> Any:
        return twin.schedule_delivery(ctx)

    def awaited(ctx: Any) -> Any:
        return ship(ctx)

    for last in (ship, awaited):
        saga = Saga(
            "s",
            step(twin.create_order, twin.cancel_order, name="create_order"),
            step(last, name="schedule_delivery", retry=Retry(2)),
        )
        report = explore(saga, ORDER, world=twin.fresh, faults=1, invariants=[])
        assert report.explored > 10
        assert report.statuses["compensated"] > 0


def test_a_report_shows_itself(shop: Shop) -> None:
    report = explore(shop.saga(undo=shop.forget), world=shop.fresh, faults=1)
    assert not report.holds
    html = report._repr_html_()
    assert "no_effect_survives_compensation" in html
    assert "data:image/svg+xml" in html
    assert str(report).count("replay: Scenario()") == len(report.violations)
    violation = report.violations[0]
    assert "sequenceDiagram" in violation.sequence().text
    pytest.importorskip("matplotlib")
    chart = report.heatmap()
    assert chart.png.startswith(b"\x89PNG")
    assert "compensated" in chart.alt
    frame = chart.frame().set_index("step")
    assert {(s, f): frame.loc[s, f] for s, f in report.matrix} == report.matrix
