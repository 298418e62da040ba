from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import (
    STATUSES,
    Bar,
    Course,
    Mark,
    compare_alt,
    compare_picture,
    compare_svg,
    contrasts,
)
from sagakit.views.contrasts import merged
from sagakit.views.style import DIFFERS, MARKS

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]
label = st.text(st.characters(codec=None), max_size=12)
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


def undo(step: str, start: float, end: float) -> Bar:
    return bar(step, start, end, "compensated", "compensation")


GOOD = Course(
    title="good",
    status="completed",
    steps=["order", "pay", "ship"],
    bars=[bar("order", 0, 1), bar("pay", 1, 2), bar("ship", 2, 3)],
)
BAD = Course(
    title="bad",
    status="compensated",
    steps=["order", "pay", "check", "ship"],
    bars=[
        bar("order", 0, 1.2),
        bar("pay", 1.2, 2, "failed", words="Boom"),
        bar("pay", 3, 6, "failed", attempt=2, words="Boom"),
        undo("order", 6, 7),
    ],
)


def told(first: Course, second: Course, factor: float = 1.5) -> list[tuple[str, ...]]:
    return [(c.step, c.side, c.what, c.first, c.second) for c in contrasts(first, second, factor)]


def test_what_differs_is_told_of_the_whole_and_then_step_by_step() -> None:
    assert told(GOOD, BAD) == [
        ("", "", "status", "completed", "compensated"),
        ("", "", "duration", "3 s", "7 s"),
        ("pay", "action", "outcome", "succeeded", "failed"),
        ("pay", "action", "attempts", "1", "2"),
        ("pay", "action", "duration", "1 s", "4.8 s"),
        ("check", "action", "step", "no such step", "there"),
        ("ship", "action", "outcome", "succeeded", "not started"),
        ("order", "compensation", "outcome", "not started", "compensated"),
    ]


def test_nothing_differs_from_itself() -> None:
    assert told(BAD, BAD) == []
    assert compare_alt("t", BAD, BAD).endswith("; no differences")


def test_durations_differ_beyond_the_factor_alone() -> None:
    slow = Course(title="slow", bars=[bar("a", 0, 2)])
    fast = Course(title="fast", bars=[bar("a", 0, 1)])
    assert told(slow, fast, 2) == []
    assert ("a", "action", "duration", "2 s", "1 s") in told(slow, fast, 1.99)
    assert [c.words for c in contrasts(slow, fast)] == ["time ÷2.0", "time ÷2.0"]
    assert [c.words for c in contrasts(fast, slow)] == ["time ×2.0", "time ×2.0"]


def test_no_time_and_some_time_differ_and_what_runs_has_no_duration() -> None:
    none, some = (Course(title="t", bars=[bar("a", 0, end)]) for end in (0, 1))
    runs = Course(title="t", bars=[bar("a", 0, None)])
    assert ("a", "action", "duration", "0 s", "1 s") in told(none, some)
    assert told(none, none) == []
    assert told(runs, some) == []


def test_another_error_is_another_reason() -> None:
    other = [bar("a", 0, 1, "failed", words=words) for words in ("Boom", "Bang")]
    courses = [Course(title="t", bars=[one]) for one in other]
    assert told(*courses) == [("a", "action", "reason", "Boom", "Bang")]


def test_waits_before_calls_are_no_attempts() -> None:
    held = Course(title="t", bars=[bar("a", 0, 0.1, "held"), bar("a", 0.1, 1)])
    assert told(held, Course(title="t", bars=[bar("a", 0, 1)])) == []


@pytest.mark.parametrize("factor", [1, 0.5, float("nan")])
def test_a_factor_that_tells_nothing_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="factor above 1"):
        contrasts(GOOD, BAD, factor)


def test_steps_of_the_second_alone_stand_where_they_stand_there() -> None:
    assert merged(["a", "b", "c"], ["x", "a", "y", "c", "z"]) == ["x", "a", "y", "b", "c", "z"]
    assert merged([], ["a"]) == merged(["a"], []) == ["a"]


def rows(svg: str, text: str) -> list[tuple[float, float]]:
    found = (e for e in parsed(svg).iter(f"{SVG}text") if "".join(e.itertext()) == text)
    return [(float(e.get("x", 0)), float(e.get("y", 0))) for e in found]


def fields(svg: str) -> list[tuple[float, float]]:
    """The top and bottom of each field that marks a difference."""
    found = (e for e in parsed(svg).iter(f"{SVG}rect") if e.get("fill") == DIFFERS.fill)
    return [(y := float(e.get("y", 0)), y + float(e.get("height", 0))) for e in found]


