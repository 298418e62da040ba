"""Where the boxes of an ER diagram stand and how its lines run. Pure geometry over numbers.

Boxes stand in columns; between two columns, and after the last one, is a gutter with a track for
each line that runs up or down there. A line that has to pass a column runs below all boxes. So no
line runs behind a box.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from sagakit.views.er_columns import FRAME, ROW, TITLE, Columns, leading_keys
from sagakit.views.er_data import ErBox, ErEnd, ErLine
from sagakit.views.svg import text_width

SIZE = 11.0  # of the text in a box, px
_LEAST, _MOST = 120.0, 320.0  # a box's width
_TRACK = 12.0
_MARGIN = 12.0  # between a frame and a track
_APART = 4.0  # px between two lines that run side by side, at least


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a box stands, px."""

    x: float
    y: float
    w: float
    h: float
    head: float


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around the boxes of a group, px."""

    name: str
    x: float
    y: float
    w: float
    h: float


class Route(msgspec.Struct, frozen=True):
    """The corners of a line, px, from its first end to its second."""

    points: tuple[tuple[float, float], ...]


class ErLayout(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything stands, from (0, 0) on."""

    boxes: list[Place]
    frames: list[Frame]
    routes: list[Route]
    width: float
    height: float


def er_layout(boxes: Sequence[ErBox], lines: Sequence[ErLine]) -> ErLayout:
    """Place the boxes in columns, those of one group together, and lead the lines around them."""
    return _Layout(Columns(boxes, lines)).placed()


class _Span(msgspec.Struct):
    """A line's way up or down in a gutter: from a height on its left to one on its right."""

    line: int
    start: float
    end: float
    loop: bool = False  # both ends are on the left

    @property
    def begins(self) -> list[float]:
        """Where it comes from the left, past the tracks left of its own."""
        return [self.start, self.end] if self.loop else [self.start]

    @property
    def ends(self) -> list[float]:
        """Where it goes to the right, past the tracks right of its own."""
        return [] if self.loop else [self.end]


class _Layout:
    """Leads the lines between boxes that stand in columns.

    Parameters:
        ports: by line, the heights at which its two ends reach their boxes.
        lanes: the heights of the lines that run below the boxes.
        gutters: by column, the lines on its right that run up or down, in the order of their
            tracks.
    """

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.boxes, self.lines = columns.boxes, columns.lines
        self.places: list[Place] = []
        self.ports = self._ports()
        below = itertools.count(1)
        low = columns.bottom + FRAME
        self.lanes = {
            number: low + _TRACK * next(below)
            for number, line in enumerate(self.lines)
            if abs(columns.column_of[line.first.box] - columns.column_of[line.second.box]) > 1
        }
        self.gutters = self._in_tracks()

    def placed(self) -> ErLayout:
        columns = self.columns
        widths = [
            max(_width(self.boxes[i]) for stack in column for i in stack)
            for column in columns.stacks
        ]
        rooms = [2 * FRAME + 2 * _MARGIN + _TRACK * len(gutter) for gutter in self.gutters]
        steps = [width + room for width, room in zip(widths, rooms, strict=True)]
        xs = [0.0, *itertools.accumulate(steps)]
        self.places = [
            Place(
                x=xs[column], y=columns.top[i], w=widths[column], h=columns.heights[i],
                head=columns.heads[i],
            )
            for i, column in enumerate(columns.column_of)
        ]  # fmt: skip
        frames = list(self._frames()) if columns.framed else []
        tracks = {
            (span.line, number): xs[number] + widths[number] + FRAME + _MARGIN + _TRACK * place
            for number, gutter in enumerate(self.gutters)
            for place, span in enumerate(gutter)
        }
        routes = [self._route(number, tracks) for number in range(len(self.lines))]
        return _moved(self.places, frames, routes)

    # -- where a line reaches its boxes ---------------------------------------------------------

    def _ends(self, number: int) -> list[tuple[ErEnd, int]]:
        """A line's ends, each with its side of the box: 1 the right one, -1 the left one."""
        line = self.lines[number]
        a, b = (self.columns.column_of[end.box] for end in (line.first, line.second))
        sides = (1, 1) if a == b else (1, -1) if a < b else (-1, 1)
        return list(zip((line.first, line.second), sides, strict=True))

    def _ports(self) -> list[list[float]]:
        columns = self.columns
        found = [[0.0, 0.0] for _ in self.lines]
        heads: dict[tuple[int, int], list[tuple[float, int, int]]] = {}
        for number in range(len(self.lines)):
            ends = self._ends(number)
            for at, (end, side) in enumerate(ends):
                if end.row is None:
                    other = columns.top[ends[1 - at][0].box]
                    heads.setdefault((end.box, side), []).append((other, number, at))
                else:
                    row = columns.heads[end.box] + ROW * (end.row + 0.5)
                    found[number][at] = columns.top[end.box] + row
        for (box, _), here in heads.items():
            room = columns.heads[box] + ROW * leading_keys(self.boxes[box])
            for place, (_, number, at) in enumerate(sorted(here), 1):
                found[number][at] = columns.top[box] + room * place / (len(here) + 1)
        return found

    # -- gutters --------------------------------------------------------------------------------

    def _in_tracks(self) -> list[list[_Span]]:
        """The gutters. Where no order keeps a line from running along another, it reaches its box
        a little lower, but still at its row."""
        moved: Counter[tuple[int, int]] = Counter()
        while True:
            gutters = [_in_order(gutter) for gutter in self._spans()]
            ends = {self._end_at(*clash) for gutter in gutters for clash in _clashes(gutter)}
            ends = {end for end in ends if moved[end] * _APART < ROW / 2 - _APART}
            if not ends:
                return gutters
            moved.update(ends)
            for number, at in ends:
                self.ports[number][at] += _APART

    def _end_at(self, number: int, height: float) -> tuple[int, int]:
        """The line's end that is at this height."""
        return number, min((0, 1), key=lambda end: abs(self.ports[number][end] - height))

    def _spans(self) -> list[list[_Span]]:
        """By gutter, the lines that run up or down in it."""
        gutters: list[list[_Span]] = [[] for _ in self.columns.stacks]
        for number in range(len(self.lines)):
            (left, start), (right, end) = self._from_the_left(number)
            if number in self.lanes:
                gutters[left].append(_Span(number, start, self.lanes[number]))
                gutters[right - 1].append(_Span(number, self.lanes[number], end))
            elif start != end or left == right:
                gutters[left].append(_Span(number, start, end, loop=left == right))
        return gutters

    def _from_the_left(self, number: int) -> list[tuple[int, float]]:
        """The columns of a line's ends and their heights, the left one first."""
        ends = zip(self._ends(number), self.ports[number], strict=True)
        return sorted(
            ((self.columns.column_of[end.box], y) for (end, _), y in ends), key=lambda end: end[0]
        )

    # -- what is drawn --------------------------------------------------------------------------

    def _frames(self) -> Iterator[Frame]:
        for group in self.columns.order:
            mine = [self.places[i] for i in group]
            x, y = min(p.x for p in mine) - FRAME, min(p.y for p in mine) - TITLE
            right, low = max(p.x + p.w for p in mine) + FRAME, max(p.y + p.h for p in mine) + 12
            yield Frame(name=self.boxes[group[0]].group, x=x, y=y, w=right - x, h=low - y)

    def _route(self, number: int, tracks: dict[tuple[int, int], float]) -> Route:
        points = [
            (self.places[end.box].x + (self.places[end.box].w if side > 0 else 0), y)
            for (end, side), y in zip(self._ends(number), self.ports[number], strict=True)
        ]
        swapped = self._ends(number)[0][1] < 0
        start, end = points[::-1] if swapped else points
        turns = [x for (line, _), x in sorted(tracks.items()) if line == number]
        levels = [self.lanes[number], end[1]] if number in self.lanes else [end[1]]
        way = [start]
        for turn, level in zip(turns, levels if turns else (), strict=True):
            way += [(turn, way[-1][1]), (turn, level)]
        way.append(end)
        return Route(tuple(way[::-1] if swapped else way))


