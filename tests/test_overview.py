"""What many executions say together."""

from __future__ import annotations

import pytest

from sagakit import (
    Engine,
    Overview,
    Retry,
    Saga,
    Scenario,
    Simulated,
    TerminalError,
    pivot,
    simulate,
    step,
    sub_saga,
)


def lasting(name, seconds, **options):
    undo = Simulated("undo", latency=seconds)
    return step(Simulated(name, latency=seconds), undo, name=name, **options)


SAGA = Saga("s", lasting("a", 1), lasting("b", 2, retry=Retry(3, wait=5)), lasting("c", 4))
SCENARIOS = [
    None,
    None,
    Scenario().fail("c"),
    Scenario().fail("b", attempt=1),
    Scenario().lose_reply("b"),
]
CHARTS = ("durations", "slowest", "funnel", "retries", "most_retried", "latency", "self_time")


@pytest.fixture
def overview():
    return Overview(simulate(SAGA, n, scenario=s) for n, s in enumerate(SCENARIOS))


def table(chart):
    return chart.table[1:]


def test_it_counts_how_they_ended(overview):
    assert len(overview) == 5
    assert dict(overview.statuses) == {"completed": 3, "compensated": 2}
    assert repr(overview) == "<Overview of 5 executions: 2 compensated, 3 completed>"


def test_the_frame_has_a_row_for_each_step_of_each_execution(overview):
    frame = overview.frame()
    assert len(frame) == 3 + 3 + 3 + 3 + 2
    sums = frame.groupby("step", observed=True)[["run", "retry_wait", "compensation"]].sum()
    assert sums.loc["b"].tolist() == [2 + 2 + 2 + (0 + 2) + 6, 5 + (5 + 10), 2 + 2]
    assert frame["execution"].nunique() == 5
    assert str(frame["started_at"].dtype) == "datetime64[ns, UTC]"
    empty = Overview([]).frame()
    assert [str(kind) for kind in empty.dtypes] == [str(kind) for kind in frame.dtypes]


def test_the_funnel_tells_who_reached_failed_and_undid_each_step(overview):
    rows = {row[0]: row[1:] for row in table(overview.funnel())}
    assert list(rows) == ["a", "b", "c"], "in the order of the definition"
    numbers = {step: [int(cell) for cell in cells[:4]] for step, cells in rows.items()}
    assert numbers == {"a": [5, 0, 2, 0], "b": [5, 1, 2, 0], "c": [4, 1, 0, 0]}


def test_every_chart_draws_and_is_the_same_again(overview):
    for name in CHARTS:
        chart = getattr(overview, name)()
        assert chart.png == getattr(overview, name)().png, name
        assert chart.alt, name


def test_without_executions_every_chart_says_so():
    for name in CHARTS:
        assert getattr(Overview([]), name)().png


def test_what_is_inside_a_step_is_told_apart_from_the_step_itself():
    outer = Saga("outer", sub_saga(SAGA, name="inner"), lasting("z", 3))
    overview = Overview([simulate(outer)])
    rows = {row[0]: row for row in table(overview.self_time())}
    assert rows["inner"][1:4:2] == ("0 s", "7 s")
    assert rows["z"][1:4:2] == ("3 s", "0 s")


def test_a_large_journal_is_read_one_execution_after_another(tmp_path):
    def refuse():
        raise TerminalError("no")

    saga = Saga("t", lasting("a", 0), pivot(refuse, name="p"))
    with Engine(tmp_path / "j.db") as engine:
        for _ in range(3):
            engine.run(saga)
        found = engine.executions(saga="t", limit=2)
        assert next(found).failed_step == "p"
        assert repr(Overview(found)) == "<Overview of 1 execution: 1 compensated>"
