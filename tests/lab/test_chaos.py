"""Chaos: seeded faults at random, and a line to paste for each run that they broke."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from test_explore import Shop, World

from sagakit import (
    CircuitBreaker,
    Execution,
    Retry,
    Saga,
    Scenario,
    Service,
    await_event,
    for_each,
    pivot,
    simulate,
    step,
    sub_saga,
)
from sagakit.errors import InputError
from sagakit.lab import ChaosReport, chaos


@pytest.fixture
def shop() -> Shop:
    return Shop()


def broken(shop: Shop) -> Saga:
    """Its charge has its effect once more each time it is asked."""
    return shop.saga(first=shop.act(idempotent=False))


def of(shop: Shop, saga: Saga, **options: Any) -> ChaosReport:
    return chaos(saga, world=shop.fresh, **{"runs": 400, "seed": 1} | options)


def test_nothing_fails_where_all_is_well(shop: Shop) -> None:
    report = of(shop, shop.saga(), rate=0.3)
    assert report.holds, str(report)
    assert set(report.statuses) == {"completed", "compensated", "stuck"}
    assert sum(report.statuses.values()) == 400


def test_the_coordinator_dies_in_sagas_inside_too_however_deep() -> None:
    calls: list[int] = []
    retry = Retry(3)

    def fresh() -> list[int]:
        calls.clear()
        return calls

    def pay() -> None:
        calls.append(1)

    deep = Saga("deep", step(pay, lambda: None, retry=retry))
    saga = Saga("s", for_each("each", lambda: [1], sub_saga(deep)))

    def paid_once(calls: list[int], execution: Execution) -> bool:
        return execution.status != "completed" or len(calls) == 1

    report = chaos(saga, world=fresh, invariants=[paid_once], runs=600, rate=0.2, seed=1)
    inside = [
        crash for failure in report.failures for crash in failure.scenario.crashes if crash.to
    ]
    assert {crash.to for crash in inside} >= {"each/0"}
    for failure in report.failures:  # what is told did strike
        fresh()
        execution = simulate(saga, scenario=failure.scenario, id="chaos")
        events = Counter(path for path, _ in execution.history())
        assert all(crash.event < events[crash.to] for crash in failure.scenario.crashes)


def test_the_same_seed_gives_the_same_report_and_another_one_another(shop: Shop) -> None:
    texts = [str(of(shop, broken(shop), seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_every_failing_run_prints_the_line_that_replays_it(shop: Shop) -> None:
    saga = broken(shop)
    report = of(shop, saga, rate=0.2)
    assert len(report.failures) > 20
    lines = str(report).splitlines()
    for failure in report.failures:
        assert f"  {failure.scenario!r}" in lines
        scenario = eval(repr(failure.scenario), {"Scenario": Scenario})  # noqa: S307
        world = shop.fresh()
        execution = simulate(saga, scenario=scenario, id="chaos")
        assert execution.status == failure.status
        assert failure.broken == ("each_effect_at_most_once",)
        assert world.effects()["charge"] > 1


def test_a_failing_runs_scenario_holds_only_what_struck(shop: Shop) -> None:
    for failure in of(shop, broken(shop), rate=0.3).failures:
        execution = _replayed(shop, failure.scenario)
        started = Counter(getattr(event, "step", "") for event in execution.events)
        assert all(started[fault.step] for fault in failure.scenario.faults)


def _replayed(shop: Shop, scenario: Scenario) -> Any:
    shop.fresh()
    return simulate(broken(shop), scenario=scenario, id="chaos")


def test_each_broken_invariant_has_a_smallest_scenario(shop: Shop) -> None:
    (violation,) = of(shop, broken(shop), rate=0.5, crashes=False).violations
    assert violation.invariant == "each_effect_at_most_once"
    assert len(violation.scenario.faults) == 1
    assert violation.count > 10


def test_an_invariant_of_ones_own_is_asked_and_may_raise(shop: Shop) -> None:
    def never_undone(world: World, execution: Any) -> bool:
        if execution.compensated_steps:
            raise LookupError("undone")
        return True

    report = of(shop, shop.saga(), invariants=[never_undone])
    (violation,) = report.violations
    assert (violation.invariant, violation.problem) == ("never_undone", "LookupError: undone")


def test_a_rate_of_nought_strikes_nothing_and_one_of_one_strikes_everything(shop: Shop) -> None:
    calm = of(shop, shop.saga(), rate=0, runs=20)
    assert (calm.statuses, calm.strikes) == ({"completed": 20}, {})
    wild = of(shop, shop.saga(), rate=1, runs=200)
    assert wild.frame()["struck"].sum() > 400


def test_its_frame_counts_what_struck_and_how_it_ended(shop: Shop) -> None:
    report = of(shop, shop.saga(), rate=0.2)
    frame = report.frame()
    assert list(frame.columns) == ["struck", "completed", "compensated", "stuck"]
    assert (frame["struck"] == frame.drop(columns="struck").sum(axis="columns")).all()
    assert ("charge", "lose reply") in frame.index
    assert ("compensation of charge", "fail") in frame.index
    assert len(of(shop, shop.saga(), rate=0, runs=2).frame()) == 0


def test_its_reprs_are_the_same_on_every_run_and_escape_what_they_show(shop: Shop) -> None:
    report = of(shop, broken(shop))
    assert repr(report).startswith("<Chaos of 'shop', 400 runs, rate 0.1, seed 1: ")
    html = report._repr_html_()
    assert html == of(shop, broken(shop))._repr_html_()
    assert "Scenario().lose_reply(&quot;charge&quot;, 1)" in html
    assert 'src="data:image/svg+xml;base64,' in html
    assert "<svg" not in html
    assert "failing runs" not in of(shop, shop.saga())._repr_html_()


def test_sagas_inside_breakers_and_waits_are_struck_too() -> None:
    def act() -> None: ...
    def undo() -> None: ...

    bank = Service("bank", breaker=CircuitBreaker())
    pay = Saga("pay", step(act, undo, name="authorise", service="bank"), services=[bank])
    saga = Saga(
        "order",
        sub_saga(pay, name="pay"),
        for_each("lines", lambda: ["tea", "cups"], step(act, undo, name="reserve")),
        await_event("cleared", timeout=60),
        pivot(act, name="confirm", retry=Retry(3), reconcile=lambda: True),
    )
    report = chaos(saga, scenario=Scenario().signal("cleared"), rate=0.3, runs=300)
    seen = {(step, fault) for step, fault, _ in report.strikes}
    assert {
        ("pay/authorise", "trip"),
        ("compensation of pay/authorise", "repeat"),
        ("lines/0", "fail"),
        ("lines/1", "lose reply"),
        ("cleared", "drop"),
        ("(coordinator)", "crash before writing"),
    } <= seen
    assert report.holds, str(report)


def test_the_checkout_over_its_real_databases_keeps_its_books() -> None:
    pytest.importorskip("sqlalchemy")
    from sagakit.services import CheckoutWorld

    order = {
        "order_id": 1,
        "customer": "VINET",
        "ship_city": "Reims",
        "ship_country": "France",
        "shipper": "Federal Shipping",
        "lines": [{"product": 11, "quantity": 4}],
        "amount_cents": 12_345,
    }
    worlds: list[CheckoutWorld] = []

    def fresh() -> CheckoutWorld:
        if worlds:
            worlds.pop().close()
        worlds.append(CheckoutWorld(stock={11: 10}))
        return worlds[0]

    def books_balance(world: CheckoutWorld, execution: Any) -> bool:
        unfinished = {execution.id} if execution.status == "stuck" else set()
        return world.books(unfinished=unfinished).balanced

    report = chaos(
        lambda world: world.saga,
        order,
        world=fresh,
        runs=60,
        rate=0.3,
        invariants=[books_balance],
    )
    worlds.pop().close()
    assert report.holds, str(report)
    assert report.statuses["compensated"] > 5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runs": 0}, "runs is 0; give a whole number, 1 or more"),
        ({"runs": 2.5}, "runs is 2.5"),
        ({"rate": 1.1}, "rate is 1.1; give a probability, 0 to 1"),
        ({"rate": float("nan")}, "rate is nan"),
    ],
)
def test_what_makes_no_sense_is_refused(shop: Shop, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        of(shop, shop.saga(), **options)
    with pytest.raises(InputError):
        chaos(shop.saga(), object(), runs=1)


def test_it_says_how_far_it_is(shop: Shop) -> None:
    ticks: list[int] = []
    of(shop, shop.saga(), runs=7, progress=ticks.append)
    assert sum(ticks) == 7