def _moved(places: list[Place], frames: list[Frame], routes: list[Route]) -> ErLayout:
    """The same, its left upper corner at (0, 0)."""
    around = [(p.x, p.y, p.x + p.w, p.y + p.h) for p in places]
    around += [(f.x, f.y, f.x + f.w, f.y + f.h) for f in frames]
    around += [(x, y, x, y) for route in routes for x, y in route.points]
    left = min((a[0] for a in around), default=0)
    top = min((a[1] for a in around), default=0)
    move = msgspec.structs.replace
    return ErLayout(
        boxes=[move(p, x=p.x - left, y=p.y - top) for p in places],
        frames=[move(f, x=f.x - left, y=f.y - top) for f in frames],
        routes=[Route(tuple((x - left, y - top) for x, y in r.points)) for r in routes],
        width=max((a[2] for a in around), default=0) - left,
        height=max((a[3] for a in around), default=0) - top,
    )


def _width(box: ErBox) -> float:
    rows = [text_width(row.name, SIZE) + text_width(row.words, SIZE) + 60 for row in box.rows]
    head = text_width(box.name, 12) * 1.1 + text_width(box.note, 10) + 34
    return min(max(head, *rows, _LEAST), _MOST)


def _in_order(spans: list[_Span]) -> list[_Span]:
    """The spans of a gutter from left to right, so that few lines cross: each in turn goes where it
    crosses least (sifting: Matuszewski et al., "Using Sifting for k-Layer Straightline Crossing
    Minimization", 1999), as long as that helps."""
    costs = [[_crossings(left, right) for right in spans] for left in spans]
    order = list(range(len(spans)))
    better = True
    while better:
        better = False
        for item in range(len(spans)):
            at = order.index(item)
            rest = order[:at] + order[at + 1 :]
            # what it costs to stand at each place, compared with the first one
            steps = (costs[other][item] - costs[item][other] for other in rest)
            found = [0, *itertools.accumulate(steps)]
            best = min(range(len(found)), key=found.__getitem__)
            if found[best] < found[at]:
                order, better = [*rest[:best], item, *rest[best:]], True
    return [spans[i] for i in order]


def _crossings(left: _Span, right: _Span) -> int:
    """How often two lines cross whose tracks are in this order; running along each other is worse
    than crossing ten times."""
    low, high = sorted((left.start, left.end))
    other_low, other_high = sorted((right.start, right.end))
    crossed = sum(low < y < high for y in right.begins)
    crossed += sum(other_low < y < other_high for y in left.ends)
    return crossed + 10 * sum(abs(y - z) < _APART for y in right.begins for z in left.ends)


def _clashes(spans: list[_Span]) -> Iterator[tuple[int, float]]:
    """The lines that come from the left along one that goes to the right, and at what heights."""
    for at, left in enumerate(spans):
        for right in spans[at + 1 :]:
            for y in right.begins:
                if any(abs(y - z) < _APART for z in left.ends):
                    yield right.line, y
