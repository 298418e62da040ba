from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import Bar, timeline_picture, timeline_svg
from sagakit.views.timeline_retries import FAILED, MOST_BARS, collapsed
from sagakit.views.timeline_tree import MOST_OUTSIDE
from sagakit.views.timeline_words import MOST_LINES, MOST_OF_A_RUN

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]


def attempt(
    step: str, number: int, outcome: str = "failed", words: str = "Boom", at: float | None = None
) -> Bar:
    start = number if at is None else at
    return Bar(
        step=step,
        side="action",
        attempt=number,
        start=start,
        end=start + 0.5,
        outcome=outcome,
        label="" if outcome == "succeeded" else words,
    )


def retried(step: str, failed: int, words: str = "Boom") -> list[Bar]:
    return [
        *(attempt(step, number, words=words) for number in range(1, failed + 1)),
        attempt(step, failed + 1, "succeeded"),
    ]


def test_up_to_two_hundred_bars_are_all_drawn() -> None:
    bars = retried("a", MOST_BARS - 1)
    assert collapsed(bars) == [(bar, ()) for bar in bars]


def test_failed_attempts_in_a_row_are_one_with_their_count(texts: Texts) -> None:
    bars = [*retried("a", 37), *retried("b", 200)]
    assert len(collapsed(bars)) == 4
    shown = texts(timeline_svg("t", bars))
    assert {"×37 Boom", "×200 Boom", "×n attempts that failed in a row"} <= set(shown)


def test_a_row_ends_with_a_success_and_is_of_one_step_and_side() -> None:
    rows = [*retried("a", 2), *(attempt("a", 10 + i) for i in range(3)), *retried("b", 200)]
    other = Bar(step="a", side="compensation", attempt=1, start=1, end=2, outcome="in doubt")
    counts = [(bar.step, bar.side, bar.count) for bar, _ in collapsed([*rows, other])]
    assert counts == [
        ("a", "action", 2),
        ("a", "action", 1),
        ("a", "action", 3),
        ("b", "action", 200),
        ("b", "action", 1),
        ("a", "compensation", 1),
    ]


def test_the_waits_before_calls_go_into_the_row_but_not_into_the_count() -> None:
    bars: list[Bar] = []
    for number in range(1, 151):
        bars.append(attempt("a", number, "held", "breaker", at=number))
        bars.append(attempt("a", number, at=number + 0.5))
    bars += [attempt("a", 151, "held", "breaker"), attempt("a", 151, "succeeded")]
    (row, run), (wait, _), (last, _) = collapsed(bars)
    assert (row.count, row.start, row.end, len(run)) == (150, 1, 151, 300)
    assert (row.label, wait.outcome, last.outcome) == ("×150 Boom", "held", "succeeded")


def test_a_row_of_several_errors_names_the_most_frequent_and_looks_as_it_ended() -> None:
    bars = [attempt("a", i, words="Rare" if i % 5 == 0 else "Boom") for i in range(1, 300)]
    bars.append(attempt("a", 300, "in doubt", "Silence"))
    ((row, _),) = collapsed(bars)
    assert (row.label, row.outcome) == ("×300 Boom, …", "in doubt")


def test_the_table_opens_each_row_up_to_a_limit() -> None:
    table = timeline_picture("t", retried("a", 250)).table
    steps = [row[0] for row in table[1:]]
    assert steps == ["a", *["↳ a"] * (MOST_OF_A_RUN + 1), "a"]
    assert table[1][2] == "1–250"
    assert table[1][6] == "×250 Boom (250 failed)"
    assert table[2][2:5] == ("1", "1 s", "500 ms")
    assert table[-2][6] == f"{250 - MOST_OF_A_RUN} more"


def test_the_count_stands_in_small_rows_too(texts: Texts) -> None:
    wide = [bar for i in range(50) for bar in retried(f"s{i}", 9)]
    assert texts(timeline_svg("t", wide)).count("✗ ×9") == 50
    narrow = [
        attempt(f"s{i}", n, "failed" if n < 5 else "succeeded", at=1000 * i + n * 0.1)
        for i in range(50)
        for n in range(1, 6)
    ]
    shown = texts(timeline_svg("t", narrow))
    assert sum("✗ ×4" in text for text in shown) == 50


def test_alternative_text_counts_every_attempt() -> None:
    assert "251 action and 0 compensation" in timeline_picture("t", retried("a", 250)).alt


bars = st.lists(
    st.builds(
        attempt,
        st.sampled_from("abc"),
        st.integers(1, 9),
        st.sampled_from(["failed", "in doubt", "succeeded", "held", "compensation failed"]),
    ),
    max_size=40,
)


@given(bars)
def test_no_attempt_is_lost(some: list[Bar]) -> None:
    filler = [attempt("z", i, "succeeded") for i in range(MOST_BARS)]
    found = collapsed([*some, *filler])
    flat = [bar for one, run in found for bar in (run or (one,))]
    assert sorted(flat, key=repr) == sorted([*some, *filler], key=repr)
    for one, run in found:
        assert one.count == max(1, sum(bar.outcome in FAILED for bar in run))


def test_of_very_many_steps_the_rare_and_the_first_have_a_row(texts: Texts) -> None:
    many = [attempt(f"s{i}", 1, "failed" if i == 4321 else "succeeded") for i in range(5000)]
    picture = timeline_picture("t", many)
    shown = texts(picture.svg)
    assert {"s0", "s197", "s4321", f"… {5000 - MOST_OUTSIDE + 1:,} more"} <= set(shown)
    assert picture.table[-1] == ("…", "", "", "", "", "", f"{5000 - MOST_OUTSIDE + 1:,} more")


def test_a_long_table_keeps_the_rare_outcomes() -> None:
    many = [attempt("a", i, "in doubt" if i == 3000 else "succeeded") for i in range(4000)]
    table = timeline_picture("t", many).table
    assert len(table) == 1 + MOST_LINES + 1
    assert "in doubt" in {row[5] for row in table}
    assert table[-1][6] == "3,500 more"


def test_a_running_attempt_keeps_its_shape_in_a_crowded_row() -> None:
    running = Bar(step="a", side="action", attempt=99, start=500, end=None, outcome="running")
    bars = [attempt("a", i, ["succeeded", "failed"][i % 2]) for i in range(300)]
    svg = timeline_svg("t", [*bars, running])
    (pointed,) = boxes_of(svg, "l9 8")
    assert not [d for d in boxes_of(svg, pointed.partition("h")[0]) if d != pointed]
    assert not boxes_of(timeline_svg("t", bars), "l9 8")


def boxes_of(svg: str, part: str) -> list[str]:
    outlines = (p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke-width") == "1.2")
    return [p.get("d", "") for p in outlines if part in p.get("d", "")]


@pytest.mark.parametrize("rows", [1, 12, 35, 200, 5000])
def test_five_thousand_bars_take_less_than_two_megabytes(rows: int) -> None:
    """Nothing collapses, as success and failure alternate."""
    many = [
        attempt(f"s{i % rows}", i // rows, ["failed", "succeeded"][i // rows % 2], at=i)
        for i in range(5000)
    ]
    picture = timeline_picture("t", many)
    assert len(picture.svg.encode()) < 2_000_000
    assert len(picture._repr_html_()) < 2_000_000
