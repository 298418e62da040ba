from __future__ import annotations

import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sagakit.views import Bar, Mark, timeline_picture, timeline_svg
from sagakit.views.timeline_tree import MOST_INSIDE, Tree

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]
Place = tuple[float, float]

path = st.lists(st.sampled_from(["a", "b", "c", "", "x y"]), min_size=1, max_size=4).map("/".join)


def bar(
    step: str,
    start: float,
    end: float | None,
    outcome: str = "succeeded",
    side: str = "action",
) -> Bar:
    return Bar(step=step, side=side, attempt=1, start=start, end=end, outcome=outcome)


def places(svg: str, text: str) -> list[Place]:
    found = (e for e in parsed(svg).iter(f"{SVG}text") if "".join(e.itertext()) == text)
    return [(float(e.get("x", 0)), float(e.get("y", 0))) for e in found]


def bands(svg: str) -> list[tuple[float, float]]:
    """The top and bottom of each band."""
    rects = (e for e in parsed(svg).iter(f"{SVG}rect") if e.get("fill-opacity") == "0.035")
    return [(y := float(e.get("y", 0)), y + float(e.get("height", 0))) for e in rects]


TRIP = [
    bar("order", 0, 1),
    bar("pay/charge", 1, 2),
    bar("pay/bank/hold", 2, 3),
    bar("pay/bank", 2, 3),
    bar("pay", 1, 3),
    bar("confirm", 3, 4, "failed"),
    bar("pay/bank/hold", 4, 5, "compensated", "compensation"),
    bar("pay/bank", 4, 5, "compensated", "compensation"),
    bar("pay/charge", 5, 6, "compensated", "compensation"),
    bar("order", 6, 7, "compensated", "compensation"),
]


def test_inner_steps_have_their_rows_under_the_step_they_are_in_further_right() -> None:
    svg = timeline_svg("t", TRIP, steps=["order", "pay", "confirm"])
    names = ["order", "pay", "charge", "bank", "hold", "confirm"]
    firsts = [places(svg, name)[0] for name in names]
    assert [y for _, y in firsts] == sorted(y for _, y in firsts)
    x = dict(zip(names, (x for x, _ in firsts)))
    assert x["order"] == x["pay"] == x["confirm"] < x["charge"] == x["bank"] < x["hold"]


def test_compensations_are_mirrored_with_the_outer_step_still_above() -> None:
    svg = timeline_svg("t", TRIP, steps=["order", "pay", "confirm"])
    below = [places(svg, name)[-1][1] for name in ("pay", "bank", "hold", "charge", "order")]
    assert below == sorted(below)
    # `pay` was not compensated itself: it heads those inside it, and is not called "not started".
    assert len(places(svg, "pay")) == 2
    assert not places(svg, "not started")


def test_a_band_stands_behind_each_step_and_what_is_inside_it() -> None:
    svg = timeline_svg("t", TRIP[:6], steps=["order", "pay", "confirm"])
    outer, inner = sorted(bands(svg))
    rows = {name: places(svg, name)[0][1] for name in ("order", "pay", "bank", "hold", "confirm")}
    assert rows["order"] < outer[0] < rows["pay"]
    assert rows["pay"] < inner[0] < rows["bank"] < rows["hold"] < inner[1] <= outer[1]
    assert outer[1] < rows["confirm"]
    assert not bands(timeline_svg("t", [bar("a", 0, 1), bar("b/c", 0, 1)]))


def test_a_path_without_its_step_is_a_name_like_any_other(texts: Texts) -> None:
    svg = timeline_svg("t", [bar("a/b", 0, 1), bar("c", 0, 1)])
    assert "a/b" in texts(svg)
    assert Tree(["a", "a/b/c"], {}).lines(["a", "a/b/c"])[1].words == "b/c"


def test_of_very_many_the_rare_and_the_first_are_shown_and_the_rest_is_summed_up(
    texts: Texts,
) -> None:
    many = [
        bar(f"notify/{i}", i, i + 1, "failed" if i in {7342, 8000} else "succeeded")
        for i in range(10_000)
    ]
    svg = timeline_svg("t", [*many, bar("notify", 0, 10_000, "failed")], steps=["notify"])
    shown = texts(svg)
    assert {"notify", "0", "8", "7342", "8000", "… 9,989 more", "9,989 succeeded"} <= set(shown)
    assert len(svg) < 30_000


def test_the_summary_counts_what_ended_how_and_what_never_began(texts: Texts) -> None:
    names = [f"n/{i}" for i in range(50)]
    some = [bar(name, 0, 1) for name in names[:30]] + [bar("n", 0, None, "running")]
    shown = texts(timeline_svg("t", some, steps=["n", *names]))
    assert "… 39 more" in shown
    # The rows show ten of those that ran and one of those that did not.
    assert "20 succeeded, 19 not started" in shown


def test_the_table_of_very_many_is_short() -> None:
    many = [bar(f"n/{i}", 0, 1) for i in range(1000)]
    table = timeline_picture("t", [bar("n", 0, 1), *many]).table
    assert len(table) == 1 + 1 + (MOST_INSIDE - 1) + 1
    assert table[-1] == ("n/…", "", "", "", "", "", "989 more")


def test_in_order_of_events_an_outer_bar_reaches_over_those_inside_it() -> None:
    same = [bar(step, 0, 0) for step in ("order", "pay/charge", "pay/book", "pay", "confirm")]
    mark = Mark(at=0, text="pivot: pay/charge", kind="pivot")
    root = parsed(timeline_svg("t", same, [mark], steps=["order", "pay"]))
    widths = [
        float(e.get("d", "").split("h")[1].split("a")[0])
        for e in root
        if e.tag == f"{SVG}path" and e.get("fill") == "none" and "a1 1" in e.get("d", "")
    ]
    order, pay, charge, book, confirm = widths
    assert order == charge == book == confirm
    assert pay > 3 * charge


@given(st.lists(path, unique=True, max_size=12), st.sets(path))
def test_every_step_has_one_row_below_the_step_it_is_in(names: list[str], some: set[str]) -> None:
    tree = Tree(names, {})
    for backward in (False, True):
        lines = tree.lines(names, backward=backward)
        order = [line.name for line in lines]
        assert sorted(order) == sorted(names)
        for line in lines:
            above = tree.above[line.name]
            if above is not None:
                assert line.name.startswith(f"{above}/")
                assert order.index(above) < order.index(line.name)
                assert line.depth == lines[order.index(above)].depth + 1
    picked = tree.with_those_around(some & set(names))
    assert all(tree.above[name] in {None, *picked} for name in picked)


@given(
    st.lists(
        st.builds(
            bar,
            path,
            st.floats(0, 9),
            st.none() | st.floats(0, 9),
            st.sampled_from(["succeeded", "failed"]),
            st.sampled_from(["action", "compensation"]),
        ),
        max_size=25,
    ),
    st.lists(path, max_size=4),
)
def test_any_nested_timeline_is_valid_and_the_same_twice(bars: list[Bar], steps: list[str]) -> None:
    first, second = (timeline_picture("t", bars, steps=steps) for _ in range(2))
    parsed(first.svg)
    assert first == second


def test_a_fan_out_of_sagas_is_drawn_at_once() -> None:
    many = [bar(f"n/{i}/{j}", i, i + 1) for i in range(3000) for j in range(3)]
    many += [bar(f"n/{i}", i, i + 1) for i in range(3000)] + [bar("n", 0, 3000)]
    began = time.perf_counter()
    parsed(timeline_picture("t", many).svg)
    assert time.perf_counter() - began < 5
