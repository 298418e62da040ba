"""ER diagrams: everything is said, and nothing stands or runs over anything else."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import pytest

from sagakit.views import ErBox, ErEnd, ErLine, ErRow, er_picture
from sagakit.views.er_layout import ErLayout, er_layout

Segment = tuple[int, float, float, float, float]

BOXES = [
    ErBox(name="Customer", group="customers", rows=(ErRow(name="id", words="text", key=True),)),
    ErBox(
        name="Order",
        group="orders",
        rows=(
            ErRow(name="id", words="uuid", key=True),
            ErRow(name="note", words="text", optional=True),
            ErRow(name="customer", words="Customer", relation=True),
        ),
        note="input",
    ),
]
LINES = [
    ErLine(first=ErEnd(box=1, row=2, many=True, optional=True), second=ErEnd(box=0), loose=True)
]


def diagram(seed: int) -> tuple[list[ErBox], list[ErLine]]:
    """Boxes and lines at random, the same for the same seed."""
    dice = random.Random(seed)
    count = dice.randint(1, 20)
    boxes = []
    for number in range(count):
        keys = dice.randint(0, 3)
        rows = [
            ErRow(name=f"row{i}", words="text", key=i < keys) for i in range(dice.randint(3, 9))
        ]
        boxes.append(ErBox(name=f"box{number}", group=f"g{dice.randint(0, 5)}", rows=tuple(rows)))
    free = [(box, row) for box in range(count) for row in range(3, len(boxes[box].rows))]
    dice.shuffle(free)
    lines = []
    for box, row in free[: 2 * count]:
        other = ErEnd(box=dice.randrange(count), many=dice.random() < 0.3)
        first = ErEnd(box=box, row=row, many=True, optional=True)
        lines.append(ErLine(first=first, second=other, loose=dice.random() < 0.5))
    return boxes, lines


def segments(layout: ErLayout) -> Iterator[Segment]:
    for number, route in enumerate(layout.routes):
        for (x1, y1), (x2, y2) in itertools.pairwise(route.points):
            yield number, min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def test_a_picture_says_all_of_it_in_text_words_and_a_table(
    texts: Callable[[str], list[str]],
) -> None:
    picture = er_picture("data model", BOXES, LINES)
    said = texts(picture.svg)
    for text in ("data model", "customers", "orders", "Customer", "Order", "input", "text?"):
        assert text in said
    assert said[-5:] == [
        "?", "may be left out", "one", "any number", "into another database: the key alone"
    ]  # fmt: skip
    assert picture.alt == (
        "data model: 2 entities: Customer of customers has id (key); "
        "Order of orders has id (key), note, customer"
    )
    assert picture.table == (
        ("entity", "service", "field", "type", "key", "optional"),
        ("Customer", "customers", "id", "text", "yes", ""),
        ("Order", "orders", "id", "uuid", "yes", ""),
        ("Order", "orders", "note", "text", "", "yes"),
        ("Order", "orders", "customer", "Customer", "", ""),
    )
    assert repr(picture) == "<Picture: data model: 2 entities>"


def test_a_legend_explains_only_what_the_picture_has(texts: Callable[[str], list[str]]) -> None:
    alone = ErBox(name="A", rows=(ErRow(name="a", words="text"),))
    assert texts(er_picture("a", [alone], []).svg) == ["a", "A", "a", "text"]
    assert texts(er_picture("nothing", [], []).svg) == ["nothing"]


def test_the_same_diagram_is_drawn_alike_each_time() -> None:
    boxes, lines = diagram(3)
    assert er_picture("a", boxes, lines).svg == er_picture("a", list(boxes), list(lines)).svg


def test_what_people_write_is_shown_and_not_obeyed(texts: Callable[[str], list[str]]) -> None:
    evil = '<script>"&\x00'
    picture = er_picture(evil, [ErBox(name=evil, group=evil, rows=(ErRow(name=evil),))], [])
    assert texts(picture.svg).count('<script>"&\ufffd') == 4


@pytest.mark.parametrize("seed", range(60))
def test_no_box_or_frame_stands_over_another(seed: int) -> None:
    layout = er_layout(*diagram(seed))
    for things in (layout.boxes, layout.frames):
        for a, b in itertools.combinations(things, 2):  # type: ignore[type-var]
            apart = a.x + a.w <= b.x or b.x + b.w <= a.x or a.y + a.h <= b.y or b.y + b.h <= a.y
            assert apart, (a, b)
    for box in layout.boxes:
        assert 0 <= box.x <= box.x + box.w <= layout.width
        assert 0 <= box.y <= box.y + box.h <= layout.height


@pytest.mark.parametrize("seed", range(60))
def test_no_line_runs_behind_a_box_or_along_another_line(seed: int) -> None:
    layout = er_layout(*diagram(seed))
    every = list(segments(layout))
    for _, left, top, right, low in every:
        assert left == right or top == low
        for box in layout.boxes:
            beside = left >= box.x + box.w - 0.5 or right <= box.x + 0.5
            assert beside or top >= box.y + box.h - 0.5 or low <= box.y + 0.5
    for one, other in itertools.combinations(every, 2):
        assert one[0] == other[0] or not _along(one, other), (one, other)


def _along(one: Segment, other: Segment) -> bool:
    for at in (1, 2):  # x and y: both upright, or both level, there
        same = one[at] == one[at + 2] and other[at] == other[at + 2]
        near = same and abs(one[at] - other[at]) < 2
        low, high = max(one[3 - at], other[3 - at]), min(one[5 - at], other[5 - at])
        if near and high - low > 1:
            return True
    return False


@pytest.mark.parametrize("seed", range(60))
def test_lines_reach_their_rows_and_keep_apart_where_they_do(seed: int) -> None:
    boxes, lines = diagram(seed)
    layout = er_layout(boxes, lines)
    reached = []
    for line, route in zip(lines, layout.routes):
        for end, (x, y) in ((line.first, route.points[0]), (line.second, route.points[-1])):
            box = layout.boxes[end.box]
            assert x in (box.x, box.x + box.w)
            if end.row is not None:
                row = box.y + box.head + 18 * end.row
                assert row < y < row + 18
            assert box.y < y < box.y + box.h
            reached.append((x, y))
    for (x1, y1), (x2, y2) in itertools.combinations(reached, 2):
        assert x1 != x2 or abs(y1 - y2) >= 6


def test_those_of_one_group_stand_in_one_frame_that_holds_no_other() -> None:
    boxes, lines = diagram(11)
    layout = er_layout(boxes, lines)
    for frame in layout.frames:
        for box, place in zip(boxes, layout.boxes):
            inside = frame.x < place.x < frame.x + frame.w and frame.y < place.y < frame.y + frame.h
            assert inside is (box.group == frame.name)


def test_a_line_to_what_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 2 boxes"):
        er_picture("a", BOXES, [ErLine(first=ErEnd(box=0), second=ErEnd(box=2))])
    with pytest.raises(ValueError, match="'Customer' has 1 rows"):
        er_picture("a", BOXES, [ErLine(first=ErEnd(box=0, row=1), second=ErEnd(box=1))])
