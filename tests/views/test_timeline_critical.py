from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from sagakit.views import Bar, Picture, Stretch, timeline_picture, timeline_svg
from sagakit.views.style import INK

from .conftest import SVG, parsed

Texts = Callable[[str], list[str]]


def bar(
    step: str, start: float, end: float | None, outcome: str = "succeeded", side: str = "action"
) -> Bar:
    return Bar(step=step, side=side, attempt=1, start=start, end=end, outcome=outcome)


def stretch(step: str, start: float, end: float, side: str = "action") -> Stretch:
    return Stretch(step=step, side=side, start=start, end=end)


BARS = [
    bar("order", 0, 1),
    bar("stock", 1, 2),
    bar("pay", 1, 3, "failed"),
    bar("order", 4, 8, "compensated", "compensation"),
]
PATH = [stretch("order", 0, 1), stretch("pay", 1, 3), stretch("order", 4, 8, "compensation")]


def heavy(svg: str) -> list[tuple[float, float, float]]:
    """The stretches drawn: from x, to x, at y."""
    lines = (p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke-width") == "3.5")
    drawn = next(iter(lines)).get("d", "")  # the legend's sample comes after it
    return [
        (float(x), float(end), float(y))
        for x, y, end in re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)", drawn)
    ]


def joints(svg: str) -> str:
    lines = (p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke-width") == "1.4")
    return "".join(p.get("d", "") for p in lines if p.get("stroke") == INK)


def bar_edges(svg: str) -> list[float]:
    """The upper edges of all bars."""
    outlines = (p for p in parsed(svg).iter(f"{SVG}path") if p.get("stroke-width") == "1.2")
    return [float(re.match(r"M[\d.]+ ([\d.]+)", p.get("d", ""))[1]) for p in outlines]  # type: ignore[index]


def test_a_heavy_line_runs_along_the_bars_of_the_path() -> None:
    svg = timeline_svg("t", BARS, critical=PATH)
    order, pay, undo = heavy(svg)
    second = order[1] - order[0]
    assert pay[0] == order[1]
    assert pay[1] - pay[0] == pytest.approx(2 * second)
    assert undo[1] - undo[0] == pytest.approx(4 * second)
    assert order[2] < pay[2] < undo[2]
    assert {order[2], pay[2], undo[2]} <= set(bar_edges(svg))


def test_the_stretches_are_joined_but_not_across_the_words_of_the_axis(texts: Texts) -> None:
    svg = timeline_svg("t", BARS, critical=PATH)
    order, pay, undo = heavy(svg)
    joined = joints(svg)
    assert f"M{order[1]:g} {order[2]:g}V{pay[2]:g}" in joined
    assert joined.endswith(f"V{undo[2]:g}H{undo[0]:g}")  # a wait: across to where it goes on
    ticks = [e for e in parsed(svg).iter(f"{SVG}text") if e.text == "4"]
    words = float(ticks[0].get("y", 0))
    down = re.findall(r" ([\d.]+)V([\d.]+)", joined)
    assert down
    assert not any(float(y) < words < float(to) for y, to in down)


def test_the_path_is_told_in_the_legend_the_table_and_the_alternative_text(texts: Texts) -> None:
    picture = timeline_picture("t", BARS, status="compensated", critical=PATH)
    assert "critical path" in texts(picture.svg)
    assert picture.alt.endswith("critical path, 7 s: order, pay, compensation of order")
    assert picture.alt in (parsed(picture.svg).findtext(f"{SVG}desc") or "")
    assert [row[-1] for row in picture.table] == ["on the critical path", "1 s", "", "2 s", "4 s"]


def test_the_share_of_an_attempt_is_what_lies_within_it() -> None:
    two = [bar("a", 0, 1, "failed"), bar("a", 2, 4), bar("b", 0, None, "running")]
    path = [stretch("a", 0.5, 3), stretch("b", 3, 5)]
    table = timeline_picture("t", two, critical=path).table
    assert [row[-1] for row in table[1:]] == ["500 ms", "1 s", "2 s"]


def test_without_a_path_nothing_is_said_of_it(texts: Texts) -> None:
    picture = timeline_picture("t", BARS)
    assert "critical" not in picture.svg + picture.alt
    assert len(picture.table[0]) == 7


def test_where_no_time_passes_there_is_no_path(texts: Texts) -> None:
    svg = timeline_svg("t", [bar("a", 0, 0), bar("b", 0, 0)], critical=[stretch("a", 0, 0)])
    assert "critical path" not in texts(svg)


def test_a_stretch_without_a_bar_is_refused() -> None:
    with pytest.raises(ValueError, match="critical path names the action of step 'x'"):
        timeline_svg("t", BARS, critical=[stretch("x", 0, 1)])
    with pytest.raises(ValueError, match="names the compensation of step 'pay'"):
        timeline_svg("t", BARS, critical=[stretch("pay", 0, 1, "compensation")])


def test_a_stretch_within_a_row_that_sums_up_many_is_drawn_on_it() -> None:
    many = [bar(f"n/{i}", i, i + 1) for i in range(40)]
    picture = timeline_picture(
        "t",
        [*many, bar("n", 0, 40)],
        critical=[stretch("n/3", 3, 4), stretch("n/30", 30, 31), stretch("n/31", 31, 32)],
    )
    shown, first, second = heavy(picture.svg)
    assert shown[2] < first[2] == second[2]


def test_a_long_path_names_its_first_steps() -> None:
    many = [bar(f"s{i}", i, i + 1) for i in range(20)]
    picture: Picture = timeline_picture(
        "t", many, critical=[stretch(f"s{i}", i, i + 1) for i in range(20)]
    )
    assert picture.alt.endswith("s6, s7 and 12 more")
