"""Where the time went: the arithmetic of timings, the critical path, and the tables of both."""

from __future__ import annotations

import asyncio
import itertools

import pandas as pd
import pytest
from hypothesis import given
from sagas import sagas

from sagakit import Bulkhead, Retry, Saga, Scenario, Service, Simulated, for_each, simulate, step
from sagakit.event_spans import read_spans
from sagakit.execution import Execution
from sagakit.tables import spans_frame, timings_frame
from sagakit.timings import StepTiming, critical_path, read_timings


def lasting(name: str, seconds: float, undo: float | None = None, **options):
    compensation = None if undo is None else Simulated(f"undo_{name}", latency=undo)
    return step(Simulated(name, latency=seconds), compensation, name=name, **options)


def timing(execution: Execution, name: str) -> StepTiming:
    found = read_timings(execution.saga, execution.events)
    return next(row for row in found if row.step == name)


def path(execution: Execution) -> list[tuple[str, str]]:
    return [(piece.step, piece.side) for piece in execution.critical_path]


def test_the_critical_path_goes_through_what_was_waited_for() -> None:
    saga = Saga(
        "s",
        lasting("a", 1),
        lasting("short", 1, after="a"),
        lasting("long", 4, after="a"),
        lasting("join", 2, after=("short", "long")),
    )
    execution = simulate(saga)
    assert path(execution) == [("a", "action"), ("long", "action"), ("join", "action")]
    assert [(p.start, p.end) for p in execution.critical_path] == [(0, 1), (1, 5), (5, 7)]
    shares = {row.step: row.share for row in read_timings(saga, execution.events)}
    assert shares == {"a": 1 / 7, "short": 0, "long": 4 / 7, "join": 2 / 7}


def test_on_the_way_back_it_goes_through_the_compensations_and_what_settled_last() -> None:
    saga = Saga(
        "s",
        lasting("a", 1, 1),
        lasting("slow", 5, 2, after="a"),
        lasting("refused", 3, after="a"),
    )
    execution = simulate(saga, scenario=Scenario().fail("refused"))
    assert path(execution) == [
        ("a", "action"),
        ("slow", "action"),  # it settles before anything is undone
        ("slow", "compensation"),
        ("a", "compensation"),
    ]
    assert timing(execution, "slow").compensation == 2
    assert timing(execution, "slow").total == 7
    assert sum(row.share for row in read_timings(saga, execution.events)) == pytest.approx(1)


def test_a_step_with_nothing_to_undo_is_passed_over_on_the_way_back() -> None:
    saga = Saga("s", lasting("a", 1, 1), lasting("read", 1), lasting("c", 1, 3), lasting("d", 1))
    execution = simulate(saga, scenario=Scenario().fail("d"))
    assert path(execution)[-2:] == [("c", "compensation"), ("a", "compensation")]


def test_attempts_and_the_waits_between_them_are_told_apart() -> None:
    saga = Saga("s", lasting("a", 2, retry=Retry(3, wait=5)))
    row = timing(simulate(saga, scenario=Scenario().lose_reply("a", attempt=1)), "a")
    assert (row.attempts, row.run, row.retry_wait, row.total) == (2, 4, 5, 9)


def test_the_time_that_a_service_holds_a_call_is_neither_run_nor_queue() -> None:
    bank = Service("bank", bulkhead=Bulkhead(calls=1))
    saga = Saga(
        "s",
        lasting("a", 4, service="bank"),
        lasting("b", 3, service="bank", after=()),
        services=[bank],
    )
    row = timing(simulate(saga), "b")
    assert (row.queue, row.held, row.run, row.total) == (0, 4, 3, 7)


def test_a_step_that_begins_late_was_queued() -> None:
    async def nap() -> None:
        await asyncio.sleep(1)

    saga = Saga("s", for_each("naps", lambda ctx: [1, 2], step(nap), limit=1))
    inside = simulate(saga).children["naps"]
    assert [row.queue for row in read_timings(inside.saga, inside.events)] == [0, 1]


def test_what_still_runs_is_measured_up_to_the_last_event() -> None:
    saga = Saga("s", lasting("a", 2), lasting("b", 2, after=()), lasting("c", 9, after="a"))
    events = simulate(saga).events
    cut = next(n for n, event in enumerate(events) if getattr(event, "step", "") == "c")
    row = next(r for r in read_timings(saga, events[: cut + 1]) if r.step == "c")
    assert (row.outcome, row.run) == ("running", 0)


@given(sagas())
def test_timings_add_up(saga: Saga) -> None:
    execution = simulate(saga)
    rows = read_timings(execution.saga, execution.events)
    assert {row.step for row in rows} >= {name for name in execution.begun if "skip" not in name}
    for row in rows:
        parts = (row.queue, row.held, row.run, row.retry_wait, row.compensation)
        assert min(parts) >= 0
        assert row.queue + row.run + row.retry_wait + row.compensation <= row.total + 1e-6
        assert 0 <= row.share <= 1 + 1e-9
    pieces = execution.critical_path
    for before, after in itertools.pairwise(pieces):
        assert before.end <= after.start + 1e-9, "a piece begins when the one before it is over"
    if pieces:
        last = max(span.end or 0 for span in read_spans(execution.saga, execution.events)[1:])
        assert pieces[-1].end == pytest.approx(last - execution.started_at)


def test_the_tables_are_typed_and_an_empty_one_has_the_same_columns() -> None:
    saga = Saga("s", lasting("a", 2, service="bank"))
    execution = simulate(saga)
    spans, timings = execution.spans, execution.timings
    assert len(spans) == 3
    assert len(timings) == 1
    assert str(spans["start"].dtype) == str(spans["end"].dtype) == "datetime64[ns, UTC]"
    assert spans["duration"].tolist() == [2.0, 2.0, 2.0]
    assert spans["attempt"].tolist() == [pd.NA, pd.NA, 1]
    assert spans.loc[1, "service"] == "bank"
    assert timings.loc[0, ["run", "share"]].tolist() == [2.0, 1.0]
    for whole, empty in ((spans, spans_frame([])), (timings, timings_frame([]))):
        assert [str(kind) for kind in whole.dtypes] == [str(kind) for kind in empty.dtypes]
        assert list(whole.columns) == list(empty.columns)


def test_a_span_under_way_has_no_end() -> None:
    saga = Saga("s", lasting("a", 2))
    frame = Execution(saga, simulate(saga).events[:2]).spans
    assert frame["end"].isna().all()
    assert frame["duration"].isna().all()


def test_without_events_of_steps_there_is_no_path() -> None:
    saga = Saga("s", lasting("a", 2))
    assert critical_path(saga, simulate(saga).events[:1]) == ()
    assert read_timings(saga, simulate(saga).events[:1]) == []
