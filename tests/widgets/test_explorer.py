"""The explorer: spans as columns that fit together, laid out as the trace is, details on demand."""

from __future__ import annotations

import itertools
import json
import math
import struct
import tracemalloc
from typing import Any

import pytest

from sagakit import Saga, Scenario, Trace, compare, for_each, simulate, step, sub_saga
from sagakit.errors import SagaError
from sagakit.lab import ORDER, Twin
from sagakit.spans import Span
from sagakit.views import STATES, STATUSES
from sagakit.widgets.explorer import TraceExplorer

SIZES = {"f8": ("d", 8), "i4": ("i", 4), "u1": ("B", 1)}


def _column(explorer: TraceExplorer, part: str, name: str, run: int = 0) -> list[Any]:
    """A column as the page reads it out of the bytes."""
    table = explorer.state["runs"][run][part]
    place, kind = table[name]
    code, size = SIZES[kind]
    assert place % size == 0  # else no typed array can stand there
    return list(struct.unpack_from(f"<{table['count']}{code}", explorer.numbers, place))


def _texts(explorer: TraceExplorer, part: str, name: str, run: int = 0) -> list[str]:
    texts = explorer.state["runs"][run]["texts"]
    return [texts[number] for number in _column(explorer, part, name, run)]


def _failed() -> Any:
    scenario = Scenario().lose_reply("charge_payment", 1).fail("confirm_order")
    return simulate(Twin().saga, ORDER, scenario=scenario)


def test_the_columns_hold_every_span_as_it_is():
    execution = _failed()
    explorer = TraceExplorer(execution)
    spans = sorted(execution.read_spans(), key=lambda span: (span.name, span.start))
    rows = zip(
        _texts(explorer, "spans", "name"),
        _column(explorer, "spans", "start"),
        _column(explorer, "spans", "end"),
        _texts(explorer, "spans", "service"),
        strict=True,
    )
    assert sorted(rows) == [
        (span.name, span.start, span.end, str(span.attributes.get("saga.step.service", "")))
        for span in spans
    ]


def test_every_outcome_has_a_look():
    explorer = TraceExplorer(_failed())
    outcomes = dict(
        zip(_texts(explorer, "spans", "name"), _texts(explorer, "spans", "outcome"), strict=True)
    )
    assert outcomes["charge_payment #1"] == "in doubt"
    assert outcomes["confirm_order"] == "failed"
    assert outcomes["compensate charge_payment"] == "compensated"
    assert outcomes["saga checkout"] == "compensated"
    assert set(outcomes.values()) <= STATES.keys() | STATUSES.keys()


def test_a_span_that_runs_has_no_end():
    trace = Trace([Span("a" * 32, "b" * 16, None, "slow", 1.0, None)])
    explorer = TraceExplorer(trace)
    assert math.isnan(_column(explorer, "spans", "end")[0])
    assert _texts(explorer, "spans", "outcome") == ["running"]


def test_attempts_share_a_lane_and_what_is_inside_a_lane_follows_it():
    explorer = TraceExplorer(_failed())
    names = _texts(explorer, "spans", "name")
    lanes = _column(explorer, "spans", "lane")
    assert lanes[names.index("charge_payment #1")] == lanes[names.index("charge_payment #2")]
    depths, sizes = _column(explorer, "lanes", "depth"), _column(explorer, "lanes", "size")
    for lane, (depth, size) in enumerate(zip(depths, sizes, strict=True)):
        within = depths[lane + 1 : lane + 1 + size]
        assert all(other > depth for other in within)
        assert depths[lane + 1 + size : lane + 2 + size] in ([], *([d] for d in range(depth + 1)))


def test_a_lane_holds_no_two_spans_at_once():
    def spans(*times: tuple[float, float]) -> list[Span]:
        return [
            Span("a" * 32, f"{number:016}", None, "call", start, end)
            for number, (start, end) in enumerate(times)
        ]

    explorer = TraceExplorer(Trace(spans((0, 2), (1, 3), (2, 4))))
    assert _column(explorer, "spans", "lane") == [0, 0, 1]  # in the order of the lanes
    assert _texts(explorer, "lanes", "label") == ["call", "call #2"]