def test_rows_are_aligned_and_what_differs_is_marked_beside_them(texts: Texts) -> None:
    svg = compare_svg("t", GOOD, BAD)
    ((_, pay),) = rows(svg, "pay")
    assert sum(top < pay < bottom for top, bottom in fields(svg)) == 1
    ((_, words),) = rows(svg, "≠ outcome · attempts 1 → 2 · time ×4.8")
    assert abs(words - pay) < 3
    (_, order), *_ = rows(svg, "order")
    assert not [1 for top, bottom in fields(svg) if top < order < bottom]
    assert {"≠ status · time ×2.3", "≠ only in B", "≠ ran only in A"} <= set(texts(svg))
    ((left, absent),) = rows(svg, "no such step")
    idle = [(x, y) for x, y in rows(svg, "not started") if y == absent]
    assert len(idle) == 1
    assert idle[0][0] > left


def test_both_have_the_same_scale() -> None:
    svg = compare_svg("t", GOOD, BAD)
    first, second = (x for x, _ in rows(svg, "4"))
    start_a, start_b = (x for x, _ in rows(svg, "0"))
    assert first - start_a == pytest.approx(second - start_b)


def test_of_one_instant_both_are_shown_in_their_order(texts: Texts) -> None:
    a = Course(title="a", bars=[bar("x", 0, 0), bar("y", 0, 0)])
    b = Course(title="b", bars=[bar("x", 0, 0)])
    assert texts(compare_svg("t", a, b)).count("order") == 2
    later = Course(title="b", bars=[bar("x", 0, 5)])
    assert "order" not in texts(compare_svg("t", a, later))


def test_the_picture_says_all_of_it_in_words_too() -> None:
    picture = compare_picture("checkout", GOOD, BAD)
    assert repr(picture) == "<Picture: comparison of 'checkout'>"
    assert picture.alt == (
        "comparison of 'checkout': A, 'good' (completed), and B, 'bad' (compensated); 8 "
        "differences: the whole (status · time ×2.3); pay (outcome · attempts 1 → 2 · time ×4.8); "
        "check (only in B); ship (ran only in A); compensation of order (ran only in B)"
    )
    assert picture.table[0] == ("step", "side", "what differs", "A", "B")
    assert picture.table[1:3] == (
        ("the whole", "", "status", "completed", "compensated"),
        ("the whole", "", "duration", "3 s", "7 s"),
    )


def test_of_very_many_steps_those_that_differ_are_shown(texts: Texts) -> None:
    many = [bar(f"n/{i}", i, i + 1) for i in range(3000)]
    odd = [*many[:2000], bar("n/2000", 2000, 2001, "failed"), *many[2001:]]
    a, b = (Course(title="t", bars=[*some, bar("n", 0, 3000)]) for some in (many, odd))
    began = time.process_time()
    picture = compare_picture("t", a, b)
    assert time.process_time() - began < 2
    assert {"2000", "≠ outcome"} <= set(texts(picture.svg))
    assert len(picture.svg) < 50_000


def test_what_differs_among_those_summed_up_is_counted(texts: Texts) -> None:
    one, two = (
        Course(title="t", bars=[*(bar(f"n/{i}", 0, end) for i in range(100)), bar("n", 0, 9)])
        for end in (1, 4)
    )
    assert "≠ 89 of these differ" in texts(compare_svg("t", one, two))


courses = st.builds(
    Course,
    title=label,
    bars=st.lists(
        st.builds(
            Bar,
            step=label,
            side=st.sampled_from(["action", "compensation"]),
            attempt=st.integers(1, 5),
            start=seconds,
            end=st.none() | seconds,
            outcome=st.sampled_from(["succeeded", "failed", "held", "compensated"]),
            label=label,
        ),
        max_size=6,
    ),
    marks=st.lists(
        st.builds(Mark, at=seconds, text=label, kind=st.sampled_from(list(MARKS))), max_size=3
    ),
    status=st.sampled_from(["", *STATUSES]),
    steps=st.lists(label, max_size=3),
)


@given(label, courses, courses)
def test_any_comparison_is_valid_and_the_same_twice(title: str, a: Course, b: Course) -> None:
    svg = compare_svg(title, a, b)
    parsed(svg)
    assert svg == compare_svg(title, a, b)
    assert compare_picture(title, a, b)._repr_html_()
    turned = {(c.step, c.side, c.what, c.second, c.first) for c in contrasts(b, a)}
    assert turned == set(told(a, b))
