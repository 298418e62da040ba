"""Diagnosis: each symptom of the troubleshooting table, from a journal, with cause and fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagakit import (
    Engine,
    Execution,
    Retry,
    Saga,
    Scenario,
    TerminalError,
    await_event,
    simulate,
    step,
    sub_saga,
    timer,
)
from sagakit.drivers.local.engine import read_execution
from sagakit.journal.sqlite import SqliteJournal
from sagakit.lab import Finding, diagnose

DATA = Path(__file__).parents[2] / "data"
ORDER = Saga.from_yaml(DATA / "sagas" / "troubled" / "order.yaml")


def act() -> None: ...
def undo() -> None: ...


def found(execution: Execution, **options: Any) -> list[tuple[str, str]]:
    return [(one.symptom, one.step) for one in diagnose(execution, **options)]


TABLE = {
    "stuck-pending": ("stuck pending", "money_in", "waits for the event 'money_in', and none has"),
    "not-compensated": ("compensation not triggered", "send_mail", "'reserve_stock' turned the"),
    "duplicate-action": ("duplicate action", "write_invoice", "it was asked 2 times"),
    "slow-step": ("slow", "reserve_stock", "everything behind it waited for its answer"),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_scenario_of_the_table_is_diagnosed_from_its_journal(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "sagas.db"
    with Engine(path) as engine:
        engine.run(ORDER, id=name, scenario=Scenario.named(name), until_rest=True)
    journal = SqliteJournal(path, read_only=True)
    stored = read_execution(journal, journal.read(name), None)
    journal.close()
    (finding,) = diagnose(stored, remembered=True)
    symptom, step_name, cause = TABLE[name]
    assert (finding.symptom, finding.step) == (symptom, step_name)
    assert cause in finding.cause
    assert finding.fix


def test_an_execution_that_went_well_has_no_findings() -> None:
    scenario = Scenario().signal("money_in")
    assert diagnose(simulate(ORDER, scenario=scenario)) == ()
    assert found(simulate(ORDER, scenario=scenario.fail("create_order"))) == []


def test_the_fix_of_a_missing_signal_can_be_typed() -> None:
    saga = Saga("s", await_event("paid", timeout=9), await_event("shipped"))
    first = diagnose(simulate(saga, id="o-1", scenario=Scenario().signal("paid")))[0]
    assert "sagakit signal JOURNAL shipped --to o-1 --saga SAGA" in first.fix
    assert "give the wait a timeout" in first.fix


def test_a_signal_that_nearly_fits_is_named() -> None:
    def number() -> str:
        return "o-7"

    saga = Saga("s", await_event("paid", correlate=number), await_event("shiped", name="b"))
    scenario = Scenario().signal("paid", correlation="o-8")
    (finding,) = diagnose(simulate(saga, scenario=scenario))
    assert "one came for 'o-8', and this one waits for 'o-7'" in finding.cause
    assert "--correlation o-7" in finding.fix


def test_what_waits_for_a_time_only_is_well() -> None:
    with Engine() as engine:
        execution = engine.run(Saga("s", timer("night", 3600)), until_rest=True)
    assert (execution.status, diagnose(execution)) == ("waiting", ())


def test_what_was_asked_for_and_never_answered_is_pending() -> None:
    saga = Saga("s", step(act), step(act, name="b"))
    whole = simulate(saga)
    (finding,) = diagnose(Execution(saga, whole.events[:4]))
    assert (finding.symptom, finding.step) == ("stuck pending", "b")
    assert "sagakit recover" in finding.fix


def test_a_stuck_execution_tells_what_gave_up_and_how_to_resolve_it() -> None:
    saga = Saga("s", step(act, undo), step(act, name="b"))
    scenario = Scenario().fail("b").fail_compensation("act")
    (finding,) = diagnose(simulate(saga, scenario=scenario, id="o-1"))
    assert (finding.symptom, finding.step) == ("stuck", "act")
    assert "its compensation gave up: InjectedRefusal" in finding.cause
    assert "sagakit resolve JOURNAL o-1" in finding.fix


def test_an_abandoned_execution_is_not_well() -> None:
    def refuse() -> None:
        raise TerminalError("no")

    saga = Saga("s", step(act, refuse), step(refuse, name="b"))
    with Engine() as engine:
        engine.run(saga, id="o-1")
        (finding,) = diagnose(engine.resolve("o-1", "abandon", by="ann", why="too old"))
    assert (finding.symptom, finding.step) == ("stuck", "act")
    assert "ann abandoned the execution: too old" in finding.cause
    assert "by hand" in finding.fix


@pytest.mark.parametrize("slow", [0, -1, "1", None])
def test_a_time_that_makes_nothing_slow_is_refused(slow: Any) -> None:
    with pytest.raises(ValueError, match=r"slow is .*; give seconds, more than 0"):
        diagnose(simulate(Saga("s", step(act))), slow=slow)


@pytest.mark.parametrize(
    ("result", "sign"),
    [
        ({"error": "no stock"}, "'error'"),
        ({"ok": False}, "'ok: false'"),
        ({"status": 503}, "'status: 503'"),
        ({"status": "FAILED"}, "'status: FAILED'"),
        ({"error": None, "ok": True, "status": 200, "code": "A"}, ""),
        ({"status": "pending"}, ""),
        ("error", ""),
        (None, ""),
    ],
)
def test_a_result_that_looks_like_a_swallowed_error_is_named(result: Any, sign: str) -> None:
    def reserve() -> Any:
        return result

    findings = diagnose(simulate(Saga("s", step(reserve, undo))))
    assert [one.symptom for one in findings] == (["compensation not triggered"] if sign else [])
    if sign:
        assert f"a result with {sign}, as though" in findings[0].cause
        assert "no stock" not in findings[0].cause, "values may be sensitive"


def test_what_only_reads_or_waits_need_not_be_compensated() -> None:
    def look() -> int:
        return 1

    def fail() -> None:
        raise TerminalError("no")

    saga = Saga("s", step(look, read=True), await_event("e"), step(fail))
    execution = simulate(saga, scenario=Scenario().signal("e"))
    assert (execution.status, found(execution)) == ("compensated", [])


@pytest.mark.parametrize("scenario", [Scenario().lose_reply("act", 1), Scenario().crash(1)])
def test_a_repeat_is_no_finding_where_the_step_is_declared_idempotent(scenario: Scenario) -> None:
    def execution(**options: Any) -> Execution:
        return simulate(Saga("s", step(act, undo, retry=Retry(3), **options)), scenario=scenario)

    assert found(execution()) == [("duplicate action", "act")]
    assert found(execution(idempotent=True)) == []
    assert found(execution(idempotent=True), remembered=True) == [("duplicate action", "act")]


def test_a_retry_of_what_surely_failed_is_no_duplicate() -> None:
    saga = Saga("s", step(act, undo, retry=Retry(3)))
    assert found(simulate(saga, scenario=Scenario().fail("act", first=2))) == []


def test_where_the_time_went_decides_the_fix() -> None:
    saga = Saga("s", step(act, undo, retry=Retry(3, wait=5)))
    (waited,) = diagnose(simulate(saga, scenario=Scenario().fail("act", 1)))
    assert "its retries waited in between" in waited.cause
    (ran,) = diagnose(simulate(saga, scenario=Scenario().slow("act", 2)))
    assert "everything behind it waited" in ran.cause
    assert found(simulate(saga, scenario=Scenario().slow("act", 2)), slow=3) == []


def test_what_is_wrong_inside_is_told_by_its_path() -> None:
    pay = Saga("pay", step(act, undo, retry=Retry(2)), await_event("booked"))
    saga = Saga("order", sub_saga(pay, name="pay"))
    execution = simulate(saga, id="o-1", scenario=Scenario().lose_reply("pay/act", 1))
    assert found(execution) == [
        ("stuck pending", "pay/booked"),
        ("duplicate action", "pay/act"),
    ]
    assert "--to o-1/pay" in diagnose(execution)[0].fix


def test_a_finding_is_a_value() -> None:
    assert Finding("slow", "a", "b", "c") == Finding("slow", "a", "b", "c")
