"""A trace as a value: its tree, its times, and its timeline in the view that executions have."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracefiles.spans_to_write import trees

from sagakit import SagaError
from sagakit.spans import Span
from sagakit.trace_view import MOST_DEEP, Trace

TRACES = Path(__file__).parents[1] / "data" / "traces"


def span(number: int, parent: int | None, start: float, end: float | None, **more: Any) -> Span:
    name = more.pop("name", f"s{number}")
    above = None if parent is None else f"{parent:016x}"
    return Span("1" * 32, f"{number:016x}", above, name, start, end, **more)


ORDER = span(1, None, 100.0, 110.0, name="order", service="shop")
PAY = span(2, 1, 101.0, 103.0, name="pay", status="error", message="refused", service="bank")
AGAIN = span(3, 1, 104.0, 106.0, name="pay", service="bank")
PACK = span(4, 1, 105.0, None, name="pack/wrap", service="stock")
LOST = span(5, 99, 108.0, 112.0, name="lost")
TRACE = Trace([LOST, PACK, AGAIN, PAY, ORDER], "order.json")


def rows(trace: Trace) -> list[tuple[str, ...]]:
    return list(trace.timeline().table[1:])


def test_a_span_whose_parent_is_missing_is_a_root_and_keeps_its_parents_id() -> None:
    assert TRACE.roots == (ORDER, LOST)
    assert TRACE.roots[1].parent_id == f"{99:016x}"
    assert TRACE.children(ORDER) == (PAY, AGAIN, PACK)
    assert TRACE.tree == ((0, ORDER), (1, PAY), (1, AGAIN), (1, PACK), (0, LOST))


def test_its_duration_is_from_the_first_start_to_the_last_known_time() -> None:
    assert (TRACE.start, TRACE.duration, TRACE.services) == (100.0, 12.0, ("shop", "bank", "stock"))
    assert (Trace([]).start, Trace([]).duration, Trace([]).roots) == (0.0, 0.0, ())
    assert Trace([span(1, None, 3.0, None)]).duration == 0.0


def test_self_time_leaves_out_what_is_inside_each_moment_once() -> None:
    assert TRACE.self_time(ORDER) == pytest.approx(2.0)  # 100 to 101, 103 to 104; then `pack` runs
    assert TRACE.self_time(PAY) == 2.0
    assert TRACE.self_time(PACK) is None
    outside = Trace([span(1, None, 10, 20), span(2, 1, 5, 12), span(3, 1, 18, 30)])
    assert outside.self_time(outside.roots[0]) == 6.0


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), max_size=6),
    st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted),
)
def test_self_time_is_what_counting_the_seconds_gives(
    inside: list[list[int]], around: list[int]
) -> None:
    parent = span(1, None, float(around[0]), float(around[1]))
    children = [
        span(number, 1, float(start), float(end))
        for number, (start, end) in enumerate(inside, start=2)
    ]
    alone = [
        second
        for second in range(around[0], around[1])
        if not any(start <= second < end for start, end in inside)
    ]
    assert Trace([parent, *children]).self_time(parent) == len(alone)


def test_the_timeline_has_a_row_for_each_place_in_the_tree() -> None:
    assert rows(TRACE) == [
        ("order", "action", "1", "0 s", "10 s", "succeeded", ""),
        ("order/pay", "action", "1", "1 s", "2 s", "failed", "refused"),
        ("order/pay", "action", "2", "4 s", "2 s", "succeeded", ""),
        ("order/pack∕wrap", "action", "1", "5 s", "", "running", ""),
        ("lost", "action", "1", "8 s", "4 s", "succeeded", ""),
    ]
    svg = TRACE.timeline().svg
    assert "order.json" in svg
    assert svg == TRACE.timeline().svg


def test_siblings_of_one_name_that_overlap_have_rows_of_their_own() -> None:
    trace = Trace(
        [
            span(1, None, 0, 9),
            *(span(number, 1, start, end, name="work") for number, start, end in
              ((2, 0, 5), (3, 1, 2), (4, 2, 6), (5, 5, 9))),
            span(6, 4, 3, 4, name="inner"),
            span(7, 3, 1, 2, name="inner"),
        ]
    )  # fmt: skip
    assert sorted((row[0], row[2]) for row in rows(trace)[1:]) == [
        ("s1/work", "1"), ("s1/work", "2"), ("s1/work #2", "1"), ("s1/work #2", "2"),
        ("s1/work #2/inner", "1"), ("s1/work #2/inner", "2"),
    ]  # fmt: skip


def test_compensations_of_a_saga_stand_on_their_own_side() -> None:
    back = {"saga.side": "compensation"}
    trace = Trace(
        [span(1, None, 0, 9, name="saga"), span(2, 1, 1, 2, attributes=back),
         span(3, 1, 3, 4, attributes=back, status="error"),
         span(4, 1, 0, 1, attributes={"saga.side": "action", "saga.in_doubt": True})]
    )  # fmt: skip
    assert [(row[0], row[1], row[5]) for row in rows(trace)[1:]] == [
        ("saga/s4", "action", "in doubt"),
        ("saga/s2", "compensation", "compensated"),
        ("saga/s3", "compensation", "compensation failed"),
    ]


def test_a_tree_that_is_very_deep_is_drawn_down_to_a_level_and_counted_below_it() -> None:
    deep = Trace([span(1, None, 0, 9), *(span(n, n - 1, 0, 9) for n in range(2, 3001))])
    assert len(rows(deep)) == MOST_DEEP
    assert rows(deep)[-1][-1] == f"{3000 - MOST_DEEP:,} more inside"
    assert deep.tree[-1][0] == 2999


def test_names_that_no_row_could_have_are_mended() -> None:
    odd = Trace([span(1, None, 0, 9, name=" "), span(2, 1, 0, 9, name="a\n b\x00\t/")])
    assert [row[0] for row in rows(odd)] == ["(nameless)", "(nameless)/a b\x00 ∕"]
    assert "\x00" not in odd.timeline().svg


def test_its_reprs_are_a_line_and_a_picture() -> None:
    assert repr(TRACE) == "<Trace of 'order.json': 5 spans, 3 services, 12 s, 1 failed, 1 running>"
    assert repr(Trace([ORDER])) == "<Trace of 'order': 1 span, 1 service, 10 s>"
    assert len(repr(Trace([ORDER], "x" * 500))) < 120
    assert repr(Trace([])) == "<Trace of '': 0 spans, 0 s>"
    assert TRACE._repr_html_().startswith('<img src="data:image/svg+xml;base64,')
    assert Trace([])._repr_html_().startswith('<img src="data:image/svg+xml;base64,')


@pytest.mark.parametrize("file", sorted(path.name for path in TRACES.glob("*.json*")))
def test_traces_of_other_tools_open_in_the_timeline(file: str) -> None:
    trace = Trace.read(TRACES / file)
    assert trace.name == file
    table = trace.timeline().table
    assert len(table) == len(trace.spans) + 1
    for _, one in trace.tree:
        assert any(row[0].rpartition("/")[2] == one.name.replace("/", "∕") for row in table[1:])


def test_a_trace_written_is_the_trace_read(tmp_path: Path) -> None:
    TRACE.write(tmp_path / "t.json", format="chrome")
    found = Trace.read(tmp_path / "t.json")
    assert found.tree == TRACE.tree
    assert Trace.read((tmp_path / "t.json").read_bytes(), format="chrome").name == "order"


@given(trees(10**6))
def test_any_trace_is_drawn_and_its_tree_holds_every_span_once(spans: list[Span]) -> None:
    trace = Trace(spans)
    assert sorted(map(repr, spans)) == sorted(repr(one) for _, one in trace.tree)
    assert trace._repr_html_().startswith("<img")
    assert "\n" not in repr(trace)
    assert len(rows(trace)) == len(spans)
    for one in spans:
        alone, took = trace.self_time(one), one.duration
        assert (alone is None) == (took is None)
        assert alone is None or took is None or 0 <= alone <= took


def test_spans_that_are_no_tree_are_refused() -> None:
    with pytest.raises(SagaError, match="two spans have the same id"):
        Trace([ORDER, ORDER])
    looped = msgspec.structs.replace(ORDER, parent_id=PAY.span_id)
    with pytest.raises(SagaError, match=r"span '\w+' is inside itself"):
        Trace([looped, PAY])


def _many(shape: str) -> list[Span]:
    above: dict[str, Callable[[int], int | None]] = {
        "each with twelve inside": lambda n: n // 12 + 1,
        "all inside one": lambda n: 1,
        "all roots": lambda n: None,
        "each inside the last": lambda n: n - 1,
    }
    spans = [span(1, None, 0, 9999, name="batch")]
    return spans + [span(n, above[shape](n), n, 9999 - n) for n in range(2, 4999)]


@pytest.mark.parametrize(
    "shape",
    ["each with twelve inside", "all inside one", "all roots", "each inside the last"],
)
def test_five_thousand_spans_are_drawn_at_once_in_a_picture_of_no_great_size(shape: str) -> None:
    trace = Trace(_many(shape))
    began = time.perf_counter()
    picture = trace.timeline()
    assert time.perf_counter() - began < 5  # at most 0.4 s on an idle machine
    assert len(picture.svg) < 500_000
    assert "batch" in picture.svg
    words = " ".join(cell for row in picture.table for cell in row)
    assert re.search("[0-9] more", words)
    assert len(picture.table) < 400