def test_spans_stand_lane_by_lane_and_in_a_lane_one_follows_the_other():
    execution = simulate(
        Saga("s", for_each("all", lambda ctx: list(range(9)), step(lambda: 1, name="a"))),
        scenario=Scenario().slow("all/3", 2).fail("all/4"),
    )
    explorer = TraceExplorer(execution)
    lanes = _column(explorer, "spans", "lane")
    assert lanes == sorted(lanes)
    starts, ends = _column(explorer, "spans", "start"), _column(explorer, "spans", "end")
    for span, (lane, after) in enumerate(itertools.pairwise(lanes)):
        assert lane != after or ends[span] <= starts[span + 1]


def test_parents_stand_before_their_children():
    explorer = TraceExplorer(_failed())
    names, parents = _texts(explorer, "spans", "name"), _column(explorer, "spans", "parent")
    assert parents[0] == -1
    assert names[parents[names.index("charge_payment #1")]] == "charge_payment"


def _nested() -> Any:
    inner = Saga("inner", step(lambda: 1, name="x"), step(lambda: 2, name="y"))
    return simulate(
        Saga("outer", sub_saga(inner, name="in"), step(lambda: 3, name="z")),
        scenario=Scenario().slow("in/x", 3),
    )


def test_spans_know_their_node_of_the_graph_also_inside_others():
    explorer = TraceExplorer(_nested())
    run = explorer.state["runs"][0]
    names, nodes = _texts(explorer, "spans", "name"), _column(explorer, "spans", "node")
    paths = [node["path"] for node in run["nodes"]]
    assert paths[nodes[names.index("x #1")]] == "in/x"
    assert paths[nodes[names.index("saga inner")]] == "in"
    assert nodes[names.index("saga outer")] == -1
    assert run["states"] == ["succeeded"] * 4


def test_the_critical_path_is_marked_also_inside_others():
    explorer = TraceExplorer(_nested())
    names, critical = _texts(explorer, "spans", "name"), _column(explorer, "spans", "critical")
    marked = {name for name, on in zip(names, critical, strict=True) if on}
    assert {"in", "x", "x #1", "z"} <= marked


def test_of_any_trace_the_spans_that_decided_when_it_ended_are_marked():
    def span(name: str, inside: str | None, start: float, end: float | None) -> Span:
        return Span("a" * 32, name, inside, name, start, end)

    trace = Trace([
        span("all", None, 0, 10),
        span("quick", "all", 0, 2),
        span("slow", "all", 0, 4),
        span("deep", "slow", 1, 4),
        span("short", "slow", 1, 3.5),
        span("last", "all", 4, None),
    ])  # fmt: skip
    explorer = TraceExplorer(trace)
    names, critical = _texts(explorer, "spans", "name"), _column(explorer, "spans", "critical")
    marked = {name for name, on in zip(names, critical, strict=True) if on}
    assert marked == {"all", "last", "slow", "deep"}


def test_a_span_of_an_item_that_is_not_drawn_belongs_to_the_step_around_it():
    saga = Saga("s", for_each("all", lambda ctx: list(range(40)), step(lambda: 1, name="a")))
    explorer = TraceExplorer(simulate(saga))
    names, nodes = _texts(explorer, "spans", "name"), _column(explorer, "spans", "node")
    paths = [node["path"] for node in explorer.state["runs"][0]["nodes"]]
    assert {paths[node] for node in nodes if node >= 0} == set(paths)
    assert paths[nodes[names.index("39 #1")]] == "all"


def test_details_come_for_the_span_that_is_selected():
    explorer = TraceExplorer(_failed())
    number = _texts(explorer, "spans", "name").index("charge_payment #1")
    before = explorer.state
    explorer.edit = {"seq": 1, "run": 0, "span": number}
    found = explorer.details
    assert (found["seq"], found["name"]) == (1, "charge_payment #1")
    assert found["attributes"]["saga.in_doubt"] is True
    assert [event["name"] for event in found["events"]] == ["saga.fault.injected", "exception"]
    assert explorer.selected == (0, number)
    assert explorer.state is before  # nothing is sent a second time
    explorer.edit = {"seq": 2, "span": None}
    assert explorer.selected is None
    json.dumps(found)


def test_a_compensation_is_linked_to_what_it_undoes():
    explorer = TraceExplorer(_failed())
    names = _texts(explorer, "spans", "name")
    explorer.edit = {"seq": 1, "run": 0, "span": names.index("compensate charge_payment")}
    (link,) = explorer.details["links"]
    assert names[link["span"]] == "charge_payment"


def test_a_span_that_is_not_there_is_said_so():
    explorer = TraceExplorer(_failed())
    explorer.edit = {"seq": 4, "run": 0, "span": 999}
    assert explorer.state["seq"] == 4
    assert explorer.state["said"]["text"].startswith("there is no span 999")


