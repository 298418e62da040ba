from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import STATUSES, Bar, Mark, timeline_picture, timeline_svg
from sagakit.views.style import MARKS
from sagakit.views.timescale import duration, order_scale, time_scale

from .conftest import parsed, words

Texts = Callable[[str], list[str]]
OUTCOMES = ["succeeded", "failed", "in doubt", "running", "compensated", "compensation failed"]
label = st.text(st.characters(codec=None), max_size=20)
seconds = st.floats(0, 1e7, allow_nan=False)


def bar(
    step: str,
    start: float,
    end: float | None,
    outcome: str = "succeeded",
    side: str = "action",
    attempt: int = 1,
    words: str = "",
) -> Bar:
    return Bar(
        step=step, side=side, attempt=attempt, start=start, end=end, outcome=outcome, label=words
    )


bars = st.builds(
    Bar,
    step=label,
    side=st.sampled_from(["action", "compensation"]),
    attempt=st.integers(1, 5),
    start=seconds,
    end=st.none() | seconds,
    outcome=st.sampled_from(OUTCOMES),
    label=label,
)
marks = st.builds(Mark, at=seconds, text=label, kind=st.sampled_from(list(MARKS)))


@given(
    label,
    st.lists(bars, max_size=8),
    st.lists(marks, max_size=8),
    st.sampled_from(["", *STATUSES]),
    st.lists(label, max_size=3),
)
def test_any_timeline_is_valid_and_the_same_twice(
    title: str, some: list[Bar], at: list[Mark], status: str, steps: list[str]
) -> None:
    svg = timeline_svg(title, some, at, status, steps)
    parsed(svg)
    assert svg == timeline_svg(title, some, at, status, steps)


def row_of(svg: str, text: str) -> list[float]:
    found = parsed(svg).iter("{http://www.w3.org/2000/svg}text")
    return [float(e.get("y", 0)) for e in found if "".join(e.itertext()) == text]


def test_compensations_mirror_the_actions_below_the_axis() -> None:
    svg = timeline_svg(
        "t",
        [
            bar("a", 0, 1),
            bar("b", 1, 2),
            bar("c", 2, 3, "failed"),
            bar("b", 3, 4, "compensated", "compensation"),
            bar("a", 4, 5, "compensated", "compensation"),
        ],
    )
    (a, a2), (b, b2), (c,) = (row_of(svg, name) for name in "abc")
    assert a < b < c < b2 < a2


def test_a_retried_step_keeps_one_row_and_shows_each_fault(texts: Texts) -> None:
    svg = timeline_svg(
        "t",
        [
            bar("pay", 0, 1, "failed", words="ConnectionError"),
            bar("pay", 2, 3, "in doubt", attempt=2, words="timeout 2 s"),
            bar("pay", 4, 5, attempt=3),
        ],
    )
    assert len(row_of(svg, "pay")) == 1
    assert {"ConnectionError", "timeout 2 s"} <= set(texts(svg))
    assert svg.count('stroke-dasharray="1 3"') == 2  # the two waits


def test_equal_times_are_shown_in_order(texts: Texts) -> None:
    mark = Mark(at=0, text="pivot: b", kind="pivot")
    same = timeline_svg("t", [bar("a", 0, 0), bar("b", 0, 0), bar("c", 0, 0)], [mark])
    assert "order" in texts(same)
    assert "s" not in texts(same)
    assert "order" not in texts(timeline_svg("t", [bar("a", 0, 0), bar("b", 0, 1)]))


def test_steps_that_never_ran_keep_their_row(texts: Texts) -> None:
    shown = texts(timeline_svg("t", [bar("a", 0, 1)], steps=["a", "b"]))
    assert "b" in shown
    assert "not started" in shown


def test_nothing_run_is_said(texts: Texts) -> None:
    assert "nothing has run yet" in texts(timeline_svg("t", []))


def test_the_status_stands_with_its_glyph(texts: Texts) -> None:
    for status, look in STATUSES.items():
        assert f"{look.glyph} {status}" in texts(timeline_svg("t", [], status=status))


def test_unknown_outcomes_marks_and_statuses_are_refused() -> None:
    with pytest.raises(ValueError, match="no outcome 'done'"):
        timeline_svg("t", [bar("a", 0, 1, "done")])
    with pytest.raises(ValueError, match="no mark 'x'"):
        timeline_svg("t", [], [Mark(at=0, text="", kind="x")])
    with pytest.raises(ValueError, match="no status 'failed'"):
        timeline_svg("t", [], status="failed")


def test_many_marks_keep_their_lines_and_stay_on_four_rows_of_words() -> None:
    many = [Mark(at=i / 1000, text=f"crash number {i}", kind="crash") for i in range(200)]
    svg = timeline_svg("t", [bar("a", 0, 1)], many)
    levels = {y for i in range(200) for y in row_of(svg, f"╳ crash number {i}")}
    assert 1 <= len(levels) <= 4


@pytest.mark.parametrize("rows", [1, 50, 2000])
def test_two_thousand_bars_are_drawn_at_once(rows: int) -> None:
    many = [bar(f"s{i % rows}", i, i + 0.5, "failed", words="Boom") for i in range(2000)]
    began = time.perf_counter()
    parsed(timeline_svg("t", many))
    assert time.perf_counter() - began < 5


@given(st.floats(1e-7, 1e8))
def test_axes_have_a_few_ticks_within_the_scale(high: float) -> None:
    scale = time_scale(0.0, high, 640)
    assert 2 <= len(scale.ticks) <= 13
    assert all(-1e-9 <= at <= high * (1 + 1e-9) for at, _ in scale.ticks)
    assert len({text for _, text in scale.ticks}) == len(scale.ticks)


@pytest.mark.parametrize(
    ("high", "unit"),
    [
        (1e-6, "µs"),
        (5e-5, "µs"),
        (0.02, "ms"),
        (5, "s"),
        (300, "min"),
        (3 * 3600, "h"),
        (9 * 86400, "d"),
        (150 * 86400, "d"),
    ],
)
def test_the_axis_takes_the_unit_that_fits(high: float, unit: str) -> None:
    assert time_scale(0, high, 640).unit == unit


def test_ticks_are_nice() -> None:
    texts = [text for _, text in time_scale(0, 3.7, 640).ticks]
    assert texts == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5"]
    assert [t for _, t in order_scale(3, 640).ticks] == ["1", "2", "3"]
    weeks = [text for _, text in time_scale(0, 100 * 86400, 640).ticks]
    assert weeks == ["0", "14", "28", "42", "56", "70", "84", "98"]


def test_durations_read_well() -> None:
    assert [duration(s) for s in (0, 0.0015, 2.5, 90)] == ["0 s", "1.5 ms", "2.5 s", "1.5 min"]
    assert [duration(s) for s in (0.9997, 999.4e-6, 59.99)] == ["1 s", "999 µs", "1 min"]
    assert duration(4321 * 86400.0) == "4,321 d"


@given(st.floats(1e-6, 1e11))
def test_durations_never_need_an_exponent(seconds: float) -> None:
    assert "e" not in duration(seconds)


def test_a_timeline_picture_has_words_and_a_table() -> None:
    picture = timeline_picture(
        "t", [bar("a", 0, 1.5), bar("b", 1.5, None, "running")], status="running"
    )
    assert repr(picture) == "<Picture: timeline of 't'>"
    assert picture.alt == "timeline of 't': 2 action and 0 compensation attempts; running"
    assert picture.table[1] == ("a", "action", "1", "0 s", "1.5 s", "succeeded", "")
    assert picture.table[2][4] == ""
    assert "a" in words(picture.svg)