def test_two_executions_stand_beside_each_other_with_what_differs():
    first, second = _failed(), simulate(Twin().saga, ORDER)
    explorer = TraceExplorer(first, second)
    assert [run["status"] for run in explorer.state["runs"]] == ["compensated", "completed"]
    found = compare(first, second).differences
    assert [one["words"] for one in explorer.state["differences"]] == [one.words for one in found]
    twins = _column(explorer, "lanes", "twin")
    labels = [_texts(explorer, "lanes", "label", run) for run in (0, 1)]
    for lane, twin in enumerate(twins):
        assert twin == -1 or labels[0][lane] == labels[1][twin]
    assert twins[labels[0].index("compensate charge_payment")] == -1
    for one in explorer.state["differences"]:
        name = f"compensate {one['step']}" if one["side"] == "compensation" else one["step"]
        for run, lane in enumerate(one["lanes"]):
            ran = (one["first"], one["second"])[run] != "not started"
            assert (labels[run][lane] if lane >= 0 else "") == (name or "saga checkout") * ran
    assert "differences" in repr(explorer._comparison)
    assert repr(explorer) == "<TraceExplorer of 'checkout': compensated and 'checkout': completed>"


def test_what_cannot_be_explored_is_refused_with_its_cure():
    with pytest.raises(SagaError, match=r"give an Execution, or Trace\.read"):
        TraceExplorer("trace.json")
    with pytest.raises(SagaError, match="no steps in common"):
        TraceExplorer(_failed(), _nested())


def test_a_trace_of_a_file_is_explored_without_a_graph(tmp_path):
    execution = _failed()
    path = Trace(execution.read_spans()).write(tmp_path / "trace.json")
    explorer = TraceExplorer(Trace.read(path))
    assert explorer.state["runs"][0]["nodes"] == []
    assert repr(explorer) == f"<TraceExplorer of 'trace.json': {len(execution.read_spans())} spans>"
    assert "<img" in explorer._repr_mimebundle_()[0]["text/html"]


def test_five_thousand_spans_are_half_a_megabyte_for_the_page():
    saga = Saga("s", for_each("all", lambda ctx: list(range(2500)), step(lambda: 1, name="a")))
    execution = simulate(saga)
    explorer = TraceExplorer(execution)
    assert explorer.state["runs"][0]["spans"]["count"] > 5000
    assert len(explorer.numbers) + len(json.dumps(explorer.state)) < 500_000


def _chain(depth: int, name: str) -> Trace:
    ids = [f"{number:016x}" for number in range(depth)]
    spans = (
        Span("a" * 32, own, ids[number - 1] if number else None, name, 0.0, 1.0)
        for number, own in enumerate(ids)
    )
    return Trace(spans)


def test_a_deep_trace_takes_as_much_memory_as_a_flat_one_of_the_same_size():
    deep = _chain(2000, "a long name, " * 20)
    tracemalloc.start()
    try:
        explorer = TraceExplorer(deep, deep)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20e6
    assert _column(explorer, "lanes", "twin") == list(range(2000))


def test_lanes_of_a_name_are_twins_only_where_what_is_around_them_is():
    def trace(outer: str) -> Trace:
        ids = ("1" * 16, "2" * 16)
        return Trace(
            [
                Span("a" * 32, ids[0], None, outer, 0.0, 1.0),
                Span("a" * 32, ids[1], ids[0], "same", 0.0, 1.0),
            ]
        )

    assert _column(TraceExplorer(trace("x"), trace("x")), "lanes", "twin") == [0, 1]
    assert _column(TraceExplorer(trace("x"), trace("y")), "lanes", "twin") == [-1, -1]


def test_an_attribute_is_shown_as_it_is_whatever_its_value():
    given = {"id": 2**63 - 1, "rate": math.nan, "most": (1.5, math.inf), "raw": b"x", "fine": 7}
    explorer = TraceExplorer(Trace([Span("a" * 32, "b" * 16, None, "x", 0, 1, attributes=given)]))  # type: ignore[arg-type]
    explorer.edit = {"seq": 1, "run": 0, "span": 0}
    shown = explorer.details["attributes"]
    assert json.loads(json.dumps(shown, allow_nan=False)) == {
        "id": "9223372036854775807",  # the page would say 9223372036854775808
        "rate": "nan",
        "most": [1.5, "inf"],
        "raw": "b'x'",
        "fine": 7,
    }
